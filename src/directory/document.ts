/**
 * docs/users.md, made from the schema: `node src/directory/document.ts > docs/users.md`. A test compares them, so that
 * the page never says less or more than what is read.
 */

import * as z from 'zod'
import { DEFAULT_ITERATIONS, MIN_ITERATIONS } from './password.ts'
import { fileSchemas } from './schema.ts'
import { REMEMBERED, REMEMBERED_DAYS } from './usage/recipients.ts'
import { NEAR_PERCENT } from './usage/window.ts'

const { user, group, domain } = fileSchemas('example.com')

export function formatDocument(): string {
  return `<!-- Made by src/directory/document.ts from the schema: change it there. -->

# Users

Who may send, and as whom, is in a Git repository: \`[directory] repository\` of ptt.toml. A commit on its branch is in force on all services
within \`interval\`, at once on SIGHUP. What is in force is always one whole commit: a commit with anything wrong in it changes nothing, and the
log and \`ptt directory status\` say file, line and rule.

\`\`\`
example.com/domain.toml         the domain is one of ours; limits of its users
example.com/aliases.toml        addresses that lead elsewhere
example.com/users/alice.toml    a user; the name of the file is the local-part
example.com/groups/sales.toml   an address that several users may send as
\`\`\`

A folder a domain, as many as there are. What starts with a dot is not read, nor are README, LICENSE, CODEOWNERS and their like. Anything else
that means nothing is an error: it may be a user with a typing mistake. Local-parts have no case. \`ptt user\`, \`ptt group\`, \`ptt alias\` and
\`ptt domain\` change these files, a commit each; so may you, in a merge request, with \`ptt directory plan BRANCH\` telling what it would change.

## A user: \`users/NAME.toml\`

${keys(user)}

A suspended user who signs in with the right password is answered 535 5.7.13 with the reason; one who was signed in already is cut off at the
next command, 421. A message over \`message_size\` is answered 552 5.3.4; a recipient over \`recipients_per_message\` 452 4.5.3. The deployment's own
\`max_message_size\` and \`max_recipients\` stay above all of these.

### Limits a day

A day is the hour of the clock (UTC) and the 23 before it: what was sent at 9:40 counts until 9:00 the next day, so that a newsletter at the same
time every day never meets itself. What would exceed a limit is answered 450 4.7.1 with the time from which there is room, for the whole message; one that
alone has more recipients than the limit 550 5.7.1, for it would never pass. When ${NEAR_PERCENT} % are used up an event \`limit\` says so, once a day. \`total_limits\` of
domain.toml are for all users of the domain together, whatever their own limits are.

A message counts when it is accepted; what submission, the signer or the relay refuses does not, nor does what cannot be handed on. (Of messages that
are under way when submission is killed nobody knows: they count.) The counts are in \`[submission] state\`, which all submission processes of a machine
share, and outlast restarts; \`ptt user usage\` shows them. While that folder cannot be written, users with such limits are answered 451, with an alarm; others are not concerned.

For \`new_recipients_per_day\` it is remembered for ${REMEMBERED_DAYS} days after the last message whom a user has written to, from the day the limit is there. Nobody can list
them from the folder: it holds digests under a key of its own. (Who has the folder can ask it about an address.) Of more than ${REMEMBERED.toLocaleString('en')} recipients of a user some are forgotten, and are new again.

## A group: \`groups/NAME.toml\`

A role or shared mailbox. Nobody signs in as a group: its members do as themselves, and the log says who it was. It is in the folder of the
domain of the address, so that who looks after a domain decides who sends in its name; a member may be a user of another domain.

${keys(group)}

## A domain: \`domain.toml\`

It may be empty. That it is there says that the domain is one of ours, also when it has no user.

${keys(domain)}

\`signing_budget\` is held by the signer, for the addresses in \`From\`, in any sixty minutes; \`[signer] budget_per_hour\` of ptt.toml is for all domains
together. What is beyond is answered 550 5.7.1. \`sign = "never"\` is for a domain that somebody else signs for, or nobody: see
[keys.md](keys.md).

## Aliases: \`aliases.toml\`

\`\`\`toml
postmaster = ["alice"]
sales = ["alice", "bob@example.org", "carol@elsewhere.example"]
"first.last" = ["alice"]
\`\`\`

Targets are followed to their end, each mailbox once; targets that never end are an error. An alias is for mail that arrives; to send as an
address, a user has it among \`senders\`, or is a member of a group.

## Passwords

\`SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>\` (RFC 5802, RFC 7677), as \`ptt user passwd\` writes it, with ${DEFAULT_ITERATIONS} iterations.
Fewer than ${MIN_ITERATIONS}, a short salt, another hash or a password in clear are refused.

An app password has the salt and the iterations of \`password\`: whether what a client sends is one of them is found out with one derivation, so
that signing in takes the same time for everybody, and SCRAM, which tells the salt before anything else, works with each. \`ptt user passwd\`
keeps the salt while there are app passwords. They are made by \`ptt user app-password add\`, 100 bits, and shown once; the log says with which one
somebody signed in (\`app_password\`), and a session that was opened with one ends at the next command when it is taken away. SCRAM-SHA-1 does
not work with them.

## The original ptt's layout

A file at the root named after the local-part, of the deployment's domain: \`{"targets": ["alice@home.example"], "password": "<BLAKE2B-512 in hex>",
"insecure": false}\`. It is read, and reported: such a hash has no salt, and serves PLAIN and LOGIN only. \`ptt user passwd NAME\` moves the user to the
layout above.

## Which commits are taken

\`[directory] require\` says. \`"fast-forward"\`, the default: a commit that descends from the one in force. Somebody who could rewrite the history
could bring a revoked user back with an old commit, and nobody could find out any more who was allowed what when: each message carries the commit
that allowed it. A history that was rewritten on purpose is agreed to with \`ptt directory accept COMMIT\`, once.

\`"signed"\`: that, and the commit is signed by somebody in \`allowed_signers\` (ssh keys, as in ssh-keygen(1)) or \`keyring\` (OpenPGP public keys).
git itself checks it. A signature vouches for all that is in the commit, whoever made the commits before it: so it does of a merge.
`
}

function keys(schema: z.ZodObject): string {
  const rows = rowsOf(schema, '').map(cells => `| ${cells.join(' | ')} |`)
  return ['| key | example | |', '|---|---|---|', ...rows].join('\n')
}

function rowsOf(table: z.ZodObject, prefix: string): string[][] {
  return Object.entries(table.shape).flatMap(([key, field]) => {
    const { description, examples } = z.globalRegistry.get(field as z.ZodType) ?? {}
    if (!description || !Array.isArray(examples))
      throw new Error(`${prefix}${key}: no description, no example`)
    const inner = tableOf(field)
    const row = [`\`${prefix}${key}\``, `\`${toml(examples[0])}\``, description]
    return [row, ...(inner ? rowsOf(inner, `${prefix}${key}.`) : [])]
  })
}

/** The object in what is a table that may be left out or is transformed. */
function tableOf(field: unknown): z.ZodObject | null {
  if (field instanceof z.ZodObject) return field
  if (field instanceof z.ZodOptional) return tableOf(field.unwrap())
  return field instanceof z.ZodPipe ? tableOf(field.in) : null
}

function toml(value: unknown): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return JSON.stringify(value).replaceAll('","', '", "')
  const pairs = Object.entries(value).map(([key, each]) => `${key} = ${toml(each)}`)
  return `{ ${pairs.join(', ')} }`
}

if (import.meta.main) process.stdout.write(formatDocument())
