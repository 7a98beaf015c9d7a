/**
 * Packages that a service wants late or never are scripts of their own (APART in scripts/build-bundle.mjs): in the single
 * executable they are assets, else files beside main.cjs. Where the sources import one, the bundle has a call of this.
 */

import { createRequire } from 'node:module'
import { getRawAsset, isSea } from 'node:sea'
import { compileFunction } from 'node:vm'

/** What the script `name` exports. It runs once: the bundle keeps it as it keeps every module. */
export function loadApart(name: string): unknown {
  const require = createRequire(import.meta.filename)
  if (!isSea()) return require(`./${name}`)
  const module = { exports: {} }
  // It is ASCII, as esbuild writes it.
  const source = Buffer.from(getRawAsset(name)).toString('latin1')
  const run = compileFunction(source, ['exports', 'require', 'module', '__filename', '__dirname'], {
    filename: name,
  })
  run(module.exports, require, module, import.meta.filename, import.meta.dirname)
  return module.exports
}
