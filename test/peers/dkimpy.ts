/** dkimpy (Debian's python3-dkim) as a verifier, its DNS a table. */

import { type KeyRecords, parseVerdicts, type Verdicts, wholeVerdict, withFiles } from './dkim-verdict.ts'
import { run } from './program.ts'

// The system's Python: another first on PATH does not see Debian's packages.
const PYTHON = '/usr/bin/python3'
const PROGRAM = `
import json, sys, dkim
from dkim.util import parse_tag_value
records = dict(line.rstrip('\\n').split(' ', 1) for line in open(sys.argv[1]))
def txt(name, timeout=5):
    name = (name.decode() if isinstance(name, bytes) else name).rstrip('.')
    return records[name].encode() if name in records else None
for path in sys.argv[2:]:
    message = open(path, 'rb').read()
    fields = [value for name, value in dkim.DKIM(message).headers if name.lower() == b'dkim-signature']
    verdicts = []
    for index, field in enumerate(fields):
        tags = parse_tag_value(field)
        selector, domain = tags[b's'].decode(), tags[b'd'].decode()
        if selector + '._domainkey.' + domain not in records: continue
        try:
            good = dkim.DKIM(message).verify(idx=index, dnsfunc=txt)
            verdicts.append([selector, 'pass' if good else 'fail: signature'])
        except dkim.DKIMException as error:
            verdicts.append([selector, 'fail: %s' % error])
    print(json.dumps(verdicts))
`

/** For each message `pass`, or `fail: ` and why. */
export async function verifyWithDkimpy(
  messages: readonly Uint8Array[],
  records: KeyRecords,
): Promise<string[]> {
  return (await verdictsOfDkimpy(messages, records)).map(wholeVerdict)
}

/** Signature by signature. One process for all messages. */
export function verdictsOfDkimpy(messages: readonly Uint8Array[], records: KeyRecords): Promise<Verdicts[]> {
  return withFiles(messages, records, async (paths, table) => {
    const { code, output } = await run(PYTHON, ['-c', PROGRAM, table, ...paths])
    if (code !== 0) throw new Error(`dkimpy: ${output}`)
    return parseVerdicts(output)
  })
}
