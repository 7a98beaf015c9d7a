/** Postfix's smtp-sink: accepts everything, or refuses what `args` say; keeps each message in a file. */

import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from './port.ts'
import { accepting, isRoot, start, temporaryFolder } from './program.ts'

export interface SmtpSink {
  readonly port: number
  /** One string a message: the X-Mail-Args, X-Rcpt-Args… lines of smtp-sink, its Received, then what it was sent; LF. */
  messages(): string[]
  output(): string
  stop(): Promise<void>
}

export interface SmtpSinkOptions {
  /** 127.0.0.1 when not given: with others of 127.0.0.0/8 many can have the same port, as MXs do. */
  readonly host?: string
  /** A free one when not given. */
  readonly port?: number
  /** False for benchmarks: messages are thrown away. */
  readonly dump?: boolean
  /** As in smtp-sink(1): `['-r', 'RCPT']` refuses RCPT with 450, `['-f', '.']` the message with 500, `['-8']`… */
  readonly args?: readonly string[]
}

export async function startSmtpSink(options: SmtpSinkOptions = {}): Promise<SmtpSink> {
  const folder = temporaryFolder('smtp-sink')
  const dump = join(folder.path, 'dump')
  mkdirSync(dump)
  // It writes as nobody.
  chmodSync(dump, 0o777)
  const host = options.host ?? '127.0.0.1'
  const port = options.port ?? (await freePort())
  const sink = start(
    'smtp-sink',
    [
      ...['-v', '-4'],
      ...(isRoot ? ['-u', 'nobody'] : []),
      ...((options.dump ?? true) ? ['-d', 'dump/message.'] : []),
      ...(options.args ?? []),
      ...[`${host}:${port}`, '128'],
    ],
    { cwd: folder.path },
  )
  const alive = () => sink.process.exitCode === null && sink.process.pid !== undefined
  await accepting(port, alive, sink.output, host)
  return {
    port,
    messages: () => readdirSync(dump).map(name => readFileSync(join(dump, name), 'latin1')),
    output: sink.output,
    async stop() {
      await sink.stop()
      folder.remove()
      assert.notEqual(sink.process.signalCode ?? sink.process.exitCode, null)
    },
  }
}
