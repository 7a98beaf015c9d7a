/** How ptt runs itself: the sources, what tsc made of them, a bundle, or one executable with Node in it. */

import { basename, extname, join, relative } from 'node:path'
import { isSea } from 'node:sea'

/**
 * What stands between `process.execPath` and the words of a command, to run another ptt like this one. Nothing in the
 * single executable, which is Node and ptt in one.
 */
export function ownScript(): readonly string[] {
  if (isSea()) return []
  return [join(import.meta.dirname, `main${extname(import.meta.filename)}`)]
}

/** ptt as a person at a terminal of this folder would call it, who cannot be assumed to have it on his path. */
export function ownName(): string {
  const near = (path: string) => (relative('', path).startsWith('..') ? path : `./${relative('', path)}`)
  if (isSea()) return near(process.execPath)
  const [, script = ''] = process.argv
  // Installed by npm, or a bundle.
  if (!script.endsWith('.ts')) return basename(script) === 'ptt' ? 'ptt' : `node ${near(script)}`
  return `node ${relative('', join(import.meta.dirname, '../../bin/ptt.js'))}`
}
