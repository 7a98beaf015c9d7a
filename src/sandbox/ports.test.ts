import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { areFree, freePorts, movePorts, portsFrom } from './ports.ts'

test('free ports are five different ones, and are free', async () => {
  const ports = await freePorts()
  assert.equal(new Set(Object.values(ports)).size, 5)
  assert.equal(await areFree(ports), true)
})

test('a port another listens on is not free', async t => {
  const ports = await freePorts()
  const server = createServer().listen(ports.relay, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  assert.equal(await areFree(ports), false)
})

test('a base gives five ports in a row', () => {
  assert.deepEqual(portsFrom(4000), {
    submission: 4000,
    signer: 4001,
    relay: 4002,
    internet: 4003,
    dns: 4004,
  })
})

test('ports move in ptt.toml, all at once, and nothing else does', () => {
  const toml = `
# listen = "127.0.0.1:4001"
listen = "127.0.0.1:4000" # was 4000
signer = "127.0.0.1:4001"
relay="127.0.0.1:4002"
resolver = ["127.0.0.1:4004", "127.0.0.1:53"]
smtp_port = 4003
concurrency = 4002
other = "127.0.0.1:40001"
`
  assert.equal(
    movePorts(toml, portsFrom(4000), portsFrom(4001)),
    `
# listen = "127.0.0.1:4001"
listen = "127.0.0.1:4001" # was 4000
signer = "127.0.0.1:4002"
relay="127.0.0.1:4003"
resolver = ["127.0.0.1:4005", "127.0.0.1:53"]
smtp_port = 4004
concurrency = 4002
other = "127.0.0.1:40001"
`,
  )
})
