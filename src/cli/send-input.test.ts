import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatMailbox } from '../smtp/path.ts'
import { contentOf, envelopeOf, qualified, readInput, recipientsOf } from './send-input.ts'

const alice = { localPart: 'alice', domain: 'example.test' }

function sent(input: string, ignoreDots = false): string {
  return Buffer.concat(contentOf(readInput(Buffer.from(input, 'latin1'), { ignoreDots }), alice)).toString(
    'latin1',
  )
}

const FROM = 'From: <alice@example.test>\r\n'
const inputs: [what: string, input: string, message: string, ignoreDots?: boolean][] = [
  ['LF becomes CRLF', 'From: a@b.c\n\none\ntwo\n', 'From: a@b.c\r\n\r\none\r\ntwo\r\n'],
  ['CRLF stays', 'From: a@b.c\r\n\r\none\r\n', 'From: a@b.c\r\n\r\none\r\n'],
  ['a bare CR stays, for the server to refuse', 'From: a@b.c\n\no\rne\n', 'From: a@b.c\r\n\r\no\rne\r\n'],
  ['the last line gets its end', 'From: a@b.c\n\none', 'From: a@b.c\r\n\r\none\r\n'],
  ['a lone dot ends the message', 'From: a@b.c\n\none\n.\ntwo\n', 'From: a@b.c\r\n\r\none\r\n'],
  ['a lone dot with CRLF too', 'From: a@b.c\r\n\r\none\r\n.\r\ntwo\r\n', 'From: a@b.c\r\n\r\none\r\n'],
  ['a lone dot as the last thing', 'From: a@b.c\n\none\n.', 'From: a@b.c\r\n\r\none\r\n'],
  ['a lone dot as the first thing', '.\nSubject: x\n\none\n', `${FROM}\r\n`],
  ['with -i a dot is text', 'From: a@b.c\n\none\n.\ntwo\n', 'From: a@b.c\r\n\r\none\r\n.\r\ntwo\r\n', true],
  [
    'dots at the start of longer lines are text',
    'From: a@b.c\n\n..\n.x\n',
    'From: a@b.c\r\n\r\n..\r\n.x\r\n',
  ],
  ['no header at all', 'Hello\nBob\n', `${FROM}\r\nHello\r\nBob\r\n`],
  ['an empty line first', '\nTo: nobody\n', `${FROM}\r\nTo: nobody\r\n`],
  ['text right after the header', 'Subject: x\nHello\n', `${FROM}Subject: x\r\n\r\nHello\r\n`],
  ['nothing', '', `${FROM}\r\n`],
  ['a From is added', 'Subject: x\n\none\n', `${FROM}Subject: x\r\n\r\none\r\n`],
  ['folded fields stay folded', 'From: a@b.c\nSubject: x\n y\n\n', 'From: a@b.c\r\nSubject: x\r\n y\r\n\r\n'],
  ['Bcc is removed, folded and in any case', 'From: a@b.c\nBCC: d@e.f,\n g@h.i\n\n', 'From: a@b.c\r\n\r\n'],
  ['Resent-Bcc is removed', 'From: a@b.c\nResent-Bcc: d@e.f\n\n', 'From: a@b.c\r\n\r\n'],
  ['Bcc in the body is text', 'From: a@b.c\n\nBcc: d@e.f\n', 'From: a@b.c\r\n\r\nBcc: d@e.f\r\n'],
  ['an mbox line is dropped', 'From a@b.c Sat Jan  3 01:05:34 1996\nFrom: a@b.c\n\n', 'From: a@b.c\r\n\r\n'],
  ['octets above 127 stay', 'From: a@b.c\n\n\xe9\xff\n', 'From: a@b.c\r\n\r\n\xe9\xff\r\n'],
]

for (const [what, input, message, ignoreDots] of inputs) {
  test(`input: ${what}`, () => assert.equal(sent(input, ignoreDots), message))
}

const headers: [header: string, recipients: string[]][] = [
  [
    'To: Bob <bob@b.test>, eve@e.test\nCc: carol@c.test\nBcc: dan@d.test\n',
    ['bob@b.test', 'eve@e.test', 'carol@c.test', 'dan@d.test'],
  ],
  ['To: friends: bob@b.test, eve@e.test;\n', ['bob@b.test', 'eve@e.test']],
  ['To: bob@b.test\nCc: bob@B.TEST\n', ['bob@b.test']],
  ['To: undisclosed-recipients:;\n', []],
  ['To: bob@b.test\nResent-To: eve@e.test\n', ['eve@e.test']],
  ['Subject: x\n', []],
]

for (const [header, recipients] of headers) {
  test(`recipients of ${JSON.stringify(header)}`, () => {
    const found = recipientsOf(readInput(Buffer.from(`${header}\n`), { ignoreDots: false }))
    assert.deepEqual(found.map(formatMailbox), recipients)
  })
}

const envelopes: [what: string, message: string, recipient: string, body: string, smtputf8: boolean][] = [
  ['ASCII', 'Subject: x\n\none\n', 'bob', '7BIT', false],
  ['UTF-8 in the body', 'Subject: x\n\né\n', 'bob', '8BITMIME', false],
  ['UTF-8 in a field', 'Subject: é\n\none\n', 'bob', '8BITMIME', true],
  ['UTF-8 in a local-part', 'Subject: x\n\none\n', 'rené', '7BIT', true],
]

for (const [what, message, localPart, body, smtputf8] of envelopes) {
  test(`envelope: ${what}`, () => {
    const content = contentOf(readInput(Buffer.from(message), { ignoreDots: false }), alice)
    const envelope = envelopeOf(alice, [{ localPart, domain: 'b.test' }], content)
    assert.deepEqual([envelope.body, envelope.smtputf8], [body, smtputf8])
    assert.equal(envelope.sizeOctets, Buffer.concat(content).length)
  })
}

test('Latin-1 in a field needs no SMTPUTF8', () => {
  const content = contentOf(
    readInput(Buffer.from('Subject: \xe9\n\n', 'latin1'), { ignoreDots: false }),
    alice,
  )
  assert.equal(envelopeOf(alice, [alice], content).smtputf8, false)
})

const names: [field: string, qualified: string][] = [
  // What cron writes.
  ['From: root (Cron Daemon)', 'From: root@example.test (Cron Daemon)'],
  ['To: root', 'To: root@example.test'],
  ['Cc: root, www-data,a@b.c', 'Cc: root@example.test, www-data@example.test,a@b.c'],
  ['To: Root <root>', 'To: Root <root@example.test>'],
  ['To: a@b.c (root)', 'To: a@b.c (root)'],
  ['To: "root, alice" <a@b.c>', 'To: "root, alice" <a@b.c>'],
  ['To: friends: a@b.c;', 'To: friends: a@b.c;'],
  ['To:\r\n\troot', 'To: root@example.test'],
  ['Subject: root', 'Subject: root'],
]
for (const [written, whole] of names)
  test(`names of this machine get the domain: ${written}`, () => {
    const input = readInput(Buffer.from(`${written}\r\n\r\n`), { ignoreDots: false })
    const { header } = qualified(input, 'example.test')
    assert.equal(Buffer.concat(header.map(({ octets }) => octets)).toString(), `${whole}\r\n`)
  })
