/**
 * The server over loopback, against the `smtp-server` library of npm: the same load on both, in turns. smtp-source waits for
 * each reply, so that a message is four reads and four writes of a socket, whoever serves: how far from there a server
 * can get at all is shown by a third one, which does nothing else. What is missed is explained: how much of the CPU time is
 * the kernel's and how much the client's, and a profile of the server.
 */

import { join } from 'node:path'
import { which } from '../../test/peers/need.ts'
import {
  type CpuTime,
  type DiscardServer,
  startDiscardServer,
  startSmtpServer,
} from '../../test/peers/smtp-server.ts'
import { runSmtpSource } from '../../test/peers/smtp-source.ts'
import { formatShares, type Shares } from './profile.ts'
import { type Figure, median } from './report.ts'

const SESSIONS = 20
const OCTETS = 4096

/** One run of smtp-source; CPU time for each message. */
interface Spell {
  readonly perSecond: number
  readonly programMicroseconds: number
  readonly kernelMicroseconds: number
  readonly clientMicroseconds: number
}

export async function loopback(quick: boolean): Promise<Figure[]> {
  if (which('smtp-source') === null) {
    console.error('SKIPPED: loopback: smtp-source not installed: apt-get install postfix')
    return []
  }
  const messages = quick ? 6000 : 20_000
  const rounds = quick ? 3 : 9
  const here = (name: string) => startDiscardServer(join(import.meta.dirname, name))
  const servers = {
    ours: await here('discard.ts'),
    npm: await startSmtpServer(),
    bare: await here('bare.ts'),
  }
  const spells: Record<keyof typeof servers, Spell[]> = { ours: [], npm: [], bare: [] }
  try {
    for (const server of Object.values(servers)) await load(server, messages / 2)
    for (let round = 0; round < rounds; round++) {
      for (const name of ['ours', 'npm', 'bare'] as const)
        spells[name].push(await load(servers[name], messages))
    }
    const shares = { ours: await profile(servers.ours), bare: await profile(servers.bare) }
    return [...rates(spells), ...ratios(spells), ...reasons(spells, shares)]
  } finally {
    for (const server of Object.values(servers)) await server.stop()
  }
}

type Spells = Readonly<Record<'ours' | 'npm' | 'bare', readonly Spell[]>>

const NAMES = { ours: 'ours', npm: 'npm smtp-server', bare: 'a socket that parses nothing' } as const
const cpuOf = (spell: Spell): number => spell.programMicroseconds + spell.kernelMicroseconds
const rateOf = (spell: Spell): number => spell.perSecond

function rates(spells: Spells): Figure[] {
  return (['ours', 'npm', 'bare'] as const).map(name => {
    const own = spells[name]
    const each = (figure: (spell: Spell) => number) => Math.round(median(own.map(figure)))
    return {
      name: `messages of 4 KiB from ${SESSIONS} sessions, ${NAMES[name]}`,
      value: median(own.map(rateOf)),
      unit: '/s',
      note:
        `CPU time of each: program ${each(spell => spell.programMicroseconds)} µs, ` +
        `kernel ${each(spell => spell.kernelMicroseconds)} µs; client ${each(spell => spell.clientMicroseconds)} µs`,
    }
  })
}

/** Round by round: whatever else the machine does, both had it. */
function ratio(spells: Spells, one: keyof Spells, other: keyof Spells, of: (spell: Spell) => number): number {
  return median(
    spells[one].map((spell, round) => {
      const against = spells[other][round]
      return against === undefined ? Number.NaN : of(spell) / of(against)
    }),
  )
}

function ratios(spells: Spells): Figure[] {
  const times = (one: 'ours' | 'bare'): Figure => ({
    name: `  ${NAMES[one]} to npm smtp-server`,
    value: ratio(spells, one, 'npm', rateOf),
    unit: 'times',
    note: `by CPU time ${ratio(spells, 'npm', one, cpuOf).toFixed(2)}`,
  })
  return [
    { ...times('ours'), aim: { least: 2 } },
    { ...times('bare'), note: `the most there is; ${times('bare').note}` },
    {
      name: '  ours of the most there is',
      value: 100 * ratio(spells, 'ours', 'bare', rateOf),
      unit: '%',
      note: `by CPU time ${(100 * ratio(spells, 'bare', 'ours', cpuOf)).toFixed(0)} %`,
    },
  ]
}

/** Why no server gets much further. */
function reasons(spells: Spells, shares: Readonly<Record<'ours' | 'bare', Shares>>): Figure[] {
  const share = (of: (spell: Spell) => number) =>
    100 * median(spells.ours.map(spell => of(spell) / (cpuOf(spell) + spell.clientMicroseconds)))
  return [
    {
      name: '  of all CPU time, with ours: the client and its kernel',
      value: share(spell => spell.clientMicroseconds),
      unit: '%',
    },
    {
      name: "  of all CPU time, with ours: the server's kernel",
      value: share(spell => spell.kernelMicroseconds),
      unit: '%',
      note: `profile of the server: ${formatShares(shares.ours)}`,
    },
    {
      name: '  of all CPU time, with ours: the server itself',
      value: share(spell => spell.programMicroseconds),
      unit: '%',
      note: `profile of a socket that parses nothing: ${formatShares(shares.bare)}`,
    },
  ]
}

async function load(server: DiscardServer, messages: number): Promise<Spell> {
  const before = (await server.ask('cpu')) as CpuTime
  const source = { port: server.port, messages, sessions: SESSIONS, octets: OCTETS }
  const { ms, cpuSeconds } = await runSmtpSource(source)
  const after = (await server.ask('cpu')) as CpuTime
  return {
    perSecond: (messages / ms) * 1000,
    programMicroseconds: (after.user - before.user) / messages,
    kernelMicroseconds: (after.system - before.system) / messages,
    clientMicroseconds: (cpuSeconds / messages) * 1e6,
  }
}

/** Under the same load, which takes longer than the profile. */
async function profile(server: DiscardServer): Promise<Shares> {
  const source = { port: server.port, messages: 30_000, sessions: SESSIONS, octets: OCTETS }
  const [shares] = await Promise.all([server.ask('profile'), runSmtpSource(source)])
  return shares as Shares
}
