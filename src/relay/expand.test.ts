import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Directory } from '../directory/directory.ts'
import { foldMailbox } from '../directory/may-send.ts'
import { formatNotify } from '../smtp/dsn.ts'
import type { EnvelopeRecipient } from '../smtp/envelope.ts'
import { formatMailbox, parseMailbox } from '../smtp/path.ts'
import { expand } from './expand.ts'

const mailbox = (address: string) => parseMailbox(address, { utf8: true })

/** As the directory has them: followed to their end. */
const TARGETS: Readonly<Record<string, readonly string[]>> = {
  'alice@example.test': ['alice@home.test'],
  'sales@example.test': ['alice@home.test', 'bob@example.test', 'Carol@internet.test'],
  'info@example.test': ['dora@internet.test'],
  'grüße@example.test': ['alice@home.test'],
}

const directory: Directory = {
  commit: 'c0ffee',
  domains: new Set(['example.test']),
  scram: true,
  user: () => undefined,
  targets: address => TARGETS[formatMailbox(foldMailbox(address))]?.map(mailbox),
}

type Wishes = Omit<EnvelopeRecipient, 'forwardPath'>
const recipient = (address: string, wishes: Wishes = {}): EnvelopeRecipient => ({
  forwardPath: mailbox(address),
  ...wishes,
})

/** `address NOTIFY ORCPT` */
function shown({ forwardPath, notify, originalRecipient }: EnvelopeRecipient): string {
  const original = originalRecipient && `${originalRecipient.addressType};${originalRecipient.address}`
  return [formatMailbox(forwardPath), notify && formatNotify(notify), original]
    .filter(part => part !== undefined)
    .join(' ')
}

const ORCPT = { originalRecipient: { addressType: 'rfc822', address: 'Boss@Company.test' } }
const rows: [what: string, recipients: EnvelopeRecipient[], delivered: string[], expanded: string[]][] = [
  ['the Internet', [recipient('bob@internet.test')], ['bob@internet.test'], []],
  ['a mailbox of ours that leads nowhere else', [recipient('bob@example.test')], ['bob@example.test'], []],
  [
    'RFC 3461 §5.2.7.2: a single target, with all that was asked for',
    [recipient('alice@example.test', { notify: ['SUCCESS', 'DELAY'], ...ORCPT })],
    ['alice@home.test SUCCESS,DELAY rfc822;Boss@Company.test'],
    [],
  ],
  [
    'ORCPT is the address that was written to, in its own letters',
    [recipient('Info@Example.test')],
    ['dora@internet.test rfc822;Info@Example.test'],
    [],
  ],
  ['beyond ASCII', [recipient('Grüße@example.test')], ['alice@home.test utf-8;Grüße@example.test'], []],
  [
    'RFC 3461 §5.2.7.3 c: several, without SUCCESS, of which the notice "expanded" tells',
    [recipient('sales@example.test', { notify: ['SUCCESS', 'FAILURE'] })],
    [
      'alice@home.test FAILURE rfc822;sales@example.test',
      'bob@example.test FAILURE rfc822;sales@example.test',
      'Carol@internet.test FAILURE rfc822;sales@example.test',
    ],
    ['sales@example.test SUCCESS,FAILURE'],
  ],
  [
    'nobody asked for SUCCESS: nothing to tell',
    [recipient('sales@example.test', { notify: [] })],
    [
      'alice@home.test NEVER rfc822;sales@example.test',
      'bob@example.test NEVER rfc822;sales@example.test',
      'Carol@internet.test NEVER rfc822;sales@example.test',
    ],
    [],
  ],
  [
    'each once: named twice, by two ways; our own in any case, others as they are written',
    [
      recipient('alice@example.test', { notify: ['FAILURE'] }),
      recipient('BOB@example.test', { notify: [] }),
      recipient('carol@internet.test'),
      recipient('sales@example.test', { notify: ['DELAY'] }),
    ],
    [
      'alice@home.test FAILURE,DELAY rfc822;alice@example.test',
      'BOB@example.test DELAY',
      'carol@internet.test',
      'Carol@internet.test DELAY rfc822;sales@example.test',
    ],
    [],
  ],
  [
    'one of them said nothing: FAILURE and DELAY stay',
    [recipient('alice@home.test'), recipient('alice@example.test', { notify: [] })],
    ['alice@home.test FAILURE,DELAY'],
    [],
  ],
  [
    'no alias: whom the sender names twice is none of our business',
    [recipient('bob@internet.test'), recipient('bob@internet.test')],
    ['bob@internet.test', 'bob@internet.test'],
    [],
  ],
]

for (const [what, recipients, delivered, expanded] of rows)
  test(`expansion: ${what}`, () => {
    const expansion = expand(recipients, directory)
    assert.deepEqual(expansion.recipients.map(shown), delivered)
    assert.deepEqual(expansion.expanded.map(shown), expanded)
  })

test('expansion: an ORCPT that no peer would take is not made', () => {
  const local = 'ü'.repeat(30)
  const long: Directory = { ...directory, targets: () => [mailbox('alice@home.test')] }
  const [short] = expand([recipient(`${local}@example.test`)], long).recipients
  assert.equal(short?.originalRecipient?.address, `${local}@example.test`)
  const domain = `${'ä'.repeat(30)}.${'ö'.repeat(30)}.test`
  const [without] = expand([recipient(`${local}@${domain}`)], long).recipients
  assert.equal(without?.originalRecipient, undefined)
})
