/** Mail as people and programs write it, from a seed: no two messages are the same, and all of them every time. */

import { seeded } from './measure.ts'

const NAMES = [
  'alice',
  'bob',
  'carol.smith',
  'dave+news',
  'erin',
  'frank.w',
  'grace',
  'heidi-maria',
  'no-reply',
]
const DOMAINS = ['example.com', 'example.net', 'mail.example.org', 'post.internet.test', 'a.b.example.com']
const WORDS =
  'the telegraph office opens at eight whoever comes earlier may read notices near a door which are changed on Mondays and wait'
    .split(' ')
    .concat(['Köln', 'rates=20', '1763720430', 'https://www.example.com/rates?of=today'])

const MESSAGE_OCTETS = 4096

export interface Mail {
  readonly octets: Buffer
  readonly header: Buffer
  readonly body: Buffer
}

export interface Writer {
  pick<T>(from: readonly [T, ...T[]] | readonly T[]): T
  words(count: number): string
  address(): string
}

export function writer(seed: number): Writer {
  const random = seeded(seed)
  const pick = <T>(from: readonly T[]): T => {
    const one = from[Math.floor(random() * from.length)]
    if (one === undefined) throw new RangeError('nothing to pick from')
    return one
  }
  return {
    pick,
    words: count => Array.from({ length: count }, () => pick(WORDS)).join(' '),
    address: () => `${pick(NAMES)}@${pick(DOMAINS)}`,
  }
}

/** 4 KiB each. From is of example.com. */
export function mails(count: number, seed = 7): Mail[] {
  const write = writer(seed)
  return Array.from({ length: count }, (_, number) => mail(write, number))
}

function mail({ pick, words, address }: Writer, number: number): Mail {
  const many = Array.from({ length: 1 + (number % 4) }, () => `"${words(2)}" <${address()}>`)
  const header = Buffer.from(
    [
      `Received: from [192.0.2.${number % 250}] (client.example.com [192.0.2.7]) by mail.example.com with ESMTPSA`,
      ' id 01K9ZQ4W2T8J6N3R5V7XABCDEF; Fri, 21 Nov 2025 10:20:30 +0000',
      `From: ${pick(['Alice', 'Alice A. Smith', '"Smith, Alice"'])} <${pick(NAMES)}@example.com>`,
      `To: ${many.join(',\r\n ')}`,
      ...(number % 3 === 0 ? [`Cc: ${address()}, ${address()}`] : []),
      `Subject: ${words(4 + (number % 5))}`,
      'Date: Fri, 21 Nov 2025 10:20:30 +0000',
      `Message-ID: <${1_763_720_430 + number}.77@example.com>`,
      ...(number % 2 === 0
        ? [
            `References: <${number}.75@example.net>\r\n <${number}.76@example.com>`,
            `In-Reply-To: <${number}.76@example.com>`,
          ]
        : []),
      'MIME-Version: 1.0',
      `Content-Type: text/${pick(['plain', 'html'])}; charset=utf-8`,
      'Content-Transfer-Encoding: 8bit',
      'User-Agent: Telegraph/1.0',
      '',
      '',
    ].join('\r\n'),
  )
  const lines: string[] = []
  for (let octets = 0; octets < MESSAGE_OCTETS; octets += (lines.at(-1) ?? '').length)
    lines.push(`${words(3 + (lines.length % 9))}${pick(['', '', ' ', '  two'])}\r\n`)
  const body = Buffer.from(lines.join('')).subarray(0, MESSAGE_OCTETS - header.length - 2)
  const octets = Buffer.concat([header, body, Buffer.from('\r\n')])
  return { octets, header: octets.subarray(0, header.length), body: octets.subarray(header.length) }
}
