/** What the processes of a sandbox log: a file each, and every line heard as it comes. */

import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { EventName, Fields, Level, Log } from '../observe/event.ts'
import { openLog } from '../observe/log.ts'
import { Tail } from './tail.ts'

export interface Logs {
  /** For what is in this process. */
  open(service: string): Log
  /** An open file for what is not: its lines are read back from there, so that it depends on nobody. */
  output(service: string): number
  close(): void
}

const SERVICES = ['submission', 'signer', 'relay']

export function openLogs(folder: string, hear: (line: string) => void): Logs {
  mkdirSync(folder, { recursive: true })
  const pathOf = (name: string) => join(folder, `${name}.log`)
  const own = openSync(pathOf('sandbox'), 'a')
  const outputs = new Map(SERVICES.map(name => [name, openSync(pathOf(name), 'a')]))
  const tails = SERVICES.map(name => new Tail(pathOf(name), hear))
  const destination = {
    write(line: string) {
      writeSync(own, line)
      hear(line)
    },
  }
  return {
    open: service => openLog({ service, pretty: false, destination }),
    output: service => outputs.get(service) ?? own,
    close() {
      for (const tail of tails) tail.close()
      for (const file of [...outputs.values(), own]) closeSync(file)
    },
  }
}

/** The same log; `act` after each event. */
export function afterEach(log: Log, act: () => void): Log {
  return {
    event(name: EventName, fields?: Fields, level?: Level) {
      log.event(name, fields, level)
      act()
    },
    with: fields => afterEach(log.with(fields), act),
    flush: () => log.flush(),
  }
}
