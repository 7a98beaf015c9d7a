/** dkimpy (Debian's python3-dkim) as a verifier, its DNS a table. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run, temporaryFolder } from './program.ts'

// The system's Python: another first on PATH does not see Debian's packages.
const PYTHON = '/usr/bin/python3'
const PROGRAM = `
import json, sys, dkim
records = {name + '.': text.encode() for name, text in json.load(open(sys.argv[1])).items()}
for path in sys.argv[2:]:
    verifier = dkim.DKIM(open(path, 'rb').read())
    try:
        good = verifier.verify(dnsfunc=lambda name, timeout=5: records.get(name.decode() if isinstance(name, bytes) else name))
        print('pass' if good else 'fail: signature or body hash')
    except dkim.DKIMException as error:
        print('fail:', error)
`

/** `pass`, or `fail: ` and why. `records`: name → key record. */
export async function verifyWithDkimpy(
  messages: readonly Uint8Array[],
  records: Readonly<Record<string, string>>,
): Promise<string[]> {
  const folder = temporaryFolder('dkimpy')
  try {
    const table = join(folder.path, 'records.json')
    writeFileSync(table, JSON.stringify(records))
    const paths = messages.map((message, i) => {
      const path = join(folder.path, `${i}.eml`)
      writeFileSync(path, message)
      return path
    })
    const { code, output } = await run(PYTHON, ['-c', PROGRAM, table, ...paths])
    if (code !== 0) throw new Error(`dkimpy: ${output}`)
    return output.trimEnd().split('\n')
  } finally {
    folder.remove()
  }
}
