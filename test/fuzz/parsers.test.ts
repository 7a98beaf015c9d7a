/**
 * Every file that reads what others have written is reached by a fuzz target, or says why not. What counts as reading is told
 * by the name: functions `parse…`, `read…`, `decode…`, `split…`, and `parse`, `read`, `decode`, `push`, `receive` of a class.
 */

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'

const ROOT = join(import.meta.dirname, '../..')
const SRC = join(ROOT, 'src')

const PARSER =
  /^(?:export )?(?:async )?(?:function\*?|const) (?:parse|read|decode|split|interpret)[A-Z]?\w*|^ {2}(?:static )?(?:async )?\*?(?:parse|read|decode|push|receive)[A-Z]?\w*\((?!\))/m

/** What has a name like a parser's and takes nothing apart that others have written. */
const NO_PARSER: Readonly<Record<string, string>> = {
  'cli/check.ts': 'PEM, by OpenSSL',
  'cli/queue-move.ts': 'what ptt queue export wrote; format, version and id are checked',
  'cli/read-password.ts': 'a line from the terminal, taken as it is',
  'cli/renew.ts': 'PEM, by OpenSSL',
  'cli/repository.ts':
    'arguments of a command: NAME=VALUE, and the schema of users judges the value (users-toml)',
  'config/file.ts': 'whole files; PEM is read by OpenSSL, the JSON is of JWK sets, which jose judges',
  'config/pair.ts': 'PEM, by OpenSSL',
  'directory/along.ts': 'commits of a clone, by the readers below it (git-answers, users-toml)',
  'directory/commit-reader.ts': 'commits of a clone, by the readers below it (git-answers, users-toml)',
  'directory/commit-info.ts': 'git log, whose fields NUL separates',
  'directory/entry.ts': 'keeps what schema.ts has parsed (users-toml)',
  'directory/read.ts': 'commits of a clone, by the readers below it (git-answers, users-toml)',
  'dns-plan/policies.ts': 'tags of TXT records, cut at ; and = and only compared with what we want',
  'directory/import/original.ts': 'whole files; schema.ts parses them (users-toml)',
  'hooks/hooks.ts': 'a secret, taken as it is; the bodies of webhooks are hashed and not read',
  'image/elf.ts': 'programs of Debian packages, when an image is built',
  'image/settings.ts':
    'the kernel command line, by smol-toml; parseConfig judges what comes of it (ptt-toml)',
  'message/dsn-status.ts': 'the inverse of the ORCPT that smtp-parameters has judged',
  'net/content.ts': 'octets of a message, not looked at',
  'net/nsupdate.ts': 'messages by dns-message, their MACs by dns-tsig; any error is BADREPLY',
  'net/nsupdate-transfer.ts': 'messages by dns-message, their MACs by dns-tsig-stream; any error is BADREPLY',
  'net/replies.ts': 'a line of what is to be written',
  'net/wire.ts': 'octets of a socket, not looked at',
  'queue/embedded/content.ts': 'octets of our own files',
  'queue/embedded/files.ts': 'octets of our own files',
  'queue/embedded/heap.ts': 'a heap',
  'queue/embedded/record.ts':
    'our own records in LMDB; those of every version are read in test/crash/format.test.ts',
  'queue/queue.ts': 'a contract',
  'relay/rules.ts': 'the files of rules, by parseRules (rules-toml)',
  'relay/tls-report/sending.ts': 'our own records on the shelf',
  'relay/visitors.ts': 'octets of a message, not looked at',
  'sandbox/dns-presentation.ts': 'the sandbox: what it reads is its own',
  'sandbox/dns-zone.ts': 'the sandbox: what it reads is its own',
  'sandbox/maildir.ts': 'the sandbox: what it reads is its own',
  'sandbox/story.ts': 'the sandbox: what it reads is its own',
  'sandbox/tail.ts': 'the sandbox: what it reads is its own',
  'signer/key-folder.ts': 'PEM, by OpenSSL',
  'signer/key-store.ts': 'a seed, taken as it is',
  'signer/key-source.ts': 'PEM, by OpenSSL; seeds are taken as they are',
  'smtp/offer.ts': 'types only',
  'workers/channel.ts': 'messages between processes of ours',
}

/** Files of `src` that the targets import, and those that these import in turn. */
function reached(): Set<string> {
  const found = new Set<string>()
  const folder = join(import.meta.dirname, 'targets')
  const queue = readdirSync(folder).map(name => join(folder, name))
  for (const file of queue) {
    for (const [, type, path = ''] of readFileSync(file, 'utf8').matchAll(
      /^(?:import|export) (type )?[^'"]*from '(\.[^']+)'/gm,
    )) {
      const imported = join(dirname(file), path)
      if (type !== undefined || found.has(imported) || !imported.startsWith(SRC)) continue
      found.add(imported)
      queue.push(imported)
    }
  }
  return found
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.endsWith('.d.ts'))
  .filter(name => PARSER.test(readFileSync(join(SRC, name), 'utf8')))
  .sort()

test('every parser has a fuzz target, or a reason', () => {
  assert.ok(files.length > 40, `${files.length} files`)
  const fuzzed = reached()
  const without = files.filter(name => !fuzzed.has(join(SRC, name)) && NO_PARSER[name] === undefined)
  assert.deepEqual(without, [], 'give each a target in test/fuzz/targets, or say why in NO_PARSER')
})

test('no reason is left of a file that is gone', () => {
  const known = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).map(name => relative('', name))
  for (const name of Object.keys(NO_PARSER)) assert.ok(known.includes(name), name)
})
