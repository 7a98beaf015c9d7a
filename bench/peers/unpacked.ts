/**
 * Debian packages without installing them: one mail server's would remove the other's. They are unpacked in a folder of the
 * user's cache, with those libraries that are missing, and laid over /usr for one program only (contained.ts).
 */

import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Outside the tree: `npm ci` empties what is in it. */
export const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'ptt-bench')

/** The folder they are unpacked in: `usr` is in it. @throws Error when they cannot be had */
export function unpack(name: string, packages: readonly string[]): string {
  const unpacked = join(CACHE, name)
  if (existsSync(unpacked)) return unpacked
  mkdirSync(CACHE, { recursive: true })
  const folder = mkdtempSync(join(CACHE, `${name}-`))
  try {
    download(folder, packages)
    const missing = new Set(debsIn(folder).flatMap(deb => librariesOf(join(folder, deb))))
    for (const library of packages) missing.delete(library)
    if (missing.size > 0) download(folder, [...missing])
    const root = join(folder, 'root')
    for (const deb of debsIn(folder)) out('dpkg-deb', ['--extract', join(folder, deb), root])
    // Some still have /lib, which is /usr/lib.
    if (existsSync(join(root, 'lib'))) cpSync(join(root, 'lib'), join(root, 'usr/lib'), { recursive: true })
    renameSync(root, unpacked)
    return unpacked
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Copies of /etc/passwd and /etc/group with those users in it, in `folder`: file of ours → where it is wanted. */
export function usersIn(folder: string, names: readonly string[]): Record<string, string> {
  const binds: Record<string, string> = {}
  for (const [file, line] of [
    ['/etc/passwd', (name: string, id: number) => `${name}:x:${id}:${id}::/nonexistent:/usr/sbin/nologin\n`],
    ['/etc/group', (name: string, id: number) => `${name}:x:${id}:\n`],
  ] as const) {
    const there = readFileSync(file, 'utf8')
    const missing = names.filter(name => !there.split('\n').some(each => each.startsWith(`${name}:`)))
    if (missing.length === 0) continue
    const copy = join(folder, file.replaceAll('/', '-').slice(1))
    const added = missing.map(name => line(name, SPARE_ID + names.indexOf(name)))
    writeFileSync(copy, `${there}${added.join('')}`, { mode: 0o644 })
    binds[copy] = file
  }
  return binds
}

/** The id of a user of `usersIn`. */
export function idOf(names: readonly string[], name: string): number {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find(each => each.startsWith(`${name}:`))
  return Number(line?.split(':')[2] ?? SPARE_ID + names.indexOf(name))
}

/** Debian gives ids up to 64,999 to nobody by itself (base-passwd). */
const SPARE_ID = 64_990

/** A machine may have no lists of packages, or lists that are behind. */
function download(cwd: string, packages: readonly string[]): void {
  const args = ['-qq', '-o', 'APT::Sandbox::User=root', 'download', ...packages]
  try {
    out('apt-get', args, cwd)
  } catch {
    out('apt-get', ['-qq', 'update'])
    out('apt-get', args, cwd)
  }
}

function librariesOf(deb: string): string[] {
  const depends = out('dpkg-deb', ['--field', deb, 'Depends'])
  const names = depends.split(',').map(field => field.trim().split(/[ :]/)[0] ?? '')
  return names.filter(name => name.startsWith('lib') && !isInstalled(name))
}

function isInstalled(name: string): boolean {
  try {
    return out('dpkg-query', ['--show', '--showformat=$' + '{db:Status-Status}', name]) === 'installed'
  } catch {
    return false
  }
}

const debsIn = (folder: string): string[] => readdirSync(folder).filter(name => name.endsWith('.deb'))

function out(program: string, args: readonly string[], cwd?: string): string {
  return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
}
