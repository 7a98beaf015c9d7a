/**
 * Three machines, one message: run by machines.test.ts in a network namespace of its own, where this process is the rest of
 * the world: a primary DNS server, a Git host, a time server, and later an MX. Its exit status is the verdict.
 */

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { issue, makeAuthority } from '../../src/cli/authority.ts'
import { formatVerifier, makeVerifier } from '../../src/directory/password.ts'
import { parseTsigKey } from '../../src/dns/tsig.ts'
import type { Service } from '../../src/image/settings.ts'
import { Resolver } from '../../src/net/resolver.ts'
import { silent } from '../../src/observe/event.ts'
import { startDnsServer } from '../../src/sandbox/dns-server.ts'
import { type Delivery, startInternet } from '../../src/sandbox/internet.ts'
import { curl } from '../peers/curl.ts'
import { makeGitRepository } from '../peers/git-repository.ts'
import { startGitSsh } from '../peers/git-ssh.ts'
import { temporaryFolder } from '../peers/program.ts'
import { eventIs, type Machine, type MachineOptions, startMachine } from '../peers/qemu.ts'

const DOMAIN = 'example.test'
const WORLD = '10.77.0.1'
const ADDRESS = { submission: '10.77.0.11', signer: '10.77.0.12', relay: '10.77.0.13' }
const RELAY_V6 = 'fd77::13'
const PASSWORD = 'correct horse battery staple'
const TSIG = `ptt._update.${DOMAIN}:hmac-sha256:${Buffer.alloc(32, 7).toString('base64')}`
const SEED = Buffer.alloc(32, 5).toString('base64')
const MESSAGES = 5

const folder = temporaryFolder('machines')
const at = (name: string) => join(folder.path, name)
const machines: Machine[] = []
/** The folder of the images. */
const [, , images = ''] = process.argv
try {
  await main()
  console.log('three machines, one message: all is well')
} catch (error) {
  for (const machine of machines) console.error(`--- console\n${machine.output().slice(-6000)}`)
  console.error(error)
  process.exitCode = 1
} finally {
  for (const machine of machines) await machine.kill()
  folder.remove()
  process.exit()
}

async function main(): Promise<void> {
  makeNetwork()
  const world = await makeWorld()
  writeFileSync(at('spool.img'), '')
  truncateSync(at('spool.img'), 64 * 2 ** 20)
  const boot = (service: Service, options: string, more: Partial<MachineOptions> = {}) => {
    const machine = startMachine({
      kernel: join(images, `${service}-vmlinuz`),
      initrd: join(images, `${service}-initrd`),
      options: `--domain=${DOMAIN} --ipv4=${ADDRESS[service]}/24 --repository=${world.repository} ${options}`,
      tap: `tap-${service}`,
      mac: `52:54:00:77:00:${ADDRESS[service].slice(-2)}`,
      ...more,
      disks: [configDisk(service, service !== 'signer'), ...(more.disks ?? [])],
    })
    machines.push(machine)
    return machine
  }
  const bootRelay = () =>
    boot('relay', `--ipv6=${RELAY_V6}/64 --resolver=${WORLD} --signer=${ADDRESS.signer}`, {
      disks: [at('spool.img')],
    })

  const first = bootRelay()
  const submission = boot('submission', `--ipv6=none --destination=${ADDRESS.signer}`)
  // Its clock is years behind: without the time server no certificate is good, and no TSIG.
  const signer = boot(
    'signer',
    `--ntp=${WORLD} --ipv6=fd77::12/64 --destination=[${RELAY_V6}] --dns-server=${WORLD} --dns-key=${TSIG} --seed=${SEED} --bits=2048`,
    { args: ['-rtc', 'base=2026-01-02T00:00:00'] },
  )
  await first.line(eventIs('disk', { reason: 'vdb is blank: it is formatted' }))
  for (const machine of [first, submission, signer]) await machine.line(eventIs('started'))
  await signer.line(eventIs('key', { state: 'active' }))

  // Nobody is there yet who would take them.
  const ids: string[] = []
  for (let n = 0; n < MESSAGES; n++) {
    const { code, output } = await curl({
      host: ADDRESS.submission,
      port: 465,
      username: `alice@${DOMAIN}`,
      password: PASSWORD,
      ca: at('hop/ca.pem'),
      from: `alice@${DOMAIN}`,
      to: [`bob${n}@internet.test`],
      message: `From: alice@${DOMAIN}\r\nTo: bob${n}@internet.test\r\nSubject: message ${n}\r\n\r\nHow about tonight?\r\n`,
    })
    assert.equal(code, 0, output)
    const accepted = await submission.line(
      line => line.event === 'accepted' && !ids.includes(String(line.id)),
    )
    ids.push(String(accepted.id))
  }
  await first.line(eventIs('deferred', { id: ids[0] }))
  await first.kill()

  const deliveries = await world.open()
  const second = bootRelay()
  const started = await second.line(eventIs('started'))
  assert.equal(started.queued, MESSAGES, 'what was acknowledged is on the disk')
  assert.ok(
    !second.lines.some(({ reason }) => String(reason).includes('formatted')),
    'a disk that holds something is not formatted',
  )
  for (const id of ids) await second.line(eventIs('delivered', { id }))
  assert.deepEqual(deliveries.map(({ id }) => id).toSorted(), ids.toSorted())
  for (const { verdict } of deliveries) assert.equal(verdict.dkim, 'pass', JSON.stringify(verdict))

  await submission.pressButton()
  await submission.off
  assert.ok(submission.lines.some(eventIs('stopping')), 'the power button ends the service')
  assert.ok(submission.lines.some(eventIs('ended', { level: 'info' })), 'in good order')
  for (const machine of machines)
    for (const secret of [PASSWORD, SEED, TSIG.split(':')[2] ?? '', 'PRIVATE KEY'])
      assert.ok(!machine.output().includes(secret), 'no secret is on a console')
}

