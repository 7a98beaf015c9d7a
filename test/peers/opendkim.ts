/** OpenDKIM as a verifier: its test mode reads messages from files, and key records from a file instead of DNS. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run, temporaryFolder } from './program.ts'

/** `pass`, or `fail: ` and what the program said. `records`: name → key record. */
export async function verifyWithOpendkim(
  messages: readonly Uint8Array[],
  records: Readonly<Record<string, string>>,
): Promise<string[]> {
  const folder = temporaryFolder('opendkim')
  try {
    const keys = join(folder.path, 'keys')
    writeFileSync(
      keys,
      Object.entries(records)
        .map(([name, record]) => `${name} ${record}\n`)
        .join(''),
    )
    const configuration = join(folder.path, 'opendkim.conf')
    writeFileSync(configuration, `Mode v\nSyslog no\nTestDNSData ${keys}\nMinimumKeyBits 1024\n`)
    const paths = messages.map((message, i) => {
      const path = join(folder.path, `${i}.eml`)
      writeFileSync(path, message)
      return path
    })
    // Line by line: it speaks to two streams, which come together here, and the one with the verdicts is buffered.
    const opendkim = ['opendkim', '-x', configuration, '-v', '-t', paths.join(',')]
    const { output } = await run('stdbuf', ['-oL', ...opendkim], {
      env: { PATH: `${process.env.PATH}:/usr/sbin` },
    })
    return paths.map(path => {
      const said = output.split('\n').filter(line => line.startsWith(`opendkim: ${path}: verification `))
      return said.length > 0 && said.every(line => line.endsWith(' succeeded'))
        ? 'pass'
        : `fail: ${said.join(' ')}`
    })
  } finally {
    folder.remove()
  }
}
