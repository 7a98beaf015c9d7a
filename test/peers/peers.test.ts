/** The peers of this folder work by themselves: a failure elsewhere is then not theirs. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startExim } from './exim.ts'
import { needExim } from './exim-program.ts'
import { awaitMessages } from './maildir.ts'
import { need } from './need.ts'
import { needPostfix, startPostfix } from './postfix.ts'
import { run } from './program.ts'
import { startSmtpSink } from './smtp-sink.ts'

const MESSAGE = ['--from', 'alice@example.test', '--to', 'bob@internet.test', '--body', 'How are you?']

test('smtp-sink keeps what it is sent', async t => {
  if (!need(t, 'smtp-sink', 'swaks')) return
  const sink = await startSmtpSink()
  t.after(() => sink.stop())
  const sent = await run('swaks', ['--server', '127.0.0.1', '--port', String(sink.port), ...MESSAGE])
  assert.equal(sent.code, 0, sent.output)
  const [message = '', ...more] = sink.messages()
  assert.deepEqual(more, [])
  assert.match(message, /^X-Mail-Args: <alice@example\.test>/m)
  assert.match(message, /^X-Rcpt-Args: <bob@internet\.test>/m)
  assert.match(message, /^How are you\?$/m)
})

test('smtp-sink refuses what it is told to refuse', async t => {
  if (!need(t, 'smtp-sink', 'swaks')) return
  const sink = await startSmtpSink({ args: ['-r', 'RCPT'] })
  t.after(() => sink.stop())
  const sent = await run('swaks', ['--server', '127.0.0.1', '--port', String(sink.port), ...MESSAGE])
  assert.equal(sent.code, 24, sent.output)
  assert.match(sent.output, /450 4\.3\.0/)
  assert.deepEqual(sink.messages(), [])
})

test('Postfix takes a message over STARTTLS into its Maildir', async t => {
  if (!need(t, 'swaks') || !needPostfix(t)) return
  const postfix = await startPostfix({ domains: ['internet.test', 'example.net'] })
  t.after(() => postfix.stop())
  const options = ['--server', '127.0.0.1', '--port', String(postfix.port), '--tls', '--tls-verify']
  options.push('--tls-ca-path', postfix.certificate)
  const sent = await run('swaks', [...options, ...MESSAGE])
  assert.equal(sent.code, 0, sent.output)
  const [message] = await awaitMessages(postfix.maildir, 1)
  assert.match(
    message?.octets.toString() ?? '',
    /^Delivered-To: bob@internet\.test\n.*using TLSv1\.3.*How are/ms,
  )
  const relayed = await run('swaks', [...options, ...MESSAGE, '--to', 'eve@example.org'])
  assert.equal(relayed.code, 24, relayed.output)
})

test('Exim takes a message over STARTTLS into its Maildir', async t => {
  if (!need(t, 'swaks') || !needExim(t)) return
  const exim = await startExim({ domains: ['internet.test', 'example.net'] })
  t.after(() => exim.stop())
  const options = ['--server', '127.0.0.1', '--port', String(exim.port), '--tls']
  const sent = await run('swaks', [...options, ...MESSAGE])
  assert.equal(sent.code, 0, `${sent.output}${exim.log()}`)
  const [message] = await awaitMessages(exim.maildir, 1)
  assert.match(message?.octets.toString() ?? '', /^Received: .*with esmtps {2}\(TLS1\.3\).*^How are you\?$/ms)
  const relayed = await run('swaks', [...options, ...MESSAGE, '--to', 'eve@example.org'])
  assert.equal(relayed.code, 24, relayed.output)
})
