/** What a person can paste next. */

import { relative } from 'node:path'
import type { SandboxFile } from './folder.ts'
import { SPECIAL_LOCAL_PARTS } from './internet.ts'
import { SPECIAL_DOMAINS } from './world.ts'

/** `ptt`: how ptt is called in the folder we are in. */
export function commands({ submission, internet, config, git, dns }: SandboxFile, ptt: string): string {
  const { host, port, username, password } = submission
  const near = (path: string) => relative('', path) || '.'
  return `
Send by swaks:

  swaks --server ${host}:${port} --tls-on-connect --tls-verify --tls-ca-path ${near(submission.ca)} \\
    --auth PLAIN --auth-user ${username} --auth-password ${password} \\
    --from ${username} --to bob@internet.test

by curl:

  printf 'From: ${username}\\r\\nTo: bob@internet.test\\r\\nSubject: Hello\\r\\n\\r\\nHello Bob\\r\\n' |
    curl --url smtps://${host}:${port} --cacert ${near(submission.ca)} --user ${username}:${password} \\
      --mail-from ${username} --mail-rcpt bob@internet.test --upload-file -

or by ptt itself:

  echo 'Hello Bob' | ${ptt} send -c ${near(config)} bob@internet.test

Every domain leads to the Internet's MX of this sandbox; nothing leaves this machine. To see other things happen, write to
${list(SPECIAL_LOCAL_PARTS, word => `${word}@internet.test`)}
${list(SPECIAL_DOMAINS, word => `bob@${word}`)}

What arrived   ${near(internet.maildir)}/new
The spool      ${ptt} queue list -c ${near(config)}
The users      git clone ${near(git)}
The zone       dig @${dns.host} -p ${dns.port} ptt._domainkey.${dns.zone} TXT
The logs       ${near(config).replace(/ptt\.toml$/, 'log')}/*.log

Ctrl-C ends it; the next start goes on from there, one with --fresh begins anew.
`
}

function list(table: Readonly<Record<string, string>>, address: (word: string) => string): string {
  return Object.entries(table)
    .map(([word, what]) => `  ${address(word).padEnd(24)} ${what}`)
    .join('\n')
}
