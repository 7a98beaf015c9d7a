/** A deployment in the sandbox's folder: made at the first start, as it was left at the next ones. */

import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import type { Settings } from '../config/template.ts'
import { CLAIM, type Paths, SandboxError } from './folder.ts'
import { areFree, freePorts, movePorts, type Ports, portsFrom, portsIn } from './ports.ts'
import { DOMAIN } from './world.ts'

/** `ptt init`: everything a deployment is made of. */
export type Initialize = (options: {
  readonly dir: string
  readonly domain: string
  readonly user: { readonly name: string; readonly password: string }
  readonly settings: Settings
}) => Promise<unknown>

export interface PrepareOptions {
  readonly fresh: boolean
  readonly portBase: number | null
  readonly initialize: Initialize
}

export const USER = 'alice'

const README = `A sandbox of ptt: all that \`npm start\` needs and makes. It may be deleted whenever no sandbox is at work in it.
sandbox.json tells other programs where everything is.
`

/** The folder must be claimed. @throws SandboxError */
export async function prepare(paths: Paths, options: PrepareOptions): Promise<Config> {
  const { fresh, portBase } = options
  // Without ptt.toml, which comes last, a start was cut short: nothing of it is of use.
  if (fresh || !existsSync(paths.config)) empty(paths)
  if (portBase !== null && !(await areFree(portsFrom(portBase)))) {
    throw new SandboxError(`another program has one of the ports ${portBase} to ${portBase + 4}`)
  }
  if (!existsSync(paths.config)) {
    writeFileSync(paths.readme, README)
    // No character of it needs quoting in a shell or in a URL.
    const password = randomBytes(15).toString('hex')
    writeFileSync(paths.password, `${password}\n`, { mode: 0o600 })
    const ports = portBase === null ? await freePorts() : portsFrom(portBase)
    await options.initialize({
      dir: paths.folder,
      domain: DOMAIN,
      user: { name: USER, password },
      settings: settings(paths, ports),
    })
    return loadConfig(paths.config)
  }
  const config = loadConfig(paths.config)
  const before = portsIn(config)
  const stays = portBase === null && (await areFree(before))
  if (stays) return config
  const after = portBase === null ? await freePorts() : portsFrom(portBase)
  writeFileSync(paths.config, movePorts(readFileSync(paths.config, 'utf8'), before, after))
  return loadConfig(paths.config)
}

/** Only what is a sandbox is deleted: `--folder` may have been mistyped. */
function empty({ folder, readme }: Paths): void {
  const names = readdirSync(folder).filter(name => name !== CLAIM)
  if (names.length > 0 && !names.includes(basename(readme))) {
    throw new SandboxError(`${folder} is not a sandbox's folder: it was left as it is`)
  }
  for (const name of names) rmSync(join(folder, name), { recursive: true, force: true })
}

function settings(paths: Paths, ports: Ports): Settings {
  const at = (port: number) => `127.0.0.1:${port}`
  return {
    submission: { listen: at(ports.submission), signer: at(ports.signer) },
    signer: {
      listen: at(ports.signer),
      relay: at(ports.relay),
      primary: at(ports.dns),
      resolver: [at(ports.dns)],
      ttl: '1m',
    },
    relay: {
      listen: at(ports.relay),
      signer: at(ports.signer),
      resolver: [at(ports.dns)],
      smtp_port: ports.internet,
      private_networks: ['127.0.0.0/8'],
      // Real servers wait longer; here one wants to see it happen.
      retry: ['2s', '5s', '15s', '30s', '1m'],
      expire: '10m',
    },
    send: {
      server: at(ports.submission),
      username: `${USER}@${DOMAIN}`,
      password_file: basename(paths.password),
      ca: 'hop/ca.pem',
    },
  }
}
