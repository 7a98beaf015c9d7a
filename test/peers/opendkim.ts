/** OpenDKIM as a verifier: its test mode reads messages from files, and key records from a file instead of DNS. */

import { writeFileSync } from 'node:fs'
import { type KeyRecords, type Verdicts, wholeVerdict, withFiles } from './dkim-verdict.ts'
import { run } from './program.ts'

/** For each message `pass`, or `fail: ` and what the program said. */
export async function verifyWithOpendkim(
  messages: readonly Uint8Array[],
  records: KeyRecords,
): Promise<string[]> {
  return (await verdictsOfOpendkim(messages, records)).map(wholeVerdict)
}

/** Signature by signature. One process for all messages. */
export function verdictsOfOpendkim(
  messages: readonly Uint8Array[],
  records: KeyRecords,
): Promise<Verdicts[]> {
  return withFiles(messages, records, async (paths, table) => {
    const configuration = `${table}.conf`
    writeFileSync(configuration, `Mode v\nSyslog no\nTestDNSData ${table}\nMinimumKeyBits 1024\n`)
    // Line by line: it speaks to two streams, which come together here, and the one with the verdicts is buffered.
    const opendkim = ['opendkim', '-x', configuration, '-vvv', '-t', paths.join(',')]
    const { output } = await run('stdbuf', ['-oL', ...opendkim], {
      env: { PATH: `${process.env.PATH}:/usr/sbin` },
    })
    // What it says of a message comes between the line that its last header field is read and the one that it is closed.
    const said = new Map<string, string>()
    let results = ''
    for (const line of output.split('\n')) {
      if (/^\tdkim=/.test(line)) results += `${line}\n`
      const path = /^opendkim: (\S+): verification /.exec(line)?.[1]
      if (path === undefined) continue
      said.set(path, results)
      results = ''
    }
    return paths.map(path => parseResults(said.get(path) ?? '', records))
  })
}

/** `dkim=pass (2048-bit key) header.d=example.com … header.s=ptt header.b=…;`, a line for each signature (RFC 8601). */
function parseResults(text: string, records: KeyRecords): Verdicts {
  const verdicts = new Map<string, string>()
  for (const line of text.split('\n')) {
    const [, result] = /dkim=(\w+)/.exec(line) ?? []
    const [, selector = ''] = /header\.s=([^;\s]+)/.exec(line) ?? []
    const [, domain = ''] = /header\.d=([^;\s]+)/.exec(line) ?? []
    if (result === undefined || records[`${selector}._domainkey.${domain}`] === undefined) continue
    verdicts.set(selector, result === 'pass' ? 'pass' : `fail: ${line.trim()}`)
  }
  return verdicts
}