function makeNetwork(): void {
  const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'inherit', 'inherit'] })
  ip('link', 'set', 'lo', 'up')
  ip('link', 'add', 'machines', 'type', 'bridge')
  ip('address', 'add', `${WORLD}/24`, 'dev', 'machines')
  ip('-6', 'address', 'add', 'fd77::1/64', 'dev', 'machines', 'nodad')
  ip('link', 'set', 'machines', 'up')
  for (const service of Object.keys(ADDRESS)) {
    ip('tuntap', 'add', 'dev', `tap-${service}`, 'mode', 'tap')
    ip('link', 'set', `tap-${service}`, 'master', 'machines', 'up')
  }
}

interface World {
  /** The Git repository of users, for the machines. */
  readonly repository: string
  /** The MX of internet.test begins to take mail; what it has taken. */
  open(): Promise<readonly Delivery[]>
}

async function makeWorld(): Promise<World> {
  const authority = await makeAuthority(DOMAIN)
  mkdirSync(at('hop'), { recursive: true })
  writeFileSync(at('hop/ca.pem'), authority.certificate)
  for (const role of ['submission', 'signer', 'relay'] as const)
    write(`disk-${role}/hop/${role}`, await issue(authority, { role }))
  write(
    'disk-submission/tls/submission',
    await issue(authority, { names: [`mail.${DOMAIN}`, ADDRESS.submission] }),
  )
  writeFileSync(
    at('disk-relay/ptt.toml'),
    '[relay]\nretry = ["2s"]\nprivate_networks = ["10.77.0.0/24"]\nmta_sts = false\n',
  )

  const users = await makeGitRepository()
  const verifier = formatVerifier(await makeVerifier(PASSWORD, { iterations: 4096 }))
  await users.commit({ [`${DOMAIN}/users/alice.toml`]: `password = "${verifier}"\n` })
  const ssh = await startGitSsh()
  const port = await forward(WORLD, 0, ssh.port)
  const [, key = ''] = / -i (\S+)/.exec(ssh.command) ?? []
  const hostKey = readFileSync(join(key, '../host.pub'), 'utf8')
  for (const role of ['submission', 'signer', 'relay']) {
    writeFileSync(at(`disk-${role}/hop/ca.pem`), authority.certificate)
    mkdirSync(at(`disk-${role}/ssh`))
    writeFileSync(at(`disk-${role}/ssh/id_ed25519`), readFileSync(key))
    writeFileSync(at(`disk-${role}/ssh/known_hosts`), `[${WORLD}]:${port} ${hostKey}`)
  }

  await startDnsServer({
    zones: [
      {
        origin: DOMAIN,
        // Nobody remembers that a record was not there: a key signs as soon as it is published.
        records: [
          { name: '@', type: 'SOA', data: `ns.${DOMAIN} hostmaster.${DOMAIN} 1 3600 600 86400 0` },
          { name: '@', type: 'NS', data: `ns.${DOMAIN}` },
          { name: 'ns', type: 'A', data: WORLD },
        ],
      },
      {
        origin: 'internet.test',
        records: [
          { name: '@', type: 'MX', data: '10 mx.internet.test' },
          { name: 'mx', type: 'A', data: WORLD },
        ],
      },
    ],
    tsigKey: parseTsigKey(TSIG),
    address: '0.0.0.0',
    port: 53,
    log: silent,
  })
  await startTimeServer()
  return {
    repository: `${ssh.url(users.path).replace(/@127\.0\.0\.1:\d+/, `@${WORLD}:${port}`)}`,
    async open() {
      const deliveries: Delivery[] = []
      const internet = await startInternet({
        port: 0,
        hostname: 'mx.internet.test',
        maildir: at('maildir'),
        certificate: await issue(authority, { names: ['mx.internet.test'] }),
        resolver: new Resolver({ servers: [{ host: '127.0.0.1', port: 53 }] }),
        log: silent,
        onDelivery: delivery => deliveries.push(delivery),
      })
      await forward(WORLD, 25, internet.port)
      return deliveries
    },
  }
}

