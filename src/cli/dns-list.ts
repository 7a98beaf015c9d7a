/** `ptt dns list`: what our zones have that concerns mail, read whole from the primary, and who wrote it. */

import { readSecret } from '../config/file.ts'
import { loadConfig } from '../config/load.ts'
import { parseTsigKey } from '../dns/tsig.ts'
import { type Entry, inventory } from '../dns-plan/inventory.ts'
import type { Settings } from '../dns-plan/plan.ts'
import type { View } from '../dns-plan/view.ts'
import type { Endpoint } from '../net/endpoint.ts'
import { transferZone } from '../net/nsupdate-transfer.ts'
import { formatColumns } from './repository.ts'

/** What a line shows of a key; --json has all of it. */
const SHOWN = 60

export interface ListOptions {
  readonly config: string
  readonly json?: true
}

/** @throws FileError for a TSIG key that cannot be read */
export async function list(view: View, settings: Settings, options: ListOptions): Promise<void> {
  const tsigKey = parseTsigKey(readSecret(loadConfig(options.config).signer.tsigKey))
  const places = await Promise.all(settings.domains.map(domain => view.place(domain)))
  const troubles: string[] = []
  const zones = new Map<string, Endpoint>()
  for (const place of places) {
    if ('kind' in place) troubles.push(place.reason)
    else if ('kind' in place.primary) troubles.push(place.primary.reason)
    else zones.set(place.zone, place.primary)
  }
  const entries: Entry[] = []
  for (const [zone, primary] of zones) {
    const found = await transferZone(primary, zone, tsigKey)
    if (found.kind === 'zone') entries.push(...inventory(found.records, { zone, ...settings }))
    else troubles.push(found.reason)
  }
  process.stdout.write(options.json ? json(entries) : table(entries))
  for (const trouble of new Set(troubles)) process.stderr.write(`ptt dns list: ${trouble}\n`)
  if (troubles.length > 0) process.exitCode = 1
}

function json(entries: readonly Entry[]): string {
  return entries.map(entry => `${JSON.stringify(entry)}\n`).join('')
}

function table(entries: readonly Entry[]): string {
  if (entries.length === 0) return ''
  const rows = entries.map(({ writer, name, type, ttlSeconds, value }) => [
    writer ?? '-',
    name,
    String(ttlSeconds),
    type,
    value.length > SHOWN ? `${value.slice(0, SHOWN - 1)}…` : value,
  ])
  return formatColumns([['BY', 'NAME', 'TTL', 'TYPE', 'VALUE'], ...rows])
}
