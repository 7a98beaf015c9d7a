/** Files that a service keeps, on a disk with room for a part of what is to be written. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { whyNoSmallDisk, withSmallDisk } from '../e2e/small-disk.ts'
import { run, temporaryFolder } from '../peers/program.ts'

const src = (file: string): string => JSON.stringify(join(import.meta.dirname, '../../src', file))

/** Room for one page, 4 KiB, is left of what `disk` has. */
const FILL = `
  import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
  function fill(disk) {
    const filler = openSync(disk + '/filler', 'w')
    let octets = 0
    try {
      for (;;) octets += writeSync(filler, Buffer.alloc(4096))
    } catch (error) {
      if (error.code !== 'ENOSPC') throw error
    }
    ftruncateSync(filler, octets - 4096)
    closeSync(filler)
  }`

/** What keeps the file named here, and how it writes a small or a large one. */
const KEEPERS = [
  {
    what: 'what the signer knows of its keys',
    file: 'keys.json',
    script: `import { KeyFolder } from ${src('signer/key-folder.ts')}
      const folder = new KeyFolder(disk, 'example.com')
      const write = octets => folder.save(octets < 100 ? [] : [{ reason: '#'.repeat(octets) }])`,
  },
  {
    what: 'a request to the signer',
    file: 'requests/a.answer',
    script: `import { answerRequest, openRequests } from ${src('signer/request.ts')}
      openRequests(disk)
      const write = octets => answerRequest(disk, 'a', { error: '#'.repeat(octets) })`,
  },
] as const

for (const { what, file, script } of KEEPERS) {
  test(`no room for all of it: ${what} is as it was, and an error tells`, async t => {
    const folder = temporaryFolder('full-disk')
    t.after(() => folder.remove())
    const disk = join(folder.path, 'disk')
    const why = await whyNoSmallDisk(disk)
    assert.ok(why === null || process.env.CI !== 'true', `a disk that can be full cannot be had: ${why}`)
    if (why !== null) return t.skip(`SKIPPED: neither root nor user namespaces: ${why}`)
    const whole = `${FILL}
      const disk = ${JSON.stringify(disk)}
      ${script}
      write(10)
      const before = readFileSync(disk + '/${file}', 'utf8')
      fill(disk)
      let told = 'nothing'
      try {
        write(6000)
      } catch (error) {
        told = error.message
      }
      const same = readFileSync(disk + '/${file}', 'utf8') === before
      console.log(JSON.stringify({ told, same, beside: existsSync(disk + '/${file}.new') }))`
    const [program = '', ...args] = withSmallDisk(disk, '64k')
    const { code, output } = await run(program, [
      ...args,
      process.execPath,
      '--input-type=module',
      '--eval',
      whole,
    ])
    assert.equal(code, 0, output)
    const { told, same, beside } = JSON.parse(output.trim().split('\n').at(-1) ?? '')
    assert.match(told, /no space left on device/i)
    assert.deepEqual({ same, beside }, { same: true, beside: false })
  })
}
