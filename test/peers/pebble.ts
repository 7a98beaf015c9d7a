/**
 * Pebble, Let's Encrypt's ACME server for tests: it validates as a real one does, forgets all when it ends, and refuses every
 * twentieth nonce to see who copes.
 */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { issue, makeAuthority } from '../../src/cli/authority.ts'
import { which } from './need.ts'
import { freePort } from './port.ts'
import { accepting, type Running, start, temporaryFolder } from './program.ts'

export interface PebbleOptions {
  /** Where it asks for TXT records, on 127.0.0.1. */
  readonly dnsPort: number
  /** The life of what it issues; five years when not given. */
  readonly validitySeconds?: number
  /** It remembers for a while that a name was proved, as Let's Encrypt does. */
  readonly remembers?: true
  /** It wants accounts bound to a customer: his id and key. */
  readonly customer?: { readonly kid: string; readonly key: string }
  /** The port it had before: it has forgotten everything but its address. */
  readonly port?: number
}

export interface Pebble {
  readonly port: number
  /** The URL of its directory. */
  readonly directory: string
  /** A file with the CA of its own HTTPS certificate, PEM. */
  readonly ca: string
  /** The CA of what it issues, PEM. */
  readonly root: string
  output(): string
  stop(): Promise<void>
}

export async function startPebble(options: PebbleOptions): Promise<Pebble> {
  for (let attempt = 1; ; attempt++) {
    const folder = temporaryFolder('pebble')
    const at = (name: string) => join(folder.path, name)
    const authority = await makeAuthority('pebble')
    const pair = await issue(authority, { names: ['localhost', '127.0.0.1'] })
    writeFileSync(at('ca.pem'), authority.certificate)
    writeFileSync(at('cert.pem'), pair.certificate)
    writeFileSync(at('key.pem'), pair.key)
    const port = options.port ?? (await freePort())
    const managementPort = await freePort()
    const config = {
      listenAddress: `127.0.0.1:${port}`,
      managementListenAddress: `127.0.0.1:${managementPort}`,
      certificate: at('cert.pem'),
      privateKey: at('key.pem'),
      httpPort: 5002,
      tlsPort: 5001,
      externalAccountBindingRequired: options.customer !== undefined,
      externalAccountMACKeys:
        options.customer === undefined ? {} : { [options.customer.kid]: options.customer.key },
      ...(options.validitySeconds === undefined
        ? {}
        : { certificateValidityPeriod: options.validitySeconds }),
    }
    writeFileSync(at('config.json'), JSON.stringify({ pebble: config }))
    const args = ['-config', at('config.json'), '-dnsserver', `127.0.0.1:${options.dnsPort}`]
    // No validation waits for its turn.
    const env = { PEBBLE_VA_NOSLEEP: '1', PEBBLE_AUTHZREUSE: options.remembers ? '100' : '0' }
    const server = start(which('pebble') ?? 'pebble', args, { cwd: folder.path, env })
    const stop = async (): Promise<void> => {
      await server.stop()
      folder.remove()
    }
    if (await listens(server, [port, managementPort])) {
      const root = await get(`https://127.0.0.1:${managementPort}/roots/0`, authority.certificate)
      const directory = `https://127.0.0.1:${port}/dir`
      return { port, directory, ca: at('ca.pem'), root, output: server.output, stop }
    }
    await stop()
    assert.ok(attempt < 3 && /in use/i.test(server.output()), `pebble does not answer: ${server.output()}`)
  }
}

async function listens({ process: pebble, output }: Running, ports: readonly number[]): Promise<boolean> {
  const alive = () => pebble.exitCode === null && pebble.signalCode === null
  try {
    for (const port of ports) await accepting(port, alive, output)
    return true
  } catch {
    return false
  }
}

function get(url: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asking = request(url, { ca }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.on('end', () => resolve(text))
    })
    asking.on('error', reject).end()
  })
}
