/** The units in systemd/: what systemd thinks of them, and that they and the examples of ptt.toml beside them agree. */

import assert from 'node:assert/strict'
import { chmodSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { after, test } from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { need } from '../peers/need.ts'
import { run, temporaryFolder } from '../peers/program.ts'

/** Of 10; `systemd-analyze security` calls what is below 2 OK. What is left is the network, V8 and /usr. */
const MOST_EXPOSED = 1.2

const folder = join(import.meta.dirname, '../../systemd')
const files = globSync('ptt-*.*', { cwd: folder }).toSorted()
const services = files.filter(name => name.endsWith('.service') && !name.includes('submission-'))
const temporary = temporaryFolder('units')
after(() => temporary.remove())

const lines = (name: string, key: string): string[] =>
  readFileSync(join(folder, name), 'utf8')
    .split('\n')
    .flatMap(line => (line.startsWith(`${key}=`) ? [line.slice(key.length + 1)] : []))

test('systemd-analyze finds nothing wrong', async t => {
  if (!need(t, 'systemd-analyze')) return
  // It looks whether the programs are there: where the units say, in a tree of their own.
  const at = (path: string) => join(temporary.path, path)
  mkdirSync(at('etc/systemd/system'), { recursive: true })
  mkdirSync(at('usr/bin'), { recursive: true })
  for (const program of ['ptt', 'kill', 'systemctl']) {
    writeFileSync(at(`usr/bin/${program}`), '#!/bin/sh\n')
    chmodSync(at(`usr/bin/${program}`), 0o755)
  }
  // What is of systemd itself, as far as the units name it.
  for (const name of ['network-online', 'multi-user', 'sockets', 'sysinit', 'basic', 'shutdown', 'paths'])
    writeFileSync(at(`etc/systemd/system/${name}.target`), '[Unit]\nDescription=Of systemd\n')
  for (const name of files) writeFileSync(at(`etc/systemd/system/${name}`), readFileSync(join(folder, name)))
  const { code, output } = await run('systemd-analyze', [
    ...['verify', '--man=no', '--root', temporary.path],
    ...files.map(name => `/etc/systemd/system/${name}`),
  ])
  assert.equal(code, 0, output)
  assert.doesNotMatch(output, /ptt-/, output)
})

for (const name of services) {
  test(`${name} is hardened`, async t => {
    if (!need(t, 'systemd-analyze')) return
    const { code, output } = await run('systemd-analyze', [
      ...['security', '--offline=true', '--no-pager', `--threshold=${MOST_EXPOSED * 10}`],
      join(folder, name),
    ])
    assert.equal(code, 0, output)
  })

  test(`${name} gives its service what the example of its configuration names`, () => {
    const service = /^ptt-(\w+)\./.exec(name)?.[1] ?? ''
    const [start = ''] = lines(name, 'ExecStart')
    const [, word, file = ''] = /^\/usr\/bin\/ptt (\w+) --config \/etc\/ptt\/([\w.]+)$/.exec(start) ?? []
    assert.equal(word, service)
    const config = loadConfig(join(folder, file))
    const given = lines(name, 'LoadCredential').map(line => line.split(':')[0])
    const own = { ...config[service as 'relay'], ...(service === 'certificate' ? config.signer : config.hop) }
    const asked = Object.values(own).flatMap(value => /^credential:(.*)$/.exec(String(value))?.[1] ?? [])
    assert.deepEqual(given.toSorted(), asked.toSorted())
    // What it writes is in the folder that is its own; the files of the repository are none of it.
    const written = Object.entries(own).filter(([key]) => ['clone', 'spool', 'state'].includes(key))
    assert.ok(written.length > 0)
    const mine = service === 'certificate' ? [['state', config.certificate?.state]] : written
    for (const [key, path] of mine)
      assert.ok(String(path).startsWith(`/var/lib/${lines(name, 'StateDirectory')}/`), `${key}: ${path}`)
  })
}

test('each socket is for a service that is there, at the port the configuration names', () => {
  const config = loadConfig(join(folder, 'ptt.toml'))
  const ports = {
    submissions: 465,
    submission: 587,
    smtp: [config.submission.signer.port, config.signer.relay.port],
  }
  const sockets = files.filter(name => name.endsWith('.socket'))
  assert.equal(sockets.length, 4)
  for (const name of sockets) {
    const service = lines(name, 'Service')[0] ?? `${basename(name, '.socket')}.service`
    assert.ok(services.includes(service), name)
    const [given = ''] = lines(name, 'FileDescriptorName')
    const port = Number(lines(name, 'ListenStream')[0]?.split(':').at(-1))
    assert.ok([ports[given as 'smtp']].flat().includes(port), `${name}: ${given} ${port}`)
  }
})
