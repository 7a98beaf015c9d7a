/** What happens to messages, in one line a hop: made of what the services log, for the person at the terminal. */

import { isId, timeOfId } from '../message/id.ts'

/** A line of a log as `observe/log` writes it. */
export interface Entry {
  readonly service: string
  readonly event: string
  readonly timeMs: number
  /** The message id; empty where it is not about a message. */
  readonly id: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** `null`: not a line of ours. */
export function parseEntry(line: string): Entry | null {
  let parsed: unknown
  try {
    parsed = JSON.parse(line)
  } catch {
    return null
  }
  if (typeof parsed !== 'object' || parsed === null) return null
  const fields = parsed as Readonly<Record<string, unknown>>
  const { service, event, time, id } = fields
  if (typeof service !== 'string' || typeof event !== 'string') return null
  return {
    service,
    event,
    timeMs: Date.parse(String(time)),
    id: typeof id === 'string' && isId(id) ? id : '',
    fields,
  }
}

/** The way of a message that is delivered, in the order of the hops. */
export const HOPS = [
  'submission accepted',
  'signer signed',
  'relay queued',
  'relay delivered',
  'internet delivered',
]

export const hopOf = ({ service, event }: Entry): number => HOPS.indexOf(`${service} ${event}`)

/** The line for the terminal; `null` for what is told to nobody but the log. */
export function tell(entry: Entry): string | null {
  const words = wordsFor(entry)
  if (words === null) return null
  const after = entry.id === '' ? '' : `${Math.max(0, Math.round(entry.timeMs - timeOfId(entry.id)))} ms`
  const head = `${after.padStart(9)}  ${entry.service.padEnd(10)} ${entry.event.padEnd(9)}`
  return `${head} ${[entry.id, ...words].filter(word => word !== '').join(' ')}`
}

function wordsFor(entry: Entry): string[] | null {
  const { service, event, fields } = entry
  const said = (key: string, before = ''): string => {
    const value = fields[key]
    return value === undefined || value === null || value === '' ? '' : `${before}${String(value)}`
  }
  switch (event) {
    case 'accepted':
      // The DNS server accepts updates.
      return service === 'submission'
        ? [said('reverse_path', 'from '), said('user', 'of ')]
        : [said('update')]
    case 'signed':
      return [said('domain', 'd='), said('selector', 's=')]
    case 'queued':
    case 'duplicate':
      return [said('size'), 'octets']
    case 'delivered':
      // The relay's own notices, on their way to the signer: told when they are queued.
      if (entry.id === '') return null
      return service === 'internet'
        ? [said('recipient', 'to '), said('dkim', 'dkim='), said('reason')]
        : [said('recipients', 'to '), said('remote', 'by ')]
    case 'deferred':
      return [said('recipients', 'to '), said('due', 'until '), said('reply')]
    case 'bounced':
      return [said('recipients', 'to '), said('reply')]
    case 'notice':
      return [said('about', 'about ')]
    case 'refused':
      // What the pretend Internet refuses, the relay tells with the id of the message.
      return service === 'internet' ? null : [said('verb'), said('reply'), said('reason')]
    case 'alarm':
    case 'failed':
      return [said('about'), said('reason'), said('error')]
    case 'stopped': {
      // A service that ended and is started again; an orderly end is told by the one line that says that all is over.
      const again = said('restart_ms')
      return again === ''
        ? null
        : [said('child'), said('signal'), said('code', 'status '), `again in ${again} ms`]
    }
    default:
      return null
  }
}
