/** Python's smtplib.SMTP_SSL. Ends with 0 when the message was accepted for every recipient, 1 and the exception else. */

import type { Submission } from './client.ts'
import { type Finished, run } from './program.ts'

const SCRIPT = `
import json, smtplib, ssl, sys
s = json.load(sys.stdin)
context = ssl.create_default_context(cafile=s['ca'])
with smtplib.SMTP_SSL(s['host'], s['port'], 'client.example.test', context=context) as client:
    client.set_debuglevel(1)
    client.login(s['username'], s['password'])
    refused = client.sendmail(s['from'], s['to'], s['message'].encode('utf-8'))
    sys.exit(json.dumps(str(refused)) if refused else 0)
`

export async function smtplib(submission: Submission): Promise<Finished> {
  const input = JSON.stringify({ host: '127.0.0.1', ...submission })
  return run('/usr/bin/python3', ['-c', SCRIPT], { input })
}
