/** Answers of DNS: read, remembered, found again. */

import type { DnsAnswer } from '../../src/dns/answer.ts'
import { AnswerCache } from '../../src/dns/cache.ts'
import { decodeMessage, encodeMessage } from '../../src/dns/message.ts'
import { mailHosts } from '../../src/dns/mx.ts'
import { canonicalName } from '../../src/dns/name.ts'
import type { Mx } from '../../src/dns/rdata.ts'
import { inTurn, type Operation, type Room, seeded } from './measure.ts'

const DOMAINS = 1000

export const dns: Room = { name: 'dns', operations }

function operations(): Operation[] {
  const random = seeded(11)
  const names = Array.from({ length: DOMAINS }, (_, at) => `D${at}.Example.net`)
  const cache = new AnswerCache(2 * DOMAINS)
  const answerOf = (name: string): DnsAnswer<Mx> => ({
    kind: 'answer',
    records: [10, 20].map(preference => ({ preference, exchange: `mx${preference}.${name}` })),
    ttlSeconds: 3600,
    authenticated: false,
    name,
  })
  for (const name of names) cache.put(name, 'MX', answerOf(name), 0)
  const messages = names.slice(0, 64).map(name =>
    encodeMessage({
      id: 7,
      questions: [{ name, type: 'MX', class: 'IN' }],
      answers: [10, 20].map(preference => ({
        name,
        type: 'MX',
        class: 'IN',
        ttlSeconds: 3600,
        data: { preference, exchange: `mx${preference}.${name}` },
      })),
    }),
  )
  const answers = names.map(name => [name, answerOf(name)] as const)
  return [
    { name: 'name, canonical', run: inTurn(names, canonicalName) },
    { name: 'answer with two MX, read', run: inTurn(messages, decodeMessage) },
    {
      name: 'answer, remembered',
      run: inTurn(answers, ([name, answer]) => cache.put(name, 'MX', answer, 0)),
    },
    { name: 'answer, found again', run: inTurn(names, name => cache.get(name, 'MX', 1000)) },
    {
      name: 'mail hosts of a domain',
      run: inTurn(answers, ([name, answer]) => mailHosts(name, answer, random)),
    },
  ]
}
