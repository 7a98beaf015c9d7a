/** What another program reads in our failure notices: Python's email package. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildNotification, type StatusNotification } from '../../src/message/dsn.ts'
import { need } from '../peers/need.ts'
import { run } from '../peers/program.ts'

const PYTHON = '/usr/bin/python3'
const PROGRAM = `
import email, email.policy, json, sys
message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.SMTPUTF8)
defects = [repr(defect) for part in message.walk() for defect in part.defects]
text, status, original = message.get_payload()
def content(part):
    payload = part.get_payload()
    if isinstance(payload, list): return [dict((k.lower(), str(v)) for k, v in block.items()) for block in payload]
    return part.get_content()
print(json.dumps({
    'defects': defects, 'type': message.get_content_type(), 'report': message.get_param('report-type'),
    'to': str(message['to']), 'auto': str(message['auto-submitted']),
    'text': content(text), 'statusType': status.get_content_type(), 'status': content(status),
    'originalType': original.get_content_type(), 'original': content(original),
}))
`

interface Read {
  readonly defects: string[]
  readonly type: string
  readonly report: string
  readonly to: string
  readonly auto: string
  readonly text: string
  readonly statusType: string
  readonly status: Record<string, string>[]
  readonly originalType: string
  readonly original: Record<string, string>[] | string
}

async function read(notice: StatusNotification): Promise<Read> {
  const { code, output } = await run(PYTHON, ['-c', PROGRAM], { input: buildNotification(notice) })
  assert.equal(code, 0, output)
  return JSON.parse(output) as Read
}

const NOW = Date.UTC(2025, 8, 5, 10, 0, 0)
const ascii: StatusNotification = {
  language: 'en',
  action: 'failed',
  id: '01K4CQZ8Y0ABCDEFGHJKMNPQRS',
  reportingMta: 'relay.example.com',
  postmaster: { localPart: 'postmaster', domain: 'example.com' },
  recipient: { localPart: 'alice smith', domain: 'example.com' },
  arrivedMs: NOW - 3_600_000,
  nowMs: NOW,
  reports: ['bob', 'carol'].map(localPart => ({
    mailbox: { localPart, domain: 'example.net' },
    evidence: {
      atMs: NOW,
      status: '5.1.1',
      diagnostic: `550 5.1.1 no ${localPart} ${'here '.repeat(40)}`,
      remote: 'mx.example.net [192.0.2.1]',
    },
  })),
  original: Buffer.from('From: alice@example.com\r\nSubject: =?utf-8?Q?D=C3=AEner?=\r\n\r\n--=_x\r\nHi\r\n'),
  smtputf8: false,
}

test('Python reads a notice', async t => {
  if (!need(t, PYTHON)) return
  const notice = await read(ascii)
  assert.deepEqual(notice.defects, [])
  assert.equal(notice.type, 'multipart/report')
  assert.equal(notice.report, 'delivery-status')
  assert.equal(notice.to, '"alice smith"@example.com')
  assert.equal(notice.auto, 'auto-replied')
  assert.match(notice.text, /Subject: Dîner/)
  assert.equal(notice.statusType, 'message/delivery-status')
  assert.equal(notice.status.length, 3)
  assert.equal(notice.status[0]?.['reporting-mta'], 'dns; relay.example.com')
  assert.deepEqual(
    notice.status
      .slice(1)
      .map(fields => [fields['final-recipient'], fields.action, fields.status, fields['remote-mta']]),
    [
      ['rfc822; bob@example.net', 'failed', '5.1.1', 'dns; mx.example.net'],
      ['rfc822; carol@example.net', 'failed', '5.1.1', 'dns; mx.example.net'],
    ],
  )
  assert.match(notice.status[2]?.['diagnostic-code'] ?? '', /^smtp; 550 5\.1\.1 no carol here here/)
  assert.equal(notice.originalType, 'message/rfc822')
  assert.deepEqual(notice.original, [{ from: 'alice@example.com', subject: 'Dîner' }])
})

test('Python reads one in the types of RFC 6533', async t => {
  if (!need(t, PYTHON)) return
  const notice = await read({
    ...ascii,
    recipient: { localPart: 'jörg', domain: 'example.com' },
    reports: [
      {
        mailbox: { localPart: '用户', domain: '例子.example' },
        evidence: { atMs: NOW, status: '5.1.1', diagnostic: '550 5.1.1 没有', remote: 'mx.example' },
      },
    ],
    original: Buffer.from('From: jörg@example.com\r\nSubject: 你好\r\n\r\nHi\r\n'),
    smtputf8: true,
  })
  assert.deepEqual(notice.defects, [])
  assert.equal(notice.report, 'global-delivery-status')
  assert.equal(notice.to, 'jörg@example.com')
  assert.match(notice.text, /用户@例子\.example/)
  assert.equal(notice.statusType, 'message/global-delivery-status')
  assert.equal(notice.originalType, 'message/global')
  assert.deepEqual(notice.original, [{ from: 'jörg@example.com', subject: '你好' }])
})

test('Python reads a header in quoted-printable', async t => {
  if (!need(t, PYTHON)) return
  const header = `From: alice@example.com\r\nSubject: Gr\xfc\xdfe\r\n`
  const notice = await read({ ...ascii, original: Buffer.from(`${header}\r\nHi\r\n`, 'latin1') })
  assert.deepEqual(notice.defects, [])
  assert.equal(notice.originalType, 'text/rfc822-headers')
  assert.match(String(notice.original), /^From: alice@example\.com\r?\nSubject: Gr/)
})
