/** Files that ptt.toml names, and credentials of systemd in the place of files. */

import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, test } from 'node:test'
import { FileError, readPem, readSecret } from './file.ts'
import { parseConfig } from './load.ts'
import { readRoutes } from './routes.ts'

const folder = mkdtempSync(join(tmpdir(), 'ptt-file-'))
const before = process.env.CREDENTIALS_DIRECTORY
after(() => {
  rmSync(folder, { recursive: true })
  if (before === undefined) delete process.env.CREDENTIALS_DIRECTORY
  else process.env.CREDENTIALS_DIRECTORY = before
})
beforeEach(() => {
  process.env.CREDENTIALS_DIRECTORY = folder
})

function file(name: string, text: string, mode: number): string {
  writeFileSync(join(folder, name), text)
  chmodSync(join(folder, name), mode)
  return join(folder, name)
}

test('a secret is readable by its owner only', () => {
  assert.equal(readSecret(file('own', 'secret', 0o600)), 'secret')
  for (const mode of [0o640, 0o604, 0o620]) {
    assert.throws(
      () => readSecret(file('open', 'secret', mode)),
      error => error instanceof FileError && error.message.endsWith(`run chmod 600 ${join(folder, 'open')}`),
    )
  }
})

test('a credential is read where systemd has put it; what an ACL allows shows as a right of the group', () => {
  file('tsig', 'secret', 0o440)
  assert.equal(readSecret('credential:tsig'), 'secret')
  file('ca', '-----BEGIN CERTIFICATE-----', 0o400)
  assert.match(readPem('credential:ca'), /BEGIN/)
  file('shown', 'secret', 0o444)
  assert.throws(
    () => readSecret('credential:shown'),
    /^Error: credential:shown: others may read it \(mode 444\)/,
  )
})

test('a credential that is not there is told', () => {
  assert.throws(() => readSecret('credential:none'), /cannot be read: is it in the unit of systemd\?/)
  delete process.env.CREDENTIALS_DIRECTORY
  assert.throws(
    () => readSecret('credential:tsig'),
    /credential:tsig: there is no \$CREDENTIALS_DIRECTORY: write LoadCredential=tsig:\/path/,
  )
  // It does not lead out of that folder: it is the path of a file then.
  assert.throws(() => readSecret('credential:../tsig'), /no such file/)
})

test('ptt.toml and routes.toml have them where they have files', () => {
  const toml = `domain = "example.com"
[submission]
key = "credential:key"
hop_key = "hop/key"
[signer]
tsig_key = "credential:tsig"`
  const { submission, signer } = parseConfig(toml, '/etc/ptt/ptt.toml')
  assert.deepEqual(
    [submission.key, submission.hopKey, signer.tsigKey],
    ['credential:key', '/etc/ptt/hop/key', 'credential:tsig'],
  )
  file('smart-host', 'swordfish\n', 0o400)
  const routes = file(
    'routes.toml',
    '[[route]]\nname = "us"\nhost = "smtp.example.net:465"\nusername = "us"\npassword_file = "credential:smart-host"\n',
    0o644,
  )
  assert.equal(readRoutes(routes)[0]?.account?.password, 'swordfish')
})
