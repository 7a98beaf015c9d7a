/** Whole messages of 4 KB: how close to bare `crypto.sign` the signer comes on all cores, and what it does beside. */

import { generateKeyPairSync, sign } from 'node:crypto'
import { availableParallelism } from 'node:os'
import type { SigningKey } from '../../src/dkim/sign.ts'
import { authorsFor, identityOf, signMessage } from '../../src/signer/sign-message.ts'
import { signOnEachCore } from '../../src/signer/sign-message-threads.ts'
import { type Figure, isReached, median } from '../smtp/report.ts'
import { mainThread } from './main-thread.ts'

signOnEachCore()

const rsa: SigningKey = {
  signingDomain: 'example.com',
  selector: 'ptt-rsa',
  algorithm: 'rsa-sha256',
  privateKey: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
}
const ed25519: SigningKey = {
  signingDomain: 'example.com',
  selector: 'ptt-ed25519',
  algorithm: 'ed25519-sha256',
  privateKey: generateKeyPairSync('ed25519').privateKey,
}

const HEADER = [
  'Received: from [192.0.2.7] (client.example.com [192.0.2.7]) by mail.example.com with ESMTPSA',
  ' id 01K9ZQ4W2T8J6N3R5V7XABCDEF; Fri, 21 Nov 2025 10:20:30 +0000',
  'From: Joe SixPack <joe@example.com>',
  'To: Suzie Q <suzie@shopping.example.net>, Tom <tom@shopping.example.net>',
  'Cc: Rates <rates@example.org>',
  'Subject: =?utf-8?q?Is_dinner_ready=3F_K=C3=B6ln?=',
  'Date: Fri, 21 Nov 2025 10:20:30 +0000',
  'Message-ID: <20251121102030.46341.5F8J@example.com>',
  'In-Reply-To: <1763720430.77@shopping.example.net>',
  'References: <1763720400.75@shopping.example.net> <1763720410.76@example.com>',
  ' <1763720430.77@shopping.example.net>',
  'MIME-Version: 1.0',
  'Content-Type: text/plain; charset=utf-8; format=flowed',
  'Content-Transfer-Encoding: 8bit',
  'User-Agent: Telegraph/1.0',
  '',
  '',
].join('\r\n')
const TEXT =
  'The telegraph office opens at eight. Whoever comes earlier may read the\r\nnotices at the door, and wait.\r\n'
const MESSAGE = Buffer.alloc(4096, HEADER + TEXT.repeat(40))
const CONTENT = [MESSAGE]
const DOMAINS: ReadonlySet<string> = new Set([rsa.signingDomain])
const TIMES = { timestampSeconds: 1_763_720_430, expirationSeconds: 1_764_325_230 }

/** What the signer does with a message between its arrival and its departure. */
async function signOne(keys: readonly SigningKey[]): Promise<void> {
  const authors = authorsFor(DOMAINS, CONTENT)
  const identity = identityOf('joe@example.com', authors)
  const { header } = authors
  await signMessage(keys, CONTENT, { ...TIMES, header, ...(identity !== undefined && { identity }) })
}

/** As many octets as a header hash is computed of. */
const INPUT = MESSAGE.subarray(0, 1024)

function bare(): Promise<void> {
  return new Promise((resolve, reject) => {
    sign('sha256', INPUT, rsa.privateKey, error => (error ? reject(error) : resolve()))
  })
}

interface Round {
  readonly perSecond: number
  /** Of all threads, for each message. */
  readonly cpuMicroseconds: number
  /** CPU time of the thread that JavaScript runs in, for each message. */
  readonly mainMicroseconds: number
}

/** Enough in flight that no core ever waits for the main thread, also where that has to wait for others. */
const FLIGHT = 128 * availableParallelism()

async function round(count: number, one: () => Promise<void>): Promise<Round> {
  const cpu = process.threadCpuUsage()
  const all = process.cpuUsage()
  const begin = performance.now()
  let begun = 0
  const worker = async (): Promise<void> => {
    while (begun++ < count) await one()
  }
  await Promise.all(Array.from({ length: FLIGHT }, worker))
  const seconds = (performance.now() - begin) / 1000
  const main = process.threadCpuUsage(cpu)
  const sum = process.cpuUsage(all)
  return {
    perSecond: count / seconds,
    cpuMicroseconds: (sum.user + sum.system) / count,
    mainMicroseconds: (main.user + main.system) / count,
  }
}

export async function messages(quick: boolean): Promise<Figure[]> {
  const rounds = quick ? 3 : 8
  const count = quick ? 1000 : 2000
  // A signer runs for weeks: what V8 does of its first seconds, to compile what is used much, is not asked for here.
  await round(quick ? 4000 : 20_000, () => signOne([rsa]))
  await round(count, () => signOne([rsa, ed25519]))
  await round(count, bare)
  const results: Record<'bare' | 'rsa' | 'both', Round[]> = { bare: [], rsa: [], both: [] }
  for (let i = 0; i < rounds; i++) {
    // In turn, so that what else the machine does is done to all of them.
    results.bare.push(await round(count, bare))
    results.rsa.push(await round(count, () => signOne([rsa])))
    results.both.push(await round(count, () => signOne([rsa, ed25519])))
  }
  const rate = (of: readonly Round[]): number => median(of.map(({ perSecond }) => perSecond))
  const main = (of: readonly Round[]): number => median(of.map(({ mainMicroseconds }) => mainMicroseconds))
  const ratio = (of: readonly Round[]): number =>
    100 * median(of.map(({ perSecond }, i) => perSecond / (results.bare[i]?.perSecond ?? Number.NaN)))
  const cpuRatio = (of: readonly Round[]): number =>
    100 *
    median(
      of.map(({ cpuMicroseconds }, i) => (results.bare[i]?.cpuMicroseconds ?? Number.NaN) / cpuMicroseconds),
    )
  const cores = availableParallelism()
  const figures: Figure[] = [
    { name: `bare crypto.sign, RSA-2048, ${cores} cores`, value: rate(results.bare), unit: '/s' },
    { name: 'messages of 4 KB, RSA-2048', value: rate(results.rsa), unit: '/s' },
    { name: 'messages of 4 KB, RSA-2048 and Ed25519', value: rate(results.both), unit: '/s' },
    {
      name: 'RSA-2048: of the rate of bare crypto.sign',
      value: ratio(results.rsa),
      unit: '%',
      aim: { least: 90 },
    },
    {
      name: 'RSA-2048: the same by the CPU time of all threads',
      value: cpuRatio(results.rsa),
      unit: '%',
      aim: { least: 90 },
      note: 'nearer to it where the machine has other work',
    },
    {
      name: 'RSA-2048 and Ed25519: of that rate',
      value: ratio(results.both),
      unit: '%',
      note: `by CPU time ${cpuRatio(results.both).toFixed(0)} %`,
    },
    {
      name: 'beside RSA, for each message: CPU time of the main thread',
      value: main(results.rsa),
      unit: 'µs',
      aim: { most: 60 },
      note: `bare crypto.sign ${main(results.bare).toFixed(0)}, with Ed25519 ${main(results.both).toFixed(0)}`,
    },
  ]
  if (figures.every(isReached)) return figures
  return [...figures, ...(await mainThread(() => round(6000, () => signOne([rsa]))))]
}
