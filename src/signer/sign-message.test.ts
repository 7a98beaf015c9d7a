import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { MessageSigner, type SigningKey } from '../dkim/sign.ts'
import { SmtpError } from '../smtp/error.ts'
import { formatMailbox } from '../smtp/path.ts'
import { formatReply } from '../smtp/reply.ts'
import { authorsFor, identityOf, signMessage } from './sign-message.ts'

const key: SigningKey = {
  signingDomain: 'example.com',
  selector: 'ptt',
  // Its signatures are the same each time.
  algorithm: 'ed25519-sha256',
  privateKey: generateKeyPairSync('ed25519').privateKey,
}
const TIME = { timestampSeconds: 1_757_000_000 }

const from = (value: string): Buffer[] => [Buffer.from(`From: ${value}\r\n\r\n`)]

const DOMAINS = new Set(['example.com', 'news.example.com', 'xn--bcher-kva.example'])

const authors: [from: string, authors: string[], signingDomains: string[]][] = [
  ['joe@example.com', ['joe@example.com'], ['example.com']],
  ['Joe <joe@EXAMPLE.com>', ['joe@EXAMPLE.com'], ['example.com']],
  ['joe@mail.example.com', ['joe@mail.example.com'], ['example.com']],
  // The closest has its own keys.
  ['joe@a.news.example.com', ['joe@a.news.example.com'], ['news.example.com']],
  ['joe@bücher.example', ['joe@bücher.example'], ['xn--bcher-kva.example']],
  ['a@example.com, b@x.example.com', ['a@example.com', 'b@x.example.com'], ['example.com']],
  [
    'a@example.com, b@news.example.com',
    ['a@example.com', 'b@news.example.com'],
    ['example.com', 'news.example.com'],
  ],
]

for (const [value, mailboxes, signingDomains] of authors)
  test(`From: ${value} is signed by ${signingDomains.join(' and ')}`, () => {
    const found = authorsFor(DOMAINS, from(value))
    assert.deepEqual(
      found.authors.map(mailbox => formatMailbox(mailbox)),
      mailboxes,
    )
    assert.deepEqual(found.signingDomains, signingDomains)
  })

for (const value of ['joe@example.net', 'a@example.com, b@example.net', 'joe@badexample.com', 'joe@com'])
  test(`From: ${value} is refused: there is no key`, () => {
    assert.throws(
      () => authorsFor(DOMAINS, from(value)),
      thrown => thrown instanceof SmtpError && /^550 5\.7\.1 .*no key/.test(formatReply(thrown.reply)),
    )
  })

const identities: [authenticatedAs: string | null | undefined, from: string, identity: string | undefined][] =
  [
    ['joe@example.com', 'joe@example.com', 'joe@example.com'],
    ['joe@example.com', 'Joe@Example.com', 'joe@example.com'],
    ['jörg@bücher.example', 'jörg@bücher.example', 'jörg@xn--bcher-kva.example'],
    // t=s may stand in the record.
    ['joe@mail.example.com', 'joe@mail.example.com', undefined],
    // An alias: who is behind it is nobody's business.
    ['joe@example.com', 'sales@example.com', undefined],
    ['joe@example.com', 'joe@news.example.com', undefined],
    ['joe@example.com', 'joe@example.com, sue@example.com', undefined],
    // Nobody has signed in.
    [null, 'postmaster@example.com', undefined],
    [undefined, 'joe@example.com', undefined],
    ['robot', 'joe@example.com', undefined],
  ]

for (const [authenticatedAs, value, identity] of identities)
  test(`${authenticatedAs} writes as ${value}: i=${identity ?? 'nobody'}`, () => {
    const found = identityOf(authenticatedAs, authorsFor(DOMAINS, from(value)))
    assert.equal(found && formatMailbox(found), identity)
  })

const HEADER = Buffer.from('From: joe@example.com\r\n\r\n')
const MIB = 1024 * 1024
const large = [
  HEADER,
  Buffer.alloc(25 * MIB, 'The telegraph office opens at eight. \r\n'),
  Buffer.from(' .\r\n'),
]

test('a large message is signed a slice at a time, and to the same signature', async () => {
  const signer = new MessageSigner([key], TIME)
  for (const piece of large) signer.update(piece)
  const watch = countTurns()
  const signature = await signMessage([key], large, TIME)
  assert.ok(watch.end() >= 100, 'others had their turn a hundred times')
  assert.deepEqual(signature, await signer.finish())
})

test('large messages take turns: in one turn of the loop a slice of one message is hashed, however many there are', async () => {
  const watch = countTurns()
  const read = new Map<number, number>()
  // The next slice is asked for in the turn in which the one before it was hashed.
  const sliced = {
    *[Symbol.iterator]() {
      for (let at = 0; at < 20; at++) {
        const now = watch.now()
        read.set(now, (read.get(now) ?? 0) + 1)
        yield at === 0 ? HEADER : Buffer.alloc(256 * 1024, 'x\r\n')
      }
    },
  }
  const content = sliced as unknown as Uint8Array[]
  await Promise.all([1, 2, 3].map(() => signMessage([key], content, TIME)))
  watch.end()
  // The first slices are hashed as the messages come.
  const [, ...later] = [...read.values()]
  assert.ok(later.length >= 3 * 10, `${later.length} turns`)
  assert.deepEqual([...new Set(later)], [1])
})

test('a small message is hashed in the turn it came in', async () => {
  const pieces = [HEADER, ...Array.from({ length: 15 }, () => Buffer.alloc(16 * 1024, 'x\r\n'))]
  const signer = new MessageSigner([key], TIME)
  for (const piece of pieces) signer.update(piece)
  const signing = signMessage([key], pieces, TIME)
  // What is not hashed by now is lost.
  pieces.splice(0)
  assert.deepEqual(await signing, await signer.finish())
})

/** How often the event loop came round. */
function countTurns(): { now: () => number; end: () => number } {
  let turns = 0
  let next: NodeJS.Immediate
  const count = (): void => {
    turns++
    next = setImmediate(count)
  }
  next = setImmediate(count)
  return {
    now: () => turns,
    end: () => {
      clearImmediate(next)
      return turns
    },
  }
}
