/**
 * `npm run build`: ptt as it is handed out, in `dist/`.
 *
 *   node scripts/build.mjs               all of it
 *   node scripts/build.mjs package       what `npm pack` packs: dist/cli/main.js and what it needs; dist/bundle, for images
 *   node scripts/build.mjs executable    dist/ptt-linux-x64 (the platform is ours), with the licenses of what is in it
 *
 * executable --output FOLDER: there instead.
 */

import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, globSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { buildBundle } from './build-bundle.mjs'
import { buildExecutable } from './build-executable.mjs'

const root = join(import.meta.dirname, '..')
const { values, positionals: wanted } = parseArgs({
  options: { output: { type: 'string' } },
  allowPositionals: true,
})
const dist = resolve(values.output ?? join(root, 'dist'))
const EXECUTABLE = join(dist, `ptt-${process.platform}-${process.arch}`)

const PARTS = { package: buildPackage, executable }
const unknown = wanted.find(part => !Object.hasOwn(PARTS, part))
if (unknown !== undefined) {
  console.error(`build: there is no ${unknown}: ${Object.keys(PARTS).join(', ')}`)
  process.exit(2)
}
if (values.output !== undefined && wanted.join() !== 'executable') {
  // Folders of the package are deleted first: only where they are ours.
  console.error('build: --output is for the executable: node scripts/build.mjs executable --output FOLDER')
  process.exit(2)
}
const bundle = join(dist, 'bundle')
mkdirSync(dist, { recursive: true })
await buildBundle(bundle)
tell(join(bundle, 'main.wrapped'))
for (const [part, build] of Object.entries(PARTS)) {
  if (wanted.length === 0 || wanted.includes(part)) build()
}

/** The sources without their types, and the rules beside them. */
function buildPackage() {
  // What was deleted in src/ must not stay; what is not of the package does.
  for (const name of globSync('*/', { cwd: dist })) {
    if (name !== 'bundle') rmSync(join(dist, name), { recursive: true })
  }
  const { status } = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json'], {
    cwd: root,
    stdio: 'inherit',
  })
  if (status !== 0) process.exit(1)
  cpSync(join(root, 'src/config/shipped'), join(dist, 'config/shipped'), { recursive: true })
  tell(join(dist, 'cli/main.js'))
}

function executable() {
  buildExecutable(EXECUTABLE, bundle)
  copyFileSync(join(bundle, 'LICENSES.txt'), `${EXECUTABLE}.licenses.txt`)
  tell(EXECUTABLE)
}

function tell(path) {
  console.log(`${relative(root, path)} ${(statSync(path).size / 2 ** 20).toFixed(1)} MiB`)
}
