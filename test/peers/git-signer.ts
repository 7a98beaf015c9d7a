/** People who sign commits: with an ssh key, or with an OpenPGP key in a keyring of their own. */

import assert from 'node:assert/strict'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { GitSigner } from './git-repository.ts'
import { run, temporaryFolder } from './program.ts'

export interface SshSigner extends GitSigner {
  /** Of an allowed_signers file (ssh-keygen(1)). */
  readonly line: string
  remove(): void
}

export async function sshSigner(email: string): Promise<SshSigner> {
  const folder = temporaryFolder('ssh-signer')
  const key = join(folder.path, 'key')
  const made = await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', email, '-f', key])
  assert.equal(made.code, 0, made.output)
  return {
    settings: ['gpg.format=ssh', `user.signingKey=${key}`],
    env: {},
    line: `${email} namespaces="git" ${readFileSync(`${key}.pub`, 'utf8')}`,
    remove: folder.remove,
  }
}

export interface GpgSigner extends GitSigner {
  /** The public key, as `gpg --export --armor` writes it. */
  readonly publicKey: string
  remove(): Promise<void>
}

export async function gpgSigner(email: string): Promise<GpgSigner> {
  const folder = temporaryFolder('gpg-signer')
  chmodSync(folder.path, 0o700)
  const env = { GNUPGHOME: folder.path }
  const gpg = async (...args: string[]) => {
    const done = await run('gpg', ['--batch', '--quiet', ...args], { env })
    assert.equal(done.code, 0, done.output)
    return done.output
  }
  await gpg('--passphrase', '', '--quick-gen-key', email, 'ed25519', 'sign', '1d')
  const publicKey = await gpg('--export', '--armor', email)
  return {
    settings: ['gpg.format=openpgp', `user.signingKey=${email}`],
    env,
    publicKey,
    async remove() {
      // Its agent, which holds the key.
      await run('gpgconf', ['--kill', 'all'], { env })
      folder.remove()
    },
  }
}

/** Makes the file that the configuration names; again, with other people. */
export function writeSigners(file: string, ...texts: string[]): string {
  writeFileSync(file, texts.join(''))
  return file
}
