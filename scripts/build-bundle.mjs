/**
 * ptt as one script, for the single executable and for bootable images:
 *
 *   main.cjs        starts main.wrapped
 *   main.wrapped    the sources and the packages they use; the rules that come with ptt are in it as text
 *   main.cache      what V8 makes of it: this Node starts a quarter sooner with that
 *   *.cjs           packages that a service wants late or never (APART): each is loaded when it is wanted
 *   lmdb.node       the compiled part of LMDB, for this platform
 *   packages.json   what of node_modules is in it: name, version, license
 *   LICENSES.txt    the licenses of those, whole
 *
 * `node main.cjs relay` is `ptt relay`; nothing else is needed. The same sources give the same octets.
 */

import { copyFileSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { deflateSync } from 'node:zlib'
import { build } from 'esbuild'
import { STARTER, wrapped, writeCodeCache } from '../src/image/code-cache.ts'

const root = join(import.meta.dirname, '..')
const ADDON = `node_modules/@lmdb/lmdb-${process.platform}-${process.arch}`

/**
 * V8 keeps the text of a script as long as it runs, and marks each function of it: these are more than half of all, which
 * every process would have. Each is a script of its own, which has all that it uses in it.
 */
export const APART = {
  '@peculiar/x509': 'x509.cjs',
  'acme-client': 'acme-client.cjs',
  'mailauth/lib/dkim/verify.js': 'mailauth.cjs',
}

const MAIN = 'main.wrapped'

/** Writes them into `folder`. Resolves with what packages.json says, and the files that each script is made of. */
export async function buildBundle(folder) {
  mkdirSync(folder, { recursive: true })
  const entries = [[MAIN, 'src/cli/bundled/entry.ts']]
  for (const [name, file] of Object.entries(APART))
    entries.push([file, fileURLToPath(import.meta.resolve(name))])
  const inputs = []
  const scripts = {}
  for (const [file, entry] of entries) {
    const metafile = await buildScript(entry, join(folder, file))
    inputs.push(...Object.keys(metafile.inputs))
    const [output] = Object.values(metafile.outputs)
    scripts[file] = Object.keys(output.inputs).filter(path => output.inputs[path].bytesInOutput > 0)
  }
  for (const path of inputs) refuseLostFile(path)
  const main = join(folder, MAIN)
  writeFileSync(main, wrapped(readFileSync(main, 'utf8')))
  writeFileSync(join(folder, 'main.cjs'), STARTER)
  copyFileSync(join(root, ADDON, 'node.napi.glibc.node'), join(folder, 'lmdb.node'))
  writeCodeCache(process.execPath, main, join(folder, 'main.cache'))
  const folders = new Set([...inputs.flatMap(packageFolder), ADDON])
  const packages = [...folders].toSorted().map(folder => ({ folder, ...manifestOf(folder) }))
  const listed = packages.map(({ name, version, license }) => ({ name, version, license }))
  writeFileSync(join(folder, 'packages.json'), `${JSON.stringify(listed, null, 2)}\n`)
  writeFileSync(join(folder, 'LICENSES.txt'), packages.map(licenseOf).join(`\n${'-'.repeat(80)}\n\n`))
  return { packages: listed, scripts }
}

/** One script. Resolves with what esbuild tells of it. */
async function buildScript(entry, outfile) {
  const shipped = globSync('src/config/shipped/*.toml', { cwd: root }).toSorted()
  const texts = shipped.map(path => [basename(path), readFileSync(join(root, path), 'utf8')])
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    // Node 24's single executables begin with a CommonJS script.
    format: 'cjs',
    platform: 'node',
    target: 'node24',
    // Of each package what Node itself would load.
    mainFields: ['main'],
    conditions: [],
    metafile: true,
    legalComments: 'none',
    // As it is, a few characters beyond ASCII make V8 keep it with two octets each.
    // Names stay, for traces.
    minifyWhitespace: true,
    minifySyntax: true,
    logLevel: 'warning',
    logOverride: { 'require-resolve-not-external': 'silent' },
    // Faster decoding of MessagePack, which ptt does not use.
    external: ['msgpackr-extract'],
    plugins: [
      { name: 'apart', setup: setApart },
      { name: 'embed', setup: embed },
    ],
    alias: {
      // LMDB's ES modules import each other in circles, which in one script are evaluated in another order.
      lmdb: './node_modules/lmdb/dist/index.cjs',
      'node-gyp-build-optional-packages': './src/cli/bundled/addon.ts',
    },
    banner: { js: "const importMetaUrl = require('node:url').pathToFileURL(__filename).href" },
    define: {
      'import.meta.url': 'importMetaUrl',
      'import.meta.dirname': '__dirname',
      'import.meta.filename': '__filename',
      'import.meta.main': 'false',
      'process.env.MSGPACKR_NATIVE_ACCELERATION_DISABLED': '"true"',
      PTT_VERSION: JSON.stringify(manifestOf('.').version),
      PTT_SHIPPED: JSON.stringify(Object.fromEntries(texts)),
    },
  })
  return metafile
}

