/** Users of the original ptt: a file each at the root of a folder or of a Git repository. They stay as they are. */

import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { git } from '../git.ts'
import { domainOf, placeOf } from '../layout.ts'
import { contentsOf, filesOf, type Run } from '../objects.ts'
import type { Problem } from '../problem.ts'
import { Schema } from '../schema.ts'
import { type Imported, refuseProblems } from './imported.ts'

const TIMEOUT_MS = 60_000

/** `path`: a folder, a working copy among them, or a bare repository, whose HEAD is read. */
export async function readOriginal(path: string, ourDomain: string): Promise<Imported> {
  const domain = domainOf(ourDomain) ?? ourDomain
  const schema = new Schema(domain)
  const problems: Problem[] = []
  const users: Imported['users'][number][] = []
  for (const [name, text] of await filesAt(resolve(path))) {
    const place = placeOf(name)
    if (place.kind === 'ignored') continue
    if (place.kind !== 'original') {
      const rule = place.kind === 'problem' ? place.rule : 'not a file of the original layout'
      problems.push({ file: name, line: 1, rule })
      continue
    }
    const read = schema.original(name, text)
    if (!read.ok) problems.push(...read.problems)
    else users.push({ mailbox: { localPart: place.localPart, domain }, path: name, text })
  }
  refuseProblems(problems)
  return { users, aliases: [], domains: [] }
}

async function filesAt(folder: string): Promise<[name: string, text: string][]> {
  const entries = await readdir(folder, { withFileTypes: true })
  const names = new Set(entries.map(({ name }) => name))
  if (['HEAD', 'objects', 'refs'].every(name => names.has(name))) return filesOfRepository(folder)
  const files = entries.filter(entry => !entry.name.startsWith('.') && !entry.isDirectory())
  return Promise.all(files.map(async ({ name }) => [name, await readFile(join(folder, name), 'utf8')]))
}

async function filesOfRepository(folder: string): Promise<[name: string, text: string][]> {
  const run: Run = (args, options) => git(args, { timeoutMs: TIMEOUT_MS, folder, ...options })
  const blobs = [...(await filesOf(run, 'HEAD')).values()].filter(({ mode }) => mode.startsWith('100'))
  const contents = await contentsOf(
    run,
    blobs.map(({ oid }) => oid),
  )
  return blobs.map(({ path }, index) => [path, contents[index]?.toString() ?? ''])
}
