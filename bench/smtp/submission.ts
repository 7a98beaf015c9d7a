/** A submission service in a process of its own, so that its memory is its own, and what it needs to run. */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { issue, makeAuthority } from '../../src/cli/authority.ts'
import { formatVerifier, makeVerifier } from '../../src/directory/password.ts'
import type { KeyPair } from '../../src/net/tls.ts'
import { makeGitRepository } from '../../test/peers/git-repository.ts'
import { temporaryFolder } from '../../test/peers/program.ts'
import type { Parts } from './submission-process.ts'

const DOMAIN = 'example.test'
export const USERNAME = `alice@${DOMAIN}`
export const PASSWORD = 'correct horse battery staple'

export interface SubmissionProcess {
  readonly port: number
  /** PEM. */
  readonly ca: string
  readonly memory: Memory
  /** `forget`, `parts`: what each part of its memory has grown by since `forget`. */
  ask(word: 'forget' | 'parts'): Promise<Parts>
  stop(): Promise<void>
}

/** @param signerPort where the signer is; `signer` makes the pair it shows */
export async function startSubmissionProcess(
  startSigner: (pair: KeyPair, ca: string) => Promise<number>,
): Promise<SubmissionProcess> {
  const folder = temporaryFolder('bench')
  const repository = await makeGitRepository()
  const authority = await makeAuthority(DOMAIN)
  const write = (name: string, text: string) => {
    mkdirSync(dirname(join(folder.path, name)), { recursive: true })
    writeFileSync(join(folder.path, name), text, { mode: 0o600 })
  }
  const signerPort = await startSigner(await issue(authority, { role: 'signer' }), authority.certificate)
  const hop = await issue(authority, { role: 'submission' })
  const tls = await issue(authority, { names: ['localhost', '127.0.0.1'] })
  write('hop/ca.pem', authority.certificate)
  write('hop/submission.pem', hop.certificate)
  write('hop/submission.key', hop.key)
  write('tls/submission.pem', tls.certificate)
  write('tls/submission.key', tls.key)
  write(
    'ptt.toml',
    `domain = "${DOMAIN}"\n[directory]\nrepository = "${repository.path}"\n` +
      `[submission]\nlisten = "127.0.0.1:0"\nsigner = "127.0.0.1:${signerPort}"\n`,
  )
  const verifier = formatVerifier(await makeVerifier(PASSWORD))
  await repository.commit({ [`${DOMAIN}/users/alice.toml`]: `password = "${verifier}"\n` })
  const program = join(import.meta.dirname, 'submission-process.ts')
  const child = fork(program, [join(folder.path, 'ptt.toml')], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const [port] = (await once(child, 'message')) as [number]
  return {
    port,
    ca: authority.certificate,
    memory: new Memory(child.pid ?? 0),
    async ask(word) {
      child.send(word)
      const [parts] = (await once(child, 'message')) as [Parts]
      return parts
    },
    async stop() {
      child.kill()
      await once(child, 'exit')
      await repository.remove()
      folder.remove()
    },
  }
}

/** The resident memory of a process, as Linux counts it. */
export class Memory {
  readonly #pid: number

  constructor(pid: number) {
    this.#pid = pid
  }

  get octets(): number {
    return this.#field('VmRSS')
  }

  /** The most since `forget`. */
  get peakOctets(): number {
    return this.#field('VmHWM')
  }

  /** Forgets the peak: proc(5), `clear_refs`. */
  forget(): void {
    writeFileSync(`/proc/${this.#pid}/clear_refs`, '5')
  }

  #field(name: string): number {
    const status = readFileSync(`/proc/${this.#pid}/status`, 'utf8')
    return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024
  }
}

export const MIB = 2 ** 20
