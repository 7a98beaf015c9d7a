/** The layering table of ARCHITECTURE.md, held against every import under `src/`. */

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'

const ANY = '*'
const services = ['submission', 'signer', 'relay', 'certificate']
const mail = ['smtp', 'message', 'dkim', 'dns']
const below = [...mail, 'net', 'hooks', 'directory', 'queue', 'observe', 'config', 'workers']

/** folder → [folders it may import beside itself, builtins it may name]. */
const LAYERS: Record<string, [imports: string[], builtins: string[]]> = {
  smtp: [[], ['buffer']],
  message: [['smtp'], ['buffer']],
  dkim: [
    ['smtp', 'message'],
    ['buffer', 'crypto'],
  ],
  dns: [[], ['buffer', 'crypto']],
  observe: [[], ['fs', 'path', 'diagnostics_channel']],
  config: [[], ['fs', 'path', 'crypto', 'diagnostics_channel']],
  directory: [
    ['smtp', 'observe'],
    ['fs', 'path', 'crypto', 'child_process'],
  ],
  queue: [
    ['smtp', 'observe'],
    ['fs', 'path', 'crypto', 'zlib'],
  ],
  net: [
    ['smtp', 'dns', 'observe'],
    ['net', 'tls', 'dgram', 'https'],
  ],
  'dns-plan': [['dns', 'net'], ['crypto']],
  hooks: [
    ['observe', 'config'],
    ['http', 'crypto', 'events'],
  ],
  workers: [[], []],
  submission: [['smtp', 'message', 'queue', 'directory', 'net', 'hooks', 'observe', 'config', 'workers'], []],
  signer: [
    ['smtp', 'message', 'dkim', 'dns', 'directory', 'net', 'hooks', 'observe', 'config', 'workers'],
    ['fs', 'path', 'crypto'],
  ],
  relay: [
    ['smtp', 'message', 'dkim', 'dns', 'directory', 'queue', 'net', 'hooks', 'observe', 'config', 'workers'],
    [],
  ],
  certificate: [
    ['dns', 'net', 'observe', 'config'],
    ['fs', 'path', 'crypto', 'https', 'timers'],
  ],
  image: [['config'], ['fs', 'path', 'crypto', 'child_process', 'zlib']],
  sandbox: [[...below, ...services], [ANY]],
  cli: [[...below, 'dns-plan', 'image', ...services, 'sandbox'], [ANY]],
}
/** Only types may cross here: nothing of the queue runs in submission, nothing that signs in the relay. */
const TYPES_ONLY = new Set(['submission → queue', 'relay → dkim'])
/** A folder that does no I/O takes time and randomness as arguments. */
const SANS_IO = ['smtp', 'message', 'dkim', 'dns']
const IMPURE = /\b(Date\.now|new Date\(\)|Math\.random|setTimeout|setInterval|process\.|console\.)/

const IMPORT =
  /^(?:import|export)\s+(type\s)?[^'"]*?from\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gms
const root = join(import.meta.dirname, '..')
// queue/contract.ts, with what is in contract/, is the suite that the test files of the engines run.
const sources = globSync('src/**/*.ts', { cwd: root }).filter(
  path => !/(\.test|^src\/queue\/contract(\/\w+)?)\.ts$/.test(path),
)

for (const path of sources) {
  const folder = path.split('/')[1] ?? ''
  test(`layering: ${path}`, () => {
    const layer = LAYERS[folder]
    assert.ok(layer, `${folder}/ is not in the layering table`)
    const [imports, builtins] = layer
    const text = readFileSync(join(root, path), 'utf8')
    for (const [, type, from, bare, dynamic] of text.matchAll(IMPORT)) {
      const name = from ?? bare ?? dynamic ?? ''
      if (name.startsWith('node:')) {
        const builtin = name.slice(5).split('/')[0] ?? ''
        assert.ok(builtins.includes(ANY) || builtins.includes(builtin), `${folder}/ may not import ${name}`)
      } else if (name.startsWith('.')) {
        const target = relative(join(root, 'src'), join(root, dirname(path), name)).split('/')[0] ?? ''
        assert.ok(
          target === folder || imports.includes(target),
          `${folder}/ may not import ${target}/ (${name})`,
        )
        if (TYPES_ONLY.has(`${folder} → ${target}`))
          assert.ok(type, `${folder}/ may import only types of ${target}/`)
      }
    }
    if (SANS_IO.includes(folder)) {
      const code = text.replace(/\/\*.*?\*\/|\/\/[^\n]*/gs, '')
      assert.doesNotMatch(code, IMPURE, `${folder}/ does no I/O: pass time and randomness as arguments`)
    }
  })
}

test('layering: no folder cycle', () => {
  const visit = (folder: string, trail: string[]): void => {
    assert.ok(!trail.includes(folder), `cycle: ${[...trail, folder].join(' → ')}`)
    for (const next of LAYERS[folder]?.[0] ?? []) visit(next, [...trail, folder])
  }
  for (const folder of Object.keys(LAYERS)) visit(folder, [])
})
