/**
 * The compiled part of LMDB where ptt is one script: in the single executable it is an asset, else a file beside the script.
 * scripts/build-bundle.mjs puts this in the place of `node-gyp-build-optional-packages`, which looks for it in node_modules.
 */

import { join } from 'node:path'
import { getRawAsset, isSea } from 'node:sea'
import { loadLibrary } from './unpack.ts'

const NAME = 'lmdb.node'

export default function loadAddon(): unknown {
  if (isSea()) return loadLibrary(NAME, new Uint8Array(getRawAsset(NAME)))
  const loaded: { exports: unknown } = { exports: {} }
  process.dlopen(loaded, join(import.meta.dirname, NAME))
  return loaded.exports
}
