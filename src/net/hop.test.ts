import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ClientSession } from '../smtp/client.ts'
import type { EnvelopeRecipient } from '../smtp/envelope.ts'
import type { MailParameters } from '../smtp/parameter.ts'
import type { Mailbox } from '../smtp/path.ts'
import { reply } from '../smtp/reply.ts'
import { type ServerEvent, ServerSession } from '../smtp/server.ts'
import { hopSession } from './hop.ts'

/** A client and a hop that have said EHLO to each other, under TLS as it is on a hop. */
function hop(): { client: ClientSession; server: ServerSession } {
  const server = new ServerSession({ ...hopSession('relay.example'), tls: 'implicit' })
  const client = new ClientSession({ hostname: 'signer.example' })
  hear(client, server.greeting())
  const [said] = ask(server, client.ehlo())
  assert.ok(said?.type === 'reply')
  hear(client, said.octets)
  return { client, server }
}

const hear = (client: ClientSession, octets: Uint8Array) => [...client.receive(octets)]

/** Whatever is asked, the answer is yes. */
function ask(server: ServerSession, octets: Uint8Array): ServerEvent[] {
  const events: ServerEvent[] = []
  for (const event of server.receive(octets)) {
    events.push(event)
    if (event.type === 'mail' || event.type === 'rcpt') server.reply(reply(250, '2.0.0', 'OK'))
  }
  return events
}

const plainly = { noNullPrototype: true } as const

const localPart = fc.oneof(
  fc.stringMatching(/^[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}$/),
  fc.stringMatching(/^[ -~]{1,20}$/),
  fc.constantFrom('jörg', '用户', 'a"b\\c'),
)
const mailbox: fc.Arbitrary<Mailbox> = fc.record(
  {
    localPart,
    domain: fc.constantFrom('example.com', '[192.0.2.1]', '[IPv6:2001:db8::1]', 'bücher.example'),
  },
  plainly,
)
const printable = fc.stringMatching(/^[\t -~]{1,33}$/)

const mailParameters: fc.Arbitrary<MailParameters> = fc.record(
  {
    body: fc.constantFrom('7BIT', '8BITMIME'),
    smtputf8: fc.constant(true),
    sizeOctets: fc.nat(2 ** 30),
    authenticatedAs: fc.constantFrom(null, 'alice@example.com', '"a b"@example.com', 'e=mc2+x@example.com'),
    ret: fc.constantFrom('FULL', 'HDRS'),
    envelopeId: printable,
    requireTls: fc.constant(true),
    hold: fc.oneof(
      fc.record({ forSeconds: fc.integer({ min: 1, max: 999_999_999 }) }, plainly),
      fc.record(
        { untilMs: fc.integer({ min: 0, max: 4_000_000_000 }).map(seconds => seconds * 1000) },
        plainly,
      ),
    ),
    deliverBy: fc.oneof(deliverBy('R', 1), deliverBy('N', -999_999_999)),
    priority: fc.integer({ min: -9, max: 9 }),
    xptt: fc.record(
      { id: fc.stringMatching(/^[0-9A-Z]{26}$/), commit: fc.stringMatching(/^[0-9a-f]{40}$/) },
      { requiredKeys: ['id'], ...plainly },
    ),
  },
  { requiredKeys: ['body', 'smtputf8'], ...plainly },
)

function deliverBy<const Mode extends 'R' | 'N'>(mode: Mode, min: number) {
  const seconds = fc.integer({ min, max: 999_999_999 })
  return fc.record({ seconds, mode: fc.constant(mode), trace: fc.boolean() }, plainly)
}

const recipient: fc.Arbitrary<EnvelopeRecipient> = fc.record(
  {
    forwardPath: mailbox,
    notify: fc.shuffledSubarray(['SUCCESS', 'FAILURE', 'DELAY'] as const),
    originalRecipient: fc.oneof(
      fc.record({ addressType: fc.constantFrom('rfc822', 'X400'), address: printable }, plainly),
      fc.record(
        { addressType: fc.constant('utf-8'), address: fc.constantFrom('jörg+a@example.com', '用户\\') },
        plainly,
      ),
    ),
  },
  { requiredKeys: ['forwardPath'], ...plainly },
)

test('property: over a hop an envelope arrives as it was sent', () => {
  fc.assert(
    fc.property(
      fc.option(mailbox),
      mailParameters,
      fc.array(recipient, { minLength: 1, maxLength: 3 }),
      (reversePath, parameters, recipients) => {
        const { client, server } = hop()
        const [mail, ...others] = ask(server, client.mail(reversePath, parameters))
        assert.deepEqual(mail, { type: 'mail', reversePath, parameters })
        assert.deepEqual(others, [])
        for (const sent of recipients) {
          const { forwardPath: _, ...rest } = sent
          assert.deepEqual(ask(server, client.rcpt(sent)), [
            { type: 'rcpt', recipient: sent, parameters: rest },
          ])
        }
        assert.deepEqual(server.envelope, { reversePath, ...parameters, recipients })
      },
    ),
    { numRuns: 500, seed: 5321 },
  )
})

test('a hop offers what submission takes, but FUTURERELEASE (RFC 4865 §4.2.2)', () => {
  const { extensions } = hop().client
  for (const keyword of ['DSN', 'REQUIRETLS', 'LIMITS', 'DELIVERBY', 'MT-PRIORITY', 'XPTT']) {
    assert.ok(extensions.has(keyword), keyword)
  }
  assert.ok(!extensions.has('FUTURERELEASE'))
  // A connection that is kept takes any number of messages.
  assert.deepEqual(extensions.limits, { rcptMax: 100_000 })
})