function write(name: string, { certificate, key }: { certificate: string; key: string }): void {
  mkdirSync(join(at(name), '..'), { recursive: true })
  writeFileSync(`${at(name)}.pem`, certificate)
  writeFileSync(`${at(name)}.key`, key)
}

/** An ISO, or a FAT: as `docs/image.md` has them. */
function configDisk(service: Service, iso: boolean): string {
  const [disk, source] = [at(`config-${service}.img`), at(`disk-${service}`)]
  const tool = (name: string, ...args: string[]) =>
    execFileSync(name, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  if (iso) {
    tool('xorriso', '-as', 'mkisofs', '-quiet', '-V', 'PTT', '-R', '-o', disk, source)
    return disk
  }
  writeFileSync(disk, '')
  truncateSync(disk, 2 ** 20)
  tool('mformat', '-i', disk, '-v', 'PTT', '::')
  tool('mcopy', '-i', disk, '-s', ...['hop', 'ssh'].map(name => join(source, name)), '::')
  return disk
}

/** What listens on this machine only is had from the others at `address`. */
async function forward(address: string, port: number, to: number): Promise<number> {
  const server = createServer(from => {
    const onward = connect(to, '127.0.0.1')
    from.pipe(onward).pipe(from)
    for (const socket of [from, onward])
      socket.on('error', () => {
        from.destroy()
        onward.destroy()
      })
  })
  await new Promise<void>(resolve => server.listen(port, address, resolve))
  const bound = server.address()
  assert.ok(bound !== null && typeof bound === 'object')
  return bound.port
}

/** SNTP (RFC 4330): the time of this machine, stratum 1. */
async function startTimeServer(): Promise<void> {
  const socket = createSocket('udp4')
  socket.on('message', (query, peer) => {
    const reply = Buffer.alloc(48)
    reply[0] = (4 << 3) | 4
    reply[1] = 1
    query.copy(reply, 24, 40, 48)
    const seconds = Date.now() / 1000 + 2_208_988_800
    for (const place of [32, 40]) {
      reply.writeUInt32BE(Math.floor(seconds), place)
      reply.writeUInt32BE(Math.floor((seconds % 1) * 2 ** 32), place + 4)
    }
    socket.send(reply, peer.port, peer.address)
  })
  await new Promise<void>(resolve => socket.bind(123, WORLD, resolve))
}
