import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { diffTrees } from './tree.ts'

type Files = ReadonlyMap<string, { readonly mode: string; readonly oid: string }>

/** As git writes them: what it hashes to is its name. */
function encode(files: Files, store: Map<string, Buffer>, algorithm: string, folder = ''): Buffer {
  const entries = new Map<string, { mode: string; oid: string }>()
  for (const [path, file] of files) {
    if (!path.startsWith(folder)) continue
    const [name = '', ...below] = path.slice(folder.length).split('/')
    if (below.length === 0) entries.set(name, file)
    else if (!entries.has(name)) {
      const tree = encode(files, store, algorithm, `${folder}${name}/`)
      const oid = createHash(algorithm).update(tree).digest('hex')
      store.set(oid, tree)
      entries.set(name, { mode: '40000', oid })
    }
  }
  const key = ([name, { mode }]: [string, { mode: string }]) =>
    Buffer.from(mode === '40000' ? `${name}/` : name)
  return Buffer.concat(
    [...entries]
      .toSorted((one, other) => Buffer.compare(key(one), key(other)))
      .flatMap(([name, { mode, oid }]) => [Buffer.from(`${mode} ${name}\0`), Buffer.from(oid, 'hex')]),
  )
}

// Names that sort differently with "/" behind them, and one that is a file here and a folder there.
const name = fc.constantFrom('a', 'a.b', 'a0', 'b', 'a b', 'é', 'users')
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map(parts => parts.join('/'))
const files = (algorithm: string) =>
  fc
    .uniqueArray(fc.tuple(path, fc.constantFrom('100644', '120000', '160000'), fc.integer({ max: 3 })), {
      maxLength: 12,
      selector: ([each]) => each,
    })
    .map(all => {
      const kept: [string, { mode: string; oid: string }][] = []
      for (const [each, mode, content] of all) {
        const clash = kept.some(
          ([other]) => `${other}/`.startsWith(`${each}/`) || `${each}/`.startsWith(`${other}/`),
        )
        if (!clash)
          kept.push([each, { mode, oid: createHash(algorithm).update(String(content)).digest('hex') }])
      }
      return new Map(kept)
    })

for (const algorithm of ['sha1', 'sha256'])
  test(`what differs, applied to the one tree, makes the other: ${algorithm}`, async () => {
    await fc.assert(
      fc.asyncProperty(files(algorithm), files(algorithm), async (from, to) => {
        const store = new Map<string, Buffer>()
        const asked: string[] = []
        const read = async (oids: readonly string[]) => {
          asked.push(...oids)
          return oids.map(oid => store.get(oid) ?? assert.fail())
        }
        const [before, after] = [encode(from, store, algorithm), encode(to, store, algorithm)]
        const changes = await diffTrees(before, after, algorithm === 'sha1' ? 20 : 32, read)
        const now = new Map(from)
        for (const { path, mode, oid } of changes) {
          if (oid === null) now.delete(path)
          else now.set(path, { mode, oid })
        }
        const sorted = (map: Files) => [...map].toSorted(([one], [other]) => (one < other ? -1 : 1))
        assert.deepEqual(sorted(now), sorted(to))
        if (before.equals(after)) assert.deepEqual(asked, [])
      }),
      { seed: 6, numRuns: 500 },
    )
  })

const whole = Buffer.concat([Buffer.from('100644 a\0'), Buffer.alloc(20, 1)])
for (const [what, tree] of [
  ['no name ends', Buffer.from('100644 a')],
  ['a hash is cut short', whole.subarray(0, -1)],
  ['a mode is missing', Buffer.from(`\0${'x'.repeat(20)}`)],
  ['what follows is no entry', Buffer.concat([whole, Buffer.from('40000')])],
] as const)
  test(`a malformed tree ends with an error, and does end: ${what}`, async () => {
    for (const [from, to] of [
      [tree, Buffer.alloc(0)],
      [whole, tree],
    ] as const)
      await assert.rejects(
        diffTrees(from, to, 20, async () => []),
        /a tree of the repository is malformed/,
      )
  })