/** Where our sources import what is apart, they load its script. */
function setApart({ onResolve, onLoad }) {
  onResolve({ filter: /^[^.]/ }, ({ path, importer }) =>
    Object.hasOwn(APART, path) && importer.startsWith(join(root, 'src/'))
      ? { path, namespace: 'apart' }
      : null,
  )
  onLoad({ filter: /./, namespace: 'apart' }, ({ path }) => ({
    contents: `module.exports = require('./src/cli/bundled/apart.ts').loadApart('${APART[path]}')`,
    resolveDir: root,
  }))
}

/** What a package reads beside its script while it is loaded comes into the bundle. */
const READS = /\bfs\.readFileSync\(path\.resolve\(__dirname, '([^']+)'\)\)/g

function embed({ onLoad }) {
  onLoad({ filter: /\/node_modules\/saslprep\/lib\/memory-code-points\.js$/ }, ({ path }) => {
    let found = 0
    const contents = readFileSync(path, 'utf8').replace(READS, (_, name) => {
      found++
      const packed = deflateSync(readFileSync(join(dirname(path), name)), { level: 9 })
      return `require('node:zlib').inflateSync(Buffer.from('${packed.toString('base64')}', 'base64'))`
    })
    if (found === 0) throw new Error(`${path} reads its data in another way than it did: see READS`)
    return { contents: whenAsked(contents), loader: 'js' }
  })
}

/**
 * The tables are made when the first is looked into: a relay has no passwords, and would be ready a twentieth later with
 * them. Of a table nothing is used but `get`.
 */
function whenAsked(contents) {
  const [, list = ''] = /^module\.exports = \{([\w\s,]+)\};$/m.exec(contents) ?? []
  const names = list.match(/\w+/g)
  if (names === null) throw new Error('the tables of saslprep are exported in another way than they were')
  return `
    let tables
    const make = () => { const module = { exports: {} }; ${contents}; return module.exports }
    const lazy = name => ({ get: at => (tables ??= make())[name].get(at) })
    module.exports = { ${names.map(name => `${name}: lazy('${name}')`).join(', ')} }`
}

/** LMDB's is a dictionary for compression, which ptt does not use. */
const KNOWN = /^node_modules\/(lmdb|saslprep)\//

/** What a package reads of its folder would be lost, and only be missed when it is wanted. */
function refuseLostFile(path) {
  if (!path.startsWith('node_modules/') || KNOWN.test(path) || !/\.[cm]?js$/.test(path)) return
  const [found] = readFileSync(join(root, path), 'utf8').match(/^.*readFile(?:Sync)?\(.*__dirname.*$/m) ?? []
  if (found !== undefined) throw new Error(`${path} reads a file that the bundle has not: ${found.trim()}`)
}

/** `node_modules/a/node_modules/@b/c/index.js` is of `node_modules/a/node_modules/@b/c`. */
function packageFolder(path) {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []
}

function manifestOf(folder) {
  return JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
}

function licenseOf({ folder, name, version, license }) {
  // The compiled part of a package has no license file of its own.
  const places = [folder, folder === ADDON ? 'node_modules/lmdb' : dirname(folder)]
  const texts = places.flatMap(place =>
    globSync('{LICENSE,LICENCE,License,license,COPYING}*', { cwd: join(root, place) }).map(file =>
      readFileSync(join(root, place, file), 'utf8'),
    ),
  )
  return `${name} ${version} (${license})\n\n${texts[0] ?? ''}`
}
