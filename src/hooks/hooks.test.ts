import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { logTo } from '../observe/event.ts'
import { listenForHooks } from './hooks.ts'

/** The example of GitHub's documentation, "Validating webhook deliveries". */
const SECRET = "It's a Secret to Everybody"
const BODY = 'Hello, World!'
const SIGNATURE = '757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'

async function listen(t: TestContext) {
  const told: string[] = []
  let refreshed = 0
  const log = logTo((name, fields) => told.push(`${name} ${fields.sender ?? fields.reason ?? ''}`.trimEnd()))
  const hooks = await listenForHooks({
    address: { host: '127.0.0.1', port: 0 },
    secret: SECRET,
    refresh: async () => {
      refreshed++
    },
    log,
  })
  t.after(() => hooks.close())
  return { port: hooks.port, told, refreshes: () => refreshed }
}

test('who knows the secret is told 202, and the repository is looked at; nobody else', async t => {
  const { port, told, refreshes } = await listen(t)
  const rows: [headers: Record<string, string>, code: number, sender: string][] = [
    [{ 'X-Hub-Signature-256': `sha256=${SIGNATURE}` }, 202, 'github'],
    [{ 'X-Gitea-Signature': SIGNATURE }, 202, 'gitea'],
    [{ 'X-Gitlab-Token': SECRET }, 202, 'gitlab'],
    [{}, 401, ''],
    [{ 'X-Hub-Signature-256': SIGNATURE }, 401, ''],
    [{ 'X-Hub-Signature-256': `sha256=${SIGNATURE.replace('7', '8')}` }, 401, ''],
    [{ 'X-Gitea-Signature': createHmac('sha256', 'another').update(BODY).digest('hex') }, 401, ''],
    [{ 'X-Gitea-Signature': '' }, 401, ''],
    [{ 'X-Gitlab-Token': `${SECRET}.` }, 401, ''],
    // SHA-1, which GitHub still sends: not enough.
    [{ 'X-Hub-Signature': `sha1=${createHmac('sha1', SECRET).update(BODY).digest('hex')}` }, 401, ''],
  ]
  let expected = 0
  for (const [headers, code, sender] of rows) {
    const answer = await fetch(`http://127.0.0.1:${port}/hooks/git`, { method: 'POST', headers, body: BODY })
    assert.equal(answer.status, code, JSON.stringify(headers))
    await answer.text()
    if (code === 202) expected++
    assert.equal(refreshes(), expected)
    assert.match(told.at(-1) ?? '', code === 202 ? new RegExp(`^reloaded ${sender}$`) : /^refused No sig/)
  }
})

test('the signature is of this body', async t => {
  const { port, refreshes } = await listen(t)
  const headers = { 'X-Hub-Signature-256': `sha256=${SIGNATURE}` }
  const url = `http://127.0.0.1:${port}/hooks/git`
  assert.equal((await fetch(url, { method: 'POST', headers, body: `${BODY}!` })).status, 401)
  assert.equal(refreshes(), 0)
})

test('nothing else is there', async t => {
  const { port, refreshes } = await listen(t)
  const at = (path: string, method: string) => fetch(`http://127.0.0.1:${port}${path}`, { method })
  assert.equal((await at('/', 'POST')).status, 404)
  assert.equal((await at('/hooks/git/x', 'POST')).status, 404)
  assert.equal((await at('/hooks/git', 'GET')).status, 405)
  assert.equal(refreshes(), 0)
})

test('a body that does not end: 413 once it is too long, and nothing of it is kept', async t => {
  const { port, refreshes } = await listen(t)
  const socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.on('error', () => {})
  let said = ''
  socket.setEncoding('latin1').on('data', text => {
    said += text
  })
  const closed = new Promise<void>(resolve => socket.once('close', () => resolve()))
  socket.write('POST /hooks/git HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
  const chunk = `100000\r\n${'x'.repeat(0x100000)}\r\n`
  for (let mebibytes = 0; mebibytes < 26 && !socket.destroyed; mebibytes++) socket.write(chunk)
  await closed
  assert.match(said, /^HTTP\/1\.1 413 /)
  assert.equal(refreshes(), 0)
})
