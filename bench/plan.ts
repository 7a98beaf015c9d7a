/** What is measured: who with which messages, for how long, how often. */

import type { DoorName } from './systems/system.ts'

export type SystemName = 'ptt' | 'postfix' | 'exim' | 'haraka' | 'opensmtpd'

/** A system, and the door that messages go in by. The 250 of each is durable: how, and how that was seen, `bench/peers/` tell. */
export interface Contender {
  readonly name: string
  readonly system: SystemName
  readonly door: DoorName
  readonly signed: boolean
}

export const CONTENDERS: readonly Contender[] = [
  { name: 'ptt', system: 'ptt', door: 'tls', signed: true },
  { name: 'postfix+opendkim', system: 'postfix', door: 'plain', signed: true },
  { name: 'postfix+opendkim/tls', system: 'postfix', door: 'tls', signed: true },
  { name: 'exim', system: 'exim', door: 'plain', signed: true },
  { name: 'exim/tls', system: 'exim', door: 'tls', signed: true },
  { name: 'haraka', system: 'haraka', door: 'plain', signed: true },
  { name: 'haraka/tls', system: 'haraka', door: 'tls', signed: true },
  { name: 'opensmtpd', system: 'opensmtpd', door: 'plain', signed: true },
  { name: 'ptt/relay', system: 'ptt', door: 'relay', signed: false },
  { name: 'postfix/unsigned', system: 'postfix', door: 'unsigned', signed: false },
]

const KIB = 1024
const MIB = 1024 * KIB

export interface Row {
  readonly name: string
  readonly title: string
  readonly contenders: (contender: Contender) => boolean
  readonly sessions: number
  readonly sizeOctets: number
  readonly destinations: number
  /** Of each contender, in turn with the others. */
  readonly rounds: number
  readonly seconds: number
  /** Of each contender just before its first round: messages as large go other ways, in other memory, than those that warmed it up. */
  readonly warmUpSeconds: number
  /** Messages a second as a share of what the contender took in the first row; null: as many as it takes. */
  readonly load: number | null
  /** With --quick, each by one door: so many rounds of so many seconds; null: not at all. */
  readonly quick: { readonly rounds: number; readonly seconds: number } | null
}

const usual = {
  contenders: ({ signed, door }: Contender) => signed && door === 'plain',
  sessions: 20,
  sizeOctets: 4 * KIB,
  destinations: 1,
  rounds: 2,
  seconds: 3,
  warmUpSeconds: 0,
  load: null,
  quick: null,
}
const ours = ({ system }: Contender) => system === 'ptt'
const signed = (contender: Contender) => contender.signed
/** Each by the door it is quickest at; ptt has but one. */
export const byOneDoor = (contender: Contender) =>
  usual.contenders(contender) || (ours(contender) && contender.signed)

export const ROWS: readonly Row[] = [
  {
    ...usual,
    name: '4k',
    title: '4 KiB, 20 sessions, 1 destination',
    contenders: signed,
    rounds: 3,
    quick: { rounds: 2, seconds: 3 },
  },
  {
    ...usual,
    name: 'half-load',
    title: '4 KiB, at half of that rate',
    contenders: signed,
    rounds: 1,
    seconds: 5,
    load: 0.5,
    quick: { rounds: 1, seconds: 2 },
  },
  {
    ...usual,
    name: '1k',
    title: '1 KiB, 20 sessions, 1 destination',
    contenders: byOneDoor,
    sizeOctets: KIB,
  },
  {
    ...usual,
    name: '50k',
    title: '50 KiB, 20 sessions, 1 destination',
    contenders: byOneDoor,
    sizeOctets: 50 * KIB,
  },
  {
    ...usual,
    name: '1m',
    title: '1 MiB, 20 sessions, 1 destination',
    contenders: byOneDoor,
    sizeOctets: MIB,
    warmUpSeconds: 2,
  },
  {
    ...usual,
    name: '1-session',
    title: '4 KiB, 1 session, 1 destination',
    contenders: byOneDoor,
    sessions: 1,
  },
  {
    ...usual,
    name: '100-sessions',
    title: '4 KiB, 100 sessions, 1 destination',
    contenders: byOneDoor,
    sessions: 100,
  },
  {
    ...usual,
    name: '100-destinations',
    title: '4 KiB, 20 sessions, 100 destinations',
    contenders: byOneDoor,
    destinations: 100,
  },
  {
    ...usual,
    name: '25m',
    title: '25 MiB, 4 sessions, 1 destination',
    contenders: byOneDoor,
    // The headers that a system adds must have room in what ptt takes at most.
    sizeOctets: 25 * MIB - 16 * KIB,
    sessions: 4,
    // A message takes most of a second: in a short run beginning and end count, where most stages have no work.
    seconds: 8,
    warmUpSeconds: 8,
  },
  {
    ...usual,
    name: 'unsigned',
    title: '4 KiB, 20 sessions, not signed: the relay alone',
    contenders: contender => !contender.signed,
    rounds: 3,
  },
]
