/** Starts the systems that are wanted and can be had, each in a folder of its own; tells why others cannot. */

import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { issue, makeAuthority } from '../../src/cli/authority.ts'
import { startExim, whyNoExim } from '../peers/exim.ts'
import { startHaraka, whyNoHaraka } from '../peers/haraka.ts'
import { startOpensmtpd, whyNoOpensmtpd } from '../peers/opensmtpd.ts'
import { startPostfix, whyNoPostfix } from '../peers/postfix.ts'
import type { SystemName } from '../plan.ts'
import { Processes } from './processes.ts'
import { startPtt } from './ptt.ts'
import type { Surroundings, System } from './system.ts'

interface Starter {
  /** What it lacks on this machine, and how to get it; null: nothing. */
  readonly why: () => string | null
  readonly start: (around: Surroundings) => Promise<System>
}

const STARTERS: Readonly<Record<SystemName, Starter>> = {
  ptt: { why: () => null, start: startPtt },
  exim: { why: whyNoExim, start: startExim },
  haraka: { why: whyNoHaraka, start: startHaraka },
  opensmtpd: { why: whyNoOpensmtpd, start: startOpensmtpd },
  postfix: { why: whyNoPostfix, start: startPostfix },
}

export interface Systems {
  readonly running: ReadonlyMap<SystemName, System>
  /** Why others do not run. */
  readonly missing: ReadonlyMap<SystemName, string>
  /** The TXT record of the key that all sign with. */
  readonly keyRecord: string
  readonly tls: Surroundings['tls']
  readonly folder: string
  stop(): Promise<void>
}

export interface StartOptions {
  readonly names: readonly SystemName[]
  readonly sinkPort: number
  /** Null: the system's place for temporary files. */
  readonly folder: string | null
  readonly profile: string | null
  /** Of ptt.toml, beside what the bench needs. */
  readonly settings?: Surroundings['settings']
}

/** @throws Error when ptt does not start; a peer that does not is missing */
export async function startSystems({
  names,
  sinkPort,
  folder,
  profile,
  settings = {},
}: StartOptions): Promise<Systems> {
  const above = mkdtempSync(join(folder ?? tmpdir(), 'ptt-bench-'))
  // Peers give up root before they go to theirs.
  chmodSync(above, 0o755)
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const authority = await makeAuthority('bench')
  const tls = {
    ca: authority.certificate,
    ...(await issue(authority, { names: ['localhost', '127.0.0.1'] })),
  }
  if (profile !== null) mkdirSync(profile, { recursive: true })
  const running = new Map<SystemName, System>()
  const missing = new Map<SystemName, string>()
  const stop = async () => {
    for (const system of running.values()) {
      await system.stop()
      await system.processes.close()
    }
    rmSync(above, { recursive: true, force: true })
  }
  try {
    for (const name of names) {
      const { why, start } = STARTERS[name]
      const reason = why()
      if (reason !== null) {
        missing.set(name, reason)
        continue
      }
      const own = join(above, name)
      mkdirSync(own)
      const around: Surroundings = {
        folder: own,
        sinkPort,
        dkimKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
        tls,
        profile: profile === null ? null : resolve(profile),
        settings,
        processes: new Processes(name),
      }
      try {
        running.set(name, await start(around))
      } catch (error) {
        await around.processes.close()
        if (name === 'ptt') throw error
        missing.set(name, `it does not start: ${error instanceof Error ? error.message : error}`)
      }
    }
  } catch (error) {
    await stop()
    throw error
  }
  const record = createPublicKey(publicKey.export({ type: 'spki', format: 'pem' }))
  const spki = record.export({ type: 'spki', format: 'der' }).toString('base64')
  return { running, missing, keyRecord: `v=DKIM1; k=rsa; p=${spki}`, tls, folder: above, stop }
}
