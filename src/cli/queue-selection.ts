/** Which messages of the queue a command is for: those that are named, or all that match. */

import { type Command, InvalidArgumentError, Option } from 'commander'
import { holdOfDestination, isOver, scopeKey, senderNames } from '../queue/hold.ts'
import type { Filter, Hold, Message, Queue, Recipient } from '../queue/queue.ts'
import { isHeld } from '../relay/times.ts'
import { normalizeDomain } from '../smtp/domain.ts'

const PAGE = 500
const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `scheduled`: for later, as its sender wanted (RFC 4865). `held`: by an operator, or by the relay. */
export type State = 'due' | 'deferred' | 'scheduled' | 'held'
const STATES: readonly State[] = ['due', 'deferred', 'scheduled', 'held']

export interface SelectionOptions {
  readonly sender?: string
  readonly recipient?: string
  readonly domain?: string
  readonly site?: string
  readonly olderThan?: number
  readonly newerThan?: number
  readonly state?: State
}

/** The options that a command has which is for some of the messages. */
export function withSelection(command: Command): Command {
  return command
    .option('--sender <address>', 'from this address, or @domain, or <>', senderName)
    .option('--recipient <address>', 'to this address, or @domain, and not delivered yet', addressName)
    .option('--domain <domain>', 'to this domain, and not delivered yet', normalizeDomain)
    .option('--site <host>', 'last tried at this mail host, or at one below this domain', normalizeDomain)
    .option('--older-than <time>', 'in the queue for longer: 30m, 4h, 2d', duration)
    .option('--newer-than <time>', 'in the queue for less', duration)
    .addOption(new Option('--state <state>', 'what they wait for').choices(STATES))
}

export function isSelective(options: SelectionOptions): boolean {
  const { sender, recipient, domain, site, olderThan, newerThan, state } = options
  return [sender, recipient, domain, site, olderThan, newerThan, state].some(each => each !== undefined)
}

/** Pages of what matches, in order of id, as they are found: some may be empty. All of the queue never is in memory at once. */
export async function* selected(
  queue: Queue,
  options: SelectionOptions,
  {
    after,
    limit = Number.POSITIVE_INFINITY,
  }: { readonly after?: string | undefined; readonly limit?: number } = {},
): AsyncGenerator<Message[]> {
  const nowMs = Date.now()
  const filter = filterOf(options, nowMs)
  const holds = await holdsInForce(queue, nowMs)
  let from = after
  for (let left = limit; left > 0; ) {
    const found = await queue.search({
      limit: Math.min(left, PAGE),
      ...(from === undefined ? {} : { after: from }),
      filter,
    })
    const page = found.messages.filter(message => isSelected(message, options, holds, nowMs))
    yield page
    if (found.after === null) return
    left -= page.length
    from = found.after
  }
}

export async function holdsInForce(queue: Queue, nowMs: number): Promise<ReadonlyMap<string, Hold>> {
  const holds = (await queue.holds()).filter(hold => !isOver(hold, nowMs))
  return new Map(holds.map(hold => [scopeKey(hold), hold]))
}

/** What a recipient waits for; `null`: for nothing any more. */
export function stateOf(
  message: Message,
  recipient: Recipient,
  holds: ReadonlyMap<string, Hold>,
  nowMs: number,
): State | null {
  if (recipient.state !== 'pending') return null
  if (holdFor(message, recipient, holds) !== undefined) return 'held'
  if (isHeld(message, recipient, nowMs)) return 'scheduled'
  return recipient.dueMs > nowMs ? 'deferred' : 'due'
}

/** Also of a site, as far as can be told: where it was tried last. */
export function holdFor(
  message: Message,
  recipient: Recipient,
  holds: ReadonlyMap<string, Hold>,
): Hold | undefined {
  if (holds.size === 0) return undefined
  const names = [
    { kind: 'message', name: message.id } as const,
    ...senderNames(message.reversePath).map(name => ({ kind: 'sender', name }) as const),
  ]
  for (const scope of names) {
    const hold = holds.get(scopeKey(scope))
    if (hold !== undefined) return hold
  }
  const ofDestination = holdOfDestination(holds, recipient.destination)
  if (ofDestination !== undefined) return ofDestination
  const site = recipient.last?.site
  return site === undefined ? undefined : holds.get(scopeKey({ kind: 'site', name: site }))
}

function isSelected(
  message: Message,
  { state, site }: SelectionOptions,
  holds: ReadonlyMap<string, Hold>,
  nowMs: number,
): boolean {
  if (state === undefined && site === undefined) return true
  return message.recipients.some(
    recipient =>
      recipient.state === 'pending' &&
      (state === undefined || stateOf(message, recipient, holds, nowMs) === state) &&
      (site === undefined || isAt(recipient, site)),
  )
}

function isAt({ last }: Recipient, site: string): boolean {
  const host = last?.remote?.split(' ')[0]?.toLowerCase()
  return last?.site === site || host === site || host?.endsWith(`.${site}`) === true
}

function filterOf(
  { sender, recipient, domain, olderThan, newerThan }: SelectionOptions,
  nowMs: number,
): Filter {
  return {
    ...(sender === undefined ? {} : { sender }),
    ...(recipient === undefined ? {} : { recipient }),
    ...(domain === undefined ? {} : { destination: domain }),
    ...(olderThan === undefined ? {} : { beforeMs: nowMs - olderThan }),
    ...(newerThan === undefined ? {} : { fromMs: nowMs - newerThan }),
  }
}

export function senderName(text: string): string {
  return text === '<>' ? text : addressName(text)
}

function addressName(text: string): string {
  if (!/.@.|^@./.test(text)) throw new InvalidArgumentError('Write alice@example.com or @example.com.')
  return text.toLowerCase()
}

/** In ms. */
export function duration(text: string): number {
  const [, count = '', unit = ''] = /^([1-9]\d{0,5})([smhd])$/.exec(text) ?? []
  const ms = UNITS_MS[unit]
  if (ms === undefined) throw new InvalidArgumentError('Write a number and s, m, h or d: 30m, 4h, 2d.')
  return Number(count) * ms
}
