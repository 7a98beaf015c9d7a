/**
 * Debian's Exim without installing it: that would remove Postfix, both are the machine's one MTA. The package is unpacked
 * beside node_modules, with those of its libraries that are missing, and run where its user exists (in a mount namespace
 * of its own, unshare(1)). Only root can.
 */

import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
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
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { need, needRoot, which } from './need.ts'
import { type Finished, type RunOptions, run } from './program.ts'

const PACKAGE = 'exim4-daemon-light'
const CACHE = join(import.meta.dirname, '../../node_modules/.cache')
const UNPACKED = join(CACHE, PACKAGE)
/** Compiled in: Exim does not start without. */
const USER = 'Debian-exim'
/** Where the machine has no such user. */
const SPARE_ID = 64_999

/** As `need`, for all that `exim` wants. */
export function needExim(t: TestContext): boolean {
  if (!needRoot(t, 'run an Exim')) return false
  const why = whyNoNamespace() ?? whyNoExim()
  if (why === null) return need(t, 'unshare')
  if (process.env.CI === 'true') throw new Error(`${t.name}: ${why} (CI=true: nothing may be skipped)`)
  console.error(`SKIPPED: ${t.name}: ${why}`)
  t.skip(`SKIPPED: ${why}`)
  return false
}

/** Runs exim(8) with `folder` for its own: `owned` of it belong to Exim's user. Its command is `args`. */
export async function exim(
  folder: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  const [program = '', ...before] = eximCommand(folder)
  return run(program, [...before, ...args], { ...options, env: { ...libraries(folder), ...options.env } })
}

/** Where it is: for `exim_path`, by which it starts itself again. */
export const eximPath = (folder: string): string => which('exim4') ?? join(copyIn(folder), 'usr/sbin/exim4')

/**
 * As its own user it starts itself again, who cannot enter our tree when that is in somebody's home. With set-user-ID it
 * would be started without LD_LIBRARY_PATH then (ld.so(8)), and there is nothing here for which it has to be root.
 */
function copyIn(folder: string): string {
  const copy = join(folder, 'exim')
  if (existsSync(copy)) return copy
  cpSync(UNPACKED, copy, { recursive: true, verbatimSymlinks: true })
  chmodSync(join(copy, 'usr/sbin/exim4'), 0o755)
  return copy
}

/** What stands before the arguments of exim(8); its environment is to have `libraries()`. */
export function eximCommand(folder: string): string[] {
  const program = eximPath(folder)
  if (lineOf('/etc/passwd') !== undefined) return [program]
  const files = [
    ['/etc/passwd', `${USER}:x:${SPARE_ID}:${SPARE_ID}::/nonexistent:/usr/sbin/nologin\n`],
    ['/etc/group', `${USER}:x:${SPARE_ID}:\n`],
  ] as const
  const mounts = files.map(([file, line]) => {
    const copy = join(folder, file.replaceAll('/', '-'))
    writeFileSync(copy, `${readFileSync(file, 'utf8')}${line}`)
    return `mount --bind '${copy}' ${file}`
  })
  return ['unshare', '--mount', 'sh', '-c', `${mounts.join(' && ')} && exec "$0" "$@"`, program]
}

/** To whom Exim's spool and logs have to belong. */
export function eximOwner(): number {
  return Number(lineOf('/etc/passwd')?.split(':')[2] ?? SPARE_ID)
}

/** Of the environment; Exim keeps of it what `keep_environment` says. */
export function libraries(folder: string): Record<string, string> {
  if (which('exim4') !== null) return {}
  const folders = ['usr/lib', 'lib'].map(name => join(copyIn(folder), name)).filter(existsSync)
  const architectures = folders.flatMap(folder => readdirSync(folder).map(name => join(folder, name)))
  return architectures.length === 0 ? {} : { LD_LIBRARY_PATH: architectures.join(':') }
}

function lineOf(file: string): string | undefined {
  return readFileSync(file, 'utf8')
    .split('\n')
    .find(line => line.startsWith(`${USER}:`))
}

/** `null`: there can be mounts that only one program sees. */
function whyNoNamespace(): string | null {
  if (which('unshare') === null || lineOf('/etc/passwd') !== undefined) return null
  const { status, stderr } = spawnSync('unshare', ['--mount', 'true'], { encoding: 'utf8' })
  return status === 0 ? null : `no mount namespace for Exim's user: ${stderr.trim()}`
}

/** `null`: it is there, now. */
function whyNoExim(): string | null {
  if (which('exim4') !== null || existsSync(UNPACKED)) return null
  mkdirSync(CACHE, { recursive: true })
  const folder = mkdtempSync(join(CACHE, `${PACKAGE}-`))
  try {
    download(folder, [PACKAGE])
    const fields = out('dpkg-deb', ['--field', join(folder, debsIn(folder)[0] ?? ''), 'Depends'])
    const wanted = fields.split(',').map(field => field.trim().split(/[ :]/)[0] ?? '')
    const missing = wanted.filter(name => name.startsWith('lib') && !isInstalled(name))
    if (missing.length > 0) download(folder, missing)
    const root = join(folder, 'root')
    for (const deb of debsIn(folder)) out('dpkg-deb', ['--extract', join(folder, deb), root])
    // Another test may have been faster.
    if (!existsSync(UNPACKED)) renameSync(root, UNPACKED)
    return null
  } catch (error) {
    return `exim4 is not installed, and ${PACKAGE} could not be had by apt-get download: ${error}`
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A machine that has all it needs may have no lists of packages, or lists that are behind. */
function download(cwd: string, packages: string[]): void {
  const args = ['-qq', '-o', 'APT::Sandbox::User=root', 'download', ...packages]
  try {
    out('apt-get', args, cwd)
  } catch {
    out('apt-get', ['-qq', 'update'])
    out('apt-get', args, cwd)
  }
}

const debsIn = (folder: string): string[] => readdirSync(folder).filter(name => name.endsWith('.deb'))

function isInstalled(name: string): boolean {
  try {
    return out('dpkg-query', ['--show', '--showformat=$' + '{db:Status-Status}', name]) === 'installed'
  } catch {
    return false
  }
}

function out(program: string, args: readonly string[], cwd?: string): string {
  return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
}
