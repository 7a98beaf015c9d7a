/** The scripts of `npm run build` (dist/bundle): what is in which, and that a service starts with the main ones alone. */

import assert from 'node:assert/strict'
import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { SandboxFile } from '../../src/sandbox/folder.ts'
import { run, start, temporaryFolder } from '../peers/program.ts'

const root = join(import.meta.dirname, '../..')
const temporary = temporaryFolder('bundle')
const bundle = join(temporary.path, 'bundle')
let scripts: Readonly<Record<string, readonly string[]>> = {}
before(async () => {
  const { buildBundle } = await import(pathToFileURL(join(root, 'scripts/build-bundle.mjs')).href)
  scripts = (await buildBundle(bundle)).scripts
})
after(() => temporary.remove())

/** Each process keeps the text of the whole script. Of zod: `import { z }` in a single file brings all languages with it. */
test('main.wrapped has nothing in it that a service wants late or never', () => {
  const never = [
    'mailauth|joi|iconv-lite|encoding-japanese|libmime|tldts',
    'acme-client|axios|node-forge|mime-db',
    '@peculiar/x509|asn1js|tsyringe',
    'zod/v[0-9]/locales/(?!(en|index)[.])',
  ]
  const pattern = new RegExp(`node_modules/(?:${never.join('|')})`)
  assert.deepEqual(
    scripts['main.wrapped']?.filter(path => pattern.test(path)),
    [],
  )
  for (const name of ['mailauth', 'acme-client', 'x509']) {
    const inside = scripts[`${name}.cjs`] ?? []
    assert.ok(
      inside.some(path => path.includes(`/${name}/`)),
      `${name} is not in ${name}.cjs`,
    )
  }
})

test('together they carry a message; a service starts with the main ones and LMDB alone', async t => {
  const folder = join(temporary.path, 'sandbox')
  const args = [join(bundle, 'main.cjs'), 'sandbox', '--folder', folder, '--once']
  const { code, output } = await run(process.execPath, args)
  assert.equal(code, 0, output)
  assert.match(output, /^delivered to .*dkim=pass/m)

  const alone = temporaryFolder('alone')
  t.after(() => alone.remove())
  for (const name of ['main.cjs', 'main.wrapped', 'main.cache', 'lmdb.node'])
    copyFileSync(join(bundle, name), join(alone.path, name))
  const { config } = JSON.parse(readFileSync(join(folder, 'sandbox.json'), 'utf8')) as SandboxFile
  for (const name of ['relay', 'signer', 'submission']) {
    const service = start(process.execPath, [join(alone.path, 'main.cjs'), name, '--config', config])
    await service.said(/"event":"started"/)
    await service.stop()
  }
})

test('V8 takes what it has made of the script, and without it the script runs all the same', async () => {
  const look = `
    const { readFileSync } = require('node:fs')
    const [source, cachedData] = ['main.wrapped', 'main.cache'].map(name => readFileSync(name))
    console.log(new (require('node:vm').Script)(source.toString('latin1'), { cachedData }).cachedDataRejected)`
  const rejected = async (...flags: string[]) =>
    (await run(process.execPath, [...flags, '--eval', look], { cwd: bundle })).output
  assert.equal(await rejected(), 'false\n')
  // As another version of Node would.
  const flag = '--stack-size=500'
  assert.equal(await rejected(flag), 'true\n')
  const { code, output } = await run(process.execPath, [flag, join(bundle, 'main.cjs'), '--version'])
  assert.equal(code, 0, output)
  assert.match(output, /^\d+\.\d+\.\d+\n$/)
})
