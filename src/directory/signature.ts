/**
 * Whether a commit is signed by somebody who may: git itself says so (git-verify-commit(1)), with the keys that the
 * configuration names and no others. Neither the keyring of the user that runs ptt nor a kind of signature nobody asked
 * for counts.
 */

import { execFile } from 'node:child_process'
import { access, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clone } from './clone.ts'
import { GitError } from './git.ts'

export interface Signers {
  /** Of ssh keys: a file as ssh-keygen(1) has it under ALLOWED SIGNERS. */
  readonly allowedSigners?: string | undefined
  /** OpenPGP public keys, as `gpg --export` writes them. */
  readonly keyring?: string | undefined
}

export type Signature =
  | { readonly kind: 'good'; readonly signer: string }
  | { readonly kind: 'none'; readonly reason: string }

const GPG_TIMEOUT_MS = 30_000

export async function verifySignature(clone: Clone, commit: string, signers: Signers): Promise<Signature> {
  for (const file of [signers.allowedSigners, signers.keyring]) {
    const trouble = file === undefined ? null : await access(file).then(() => null, String)
    if (trouble !== null) return { kind: 'none', reason: `it cannot be checked: ${trouble}` }
  }
  if (signers.keyring === undefined) return verify(clone, commit, signers)
  const home = await mkdtemp(join(clone.folder, 'gnupg-'))
  try {
    const trouble = await importKeys(home, signers.keyring)
    if (trouble !== null) return { kind: 'none', reason: `it cannot be checked: ${trouble}` }
    return await verify(clone, commit, signers, home)
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}

async function verify(
  clone: Clone,
  commit: string,
  { allowedSigners = '/dev/null' }: Signers,
  home?: string,
): Promise<Signature> {
  const settings = [
    `gpg.ssh.allowedSignersFile=${allowedSigners}`,
    // A program that says no: without keys for it, a kind of signature is never good.
    'gpg.x509.program=false',
    ...(home === undefined ? ['gpg.openpgp.program=false'] : []),
    // Whose keys are in the file is trusted: there is no web of trust in a folder of its own.
    'gpg.minTrustLevel=undefined',
  ]
  const options = { settings, ...(home === undefined ? {} : { env: { GNUPGHOME: home } }) }
  try {
    await clone.run(['verify-commit', commit], options)
  } catch (error) {
    if (!(error instanceof GitError) || error.code !== 'FAILED') throw error
    const words = error.said.replace(/\s+/g, ' ').trim()
    const reason = words === '' ? 'it is not signed' : `nobody who may has signed it: ${words}`
    return { kind: 'none', reason }
  }
  const signer = (await clone.run(['log', '-1', '--format=%GS', commit], options)).toString().trim()
  return { kind: 'good', signer }
}

/** Without an agent: it would outlive us. */
function importKeys(home: string, keyring: string): Promise<string | null> {
  const args = ['--homedir', home, '--no-autostart', '--batch', '--quiet', '--import', '--', keyring]
  return new Promise(resolve => {
    execFile(
      'gpg',
      args,
      { timeout: GPG_TIMEOUT_MS, env: { ...process.env, LC_ALL: 'C' } },
      (error, _, said) => {
        const missing = (error as NodeJS.ErrnoException | null)?.code === 'ENOENT'
        if (missing) resolve('gpg is not installed: apt-get install gnupg')
        else resolve(error && `${keyring}: ${said.replace(/\s+/g, ' ').trim() || error.message}`)
      },
    )
  })
}
