/** What `npm run build` makes, as whoever gets it meets it: the single executable, and the package of npm. */

import assert from 'node:assert/strict'
import { globSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { run, temporaryFolder } from '../peers/program.ts'
import { pttCommand } from '../peers/sandbox.ts'

const root = join(import.meta.dirname, '../..')
const BUILD = join(root, 'scripts/build.mjs')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
const temporary = temporaryFolder('executable')
after(() => temporary.remove())
const at = (path: string) => join(temporary.path, path)

test('the executable', { skip: process.platform !== 'linux' && 'it is made on Linux' }, async t => {
  const built = await run(process.execPath, [BUILD, 'executable', '--output', at('dist')])
  assert.equal(built.code, 0, built.output)
  const executable = at(`dist/ptt-linux-${process.arch}`)
  const unpacking = at('tmp')
  mkdirSync(unpacking)
  // Nothing of this machine but what the C library and git want.
  const env = { TMPDIR: unpacking, NODE_OPTIONS: '', PATH: '/usr/bin:/bin' }
  const ptt = (...words: string[]) => run(executable, words, { cwd: temporary.path, env })

  await t.test('is one file that tells its version, and names what is in it', async () => {
    const { code, output } = await ptt('version')
    assert.deepEqual([code, output], [0, `ptt ${version} (Node ${process.version}, linux ${process.arch})\n`])
    assert.equal((await ptt('--version')).output, `${version}\n`)
    assert.equal(statSync(executable).mode & 0o777, 0o755)
    const licenses = readFileSync(`${executable}.licenses.txt`, 'utf8')
    for (const name of ['lmdb', 'commander', 'zod', 'saslprep', '@peculiar/x509'])
      assert.match(licenses, new RegExp(`^${name} \\d.* \\(MIT\\)$`, 'm'))
  })

  await t.test('has all commands', async () => {
    const { code, output } = await ptt('--help')
    assert.equal(code, 0, output)
    const sources = await run(...pttCommand('--help'))
    assert.equal(output, sources.output)
  })

  await t.test('carries a message through the whole sandbox, and leaves nothing behind', async () => {
    const { code, output } = await ptt('sandbox', '--folder', 'sandbox', '--once')
    assert.equal(code, 0, output)
    assert.match(output, /^delivered to .*dkim=pass/m)
    assert.deepEqual(readdirSync(unpacking), [])
  })
})

test('the package has what it needs, and runs', async () => {
  const packed = await run('npm', ['pack', '--silent', '--pack-destination', temporary.path], { cwd: root })
  assert.equal(packed.code, 0, packed.output)
  const [archive = ''] = globSync('ptt-*.tgz', { cwd: temporary.path })
  const modules = at('modules/node_modules')
  mkdirSync(join(modules, 'ptt'), { recursive: true })
  const unpack = ['xzf', at(archive), '--strip-components=1', '-C', join(modules, 'ptt')]
  assert.equal((await run('tar', unpack)).code, 0)
  const files = globSync('**/*.*', { cwd: join(modules, 'ptt') })
  assert.deepEqual(
    files.filter(
      name =>
        !/^(dist\/.*\.(js|toml)|dist\/bundle\/.*|image\/.*\.[ch]|bin\/ptt\.js|package\.json|README\.md)$/.test(
          name,
        ),
    ),
    [],
  )
  assert.ok(!files.some(name => /\.test\.|cli\/bundled/.test(name)))
  // Its dependencies, which npm would put beside it; not those of development.
  const { dependencies } = JSON.parse(readFileSync(join(modules, 'ptt/package.json'), 'utf8'))
  for (const name of Object.keys(dependencies)) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), join(modules, name))
  }
  const ptt = (...words: string[]) =>
    run(process.execPath, [join(modules, 'ptt/bin/ptt.js'), ...words], { cwd: temporary.path })
  assert.match((await ptt('version')).output, new RegExp(`^ptt ${version.replaceAll('.', '\\.')} `))
  const { code, output } = await ptt('sandbox', '--folder', 'package', '--once')
  assert.equal(code, 0, output)
})
