/**
 * An OpenSSH server for Git: a port, a host key and one user key of its own, run as the current user, who is also the
 * one to sign in.
 */

import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { which } from './need.ts'
import { freePort } from './port.ts'
import { accepting, isRoot, run, start, temporaryFolder } from './program.ts'

export interface GitSsh {
  readonly port: number
  /** `ssh://user@127.0.0.1:port/path` */
  url(path: string): string
  /** For GIT_SSH_COMMAND: the user's key, and the host key that is expected. */
  readonly command: string
  /** The same without the key: nobody is let in. */
  readonly strangerCommand: string
  stop(): Promise<void>
}

export async function startGitSsh(): Promise<GitSsh> {
  const folder = temporaryFolder('git-ssh')
  const at = (name: string) => join(folder.path, name)
  chmodSync(folder.path, 0o700)
  for (const name of ['host', 'user', 'stranger']) {
    const made = await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', at(name)])
    assert.equal(made.code, 0, made.output)
  }
  writeFileSync(at('authorized_keys'), readFileSync(at('user.pub')), { mode: 0o600 })
  // Where sshd gives up its privileges; Debian's init script makes it.
  if (isRoot) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  const sshd = which('sshd')
  assert.ok(sshd, 'sshd is not installed')
  const port = await freePort()
  writeFileSync(
    at('sshd_config'),
    [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${at('host')}`,
      `AuthorizedKeysFile ${at('authorized_keys')}`,
      `PidFile ${at('sshd.pid')}`,
      'AuthenticationMethods publickey',
      'PermitRootLogin prohibit-password',
      'StrictModes no',
      'UsePAM no',
      'LogLevel VERBOSE',
      '',
    ].join('\n'),
  )
  const server = start(sshd, ['-D', '-e', '-f', at('sshd_config')])
  try {
    await accepting(port, () => server.process.exitCode === null, server.output)
  } catch (error) {
    await server.stop()
    throw error
  }
  writeFileSync(at('known_hosts'), `[127.0.0.1]:${port} ${readFileSync(at('host.pub'), 'utf8')}`)
  const command = (key: string) =>
    `ssh -F /dev/null -i ${at(key)} -o IdentitiesOnly=yes -o IdentityAgent=none -o UserKnownHostsFile=${at('known_hosts')} -o GlobalKnownHostsFile=/dev/null`
  return {
    port,
    url: path => `ssh://${userInfo().username}@127.0.0.1:${port}${path}`,
    command: command('user'),
    strangerCommand: command('stranger'),
    async stop() {
      await server.stop()
      folder.remove()
    },
  }
}
