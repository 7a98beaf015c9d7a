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
import { inject } from 'postject'

/** What Node looks for in itself: https://nodejs.org/api/single-executable-applications.html */
const RESOURCE = 'NODE_SEA_BLOB'
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'

/** Writes it to `path`, from what buildBundle has put into `bundle`. Node is the one that runs this. */
export async function buildExecutable(path, bundle) {
  const work = mkdtempSync(join(tmpdir(), 'ptt-build-'))
  try {
    const config = {
      main: join(bundle, 'main.cjs'),
      output: join(work, 'blob'),
      disableExperimentalSEAWarning: true,
      // What V8 made of the script is kept beside it, for this Node.
      useCodeCache: true,
      assets: { 'lmdb.node': join(bundle, 'lmdb.node') },
    }
    writeFileSync(join(work, 'sea.json'), JSON.stringify(config))
    execFileSync(process.execPath, ['--experimental-sea-config', join(work, 'sea.json')], { stdio: 'pipe' })
    // Beside the old one, and then in its place: that one may be running.
    const made = join(dirname(path), `.ptt-${process.pid}`)
    try {
      copyFileSync(process.execPath, made)
      chmodSync(made, 0o755)
      await inject(made, RESOURCE, readFileSync(join(work, 'blob')), { sentinelFuse: FUSE })
      renameSync(made, path)
    } finally {
      rmSync(made, { force: true })
    }
  } finally {
    rmSync(work, { recursive: true })
  }
}
