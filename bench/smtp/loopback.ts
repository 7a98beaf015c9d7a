/**
 * The server over loopback, against the `smtp-server` library of npm: the same load on both, in turns. smtp-source waits for
 * each reply, so that a message is four reads and four writes of a socket, whoever serves: how far from there a server
 * can get at all is shown by a third one, which does nothing else.
 */

import { join } from 'node:path'
import { which } from '../../test/peers/need.ts'
import { type DiscardServer, startDiscardServer, startSmtpServer } from '../../test/peers/smtp-server.ts'
import { runSmtpSource } from '../../test/peers/smtp-source.ts'
import { type Figure, median } from './report.ts'

const SESSIONS = 20
const OCTETS = 4096

interface Spell {
  readonly perSecond: number
  readonly cpuMicroseconds: number
}

export async function loopback(quick: boolean): Promise<Figure[]> {
  if (which('smtp-source') === null) {
    console.error('SKIPPED: loopback: smtp-source not installed: apt-get install postfix')
    return []
  }
  const messages = quick ? 6000 : 30_000
  const rounds = quick ? 3 : 9
  const here = (name: string) => startDiscardServer(join(import.meta.dirname, name))
  const servers = {
    ours: await here('discard.ts'),
    'npm smtp-server': await startSmtpServer(),
    'bare sockets': await here('bare.ts'),
  }
  const spells = new Map<string, Spell[]>()
  try {
    for (const server of Object.values(servers)) await load(server, messages / 2)
    for (let round = 0; round < rounds; round++) {
      for (const [name, server] of Object.entries(servers)) {
        spells.set(name, [...(spells.get(name) ?? []), await load(server, messages)])
      }
    }
  } finally {
    for (const server of Object.values(servers)) await server.stop()
  }
  return figuresOf(spells, rounds)
}

function figuresOf(spells: ReadonlyMap<string, readonly Spell[]>, rounds: number): Figure[] {
  const theirs = spells.get('npm smtp-server') ?? []
  const figures: Figure[] = []
  for (const [name, own] of spells) {
    const message = `messages of 4 KiB from ${SESSIONS} sessions, ${name}`
    const cpu = median(own.map(({ cpuMicroseconds }) => cpuMicroseconds))
    figures.push({
      name: message,
      value: median(own.map(({ perSecond }) => perSecond)),
      unit: '/s',
      note: `CPU time ${Math.round(cpu)} µs each`,
    })
  }
  for (const [name, own] of spells) {
    if (own === theirs) continue
    // Round by round: whatever else the machine does, both had it.
    const ratio = (figure: (spell: Spell) => number) =>
      median(own.map((spell, round) => figure(spell) / figure(theirs[round] ?? spell)))
    figures.push({
      name: `  ${name} to npm smtp-server`,
      value: ratio(({ perSecond }) => perSecond),
      unit: 'times',
      ...(name === 'ours' ? { aim: { least: 2 } } : {}),
      note: `median of ${rounds} rounds; by CPU time ${(1 / ratio(({ cpuMicroseconds }) => cpuMicroseconds)).toFixed(2)}`,
    })
  }
  return figures
}

async function load(server: DiscardServer, messages: number): Promise<Spell> {
  const before = await server.cpuSeconds()
  const ms = await runSmtpSource({ port: server.port, messages, sessions: SESSIONS, octets: OCTETS })
  const seconds = (await server.cpuSeconds()) - before
  return { perSecond: (messages / ms) * 1000, cpuMicroseconds: (seconds / messages) * 1e6 }
}
