/**
 * ptt as one file: a copy of Node with the bundle in it (a single executable application), and LMDB's compiled part as an
 * asset. It is for the platform it is built on, and needs what Node needs of it: glibc and libstdc++.
 */

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { APART } from './build-bundle.mjs'

/** What Node looks for in itself: https://nodejs.org/api/single-executable-applications.html */
const RESOURCE = 'NODE_SEA_BLOB'
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'

const POSTJECT = join(import.meta.dirname, '../node_modules/postject/dist/cli.js')

/** Writes it to `path`, from what buildBundle has put into `bundle`. Node is the one that runs this. */
export function buildExecutable(path, bundle) {
  const work = mkdtempSync(join(tmpdir(), 'ptt-build-'))
  try {
    const config = {
      main: 'main.cjs',
      output: 'blob',
      disableExperimentalSEAWarning: true,
      // What V8 made of the script is kept beside it, for this Node.
      useCodeCache: true,
      assets: Object.fromEntries(['lmdb.node', ...Object.values(APART)].map(name => [name, name])),
    }
    writeFileSync(join(work, 'sea.json'), JSON.stringify(config))
    for (const name of Object.keys(config.assets)) copyFileSync(join(bundle, name), join(work, name))
    const main = readFileSync(join(bundle, 'main.wrapped'), 'latin1')
    writeFileSync(
      join(work, config.main),
      `${main}(exports, require, module, __filename, __dirname)\n`,
      'latin1',
    )
    // Paths and the seed go into the blob: where they are the same, the same bundle gives the same octets.
    run(['--random-seed=1', '--experimental-sea-config', 'sea.json'], work)
    // Beside the old one, and then in its place: that one may be running.
    const made = join(dirname(path), `.ptt-${process.pid}`)
    try {
      copyFileSync(process.execPath, made)
      chmodSync(made, 0o755)
      run([POSTJECT, made, RESOURCE, join(work, 'blob'), '--sentinel-fuse', FUSE])
      renameSync(made, path)
    } finally {
      rmSync(made, { force: true })
    }
  } finally {
    rmSync(work, { recursive: true })
  }
}

/** What they say is told where they fail only: one warns of sections of Node that do not matter. */
function run(args, cwd) {
  execFileSync(process.execPath, args, { cwd, stdio: 'pipe' })
}
