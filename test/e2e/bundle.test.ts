/** The scripts of `npm run build` (dist/bundle): what is in which, and that a service starts with the first alone. */

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
test('main.cjs has nothing in it that a service wants late or never', () => {
  const never = [
    'mailauth|joi|iconv-lite|encoding-japanese|libmime|tldts',
    'acme-client|axios|node-forge|mime-db',
    '@peculiar/x509|asn1js|tsyringe',
    'zod/v[0-9]/locales/(?!(en|index)[.])',
  ]
  const pattern = new RegExp(`node_modules/(?:${never.join('|')})`)
  assert.deepEqual(
    scripts['main.cjs']?.filter(path => pattern.test(path)),
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

test('together they carry a message; a service starts with main.cjs and LMDB alone', async t => {
  const folder = join(temporary.path, 'sandbox')
  const args = [join(bundle, 'main.cjs'), 'sandbox', '--folder', folder, '--once']
  const { code, output } = await run(process.execPath, args)
  assert.equal(code, 0, output)
  assert.match(output, /^delivered to .*dkim=pass/m)

  const alone = temporaryFolder('alone')
  t.after(() => alone.remove())
  for (const name of ['main.cjs', 'lmdb.node']) copyFileSync(join(bundle, name), join(alone.path, name))
  const { config } = JSON.parse(readFileSync(join(folder, 'sandbox.json'), 'utf8')) as SandboxFile
  for (const name of ['relay', 'signer', 'submission']) {
    const service = start(process.execPath, [join(alone.path, 'main.cjs'), name, '--config', config])
    await service.said(/"event":"started"/)
    await service.stop()
  }
})
