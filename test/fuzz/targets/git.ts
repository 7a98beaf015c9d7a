/** What `git` answers about a repository that others write: objects, commits, trees, listings. */

import assert from 'node:assert/strict'
import { readCommit } from '../../../src/directory/fetch.ts'
import { GitError } from '../../../src/directory/git.ts'
import { AnswerParser } from '../../../src/directory/object-reader.ts'
import { parseListing } from '../../../src/directory/objects.ts'
import { differences } from '../../../src/directory/tree.ts'
import { attempt, expected, sameHoweverCut, type Target } from '../target.ts'

const OID = 'd670460b4b4aece5915caf5c68d12f560a9fe3e4'

/** The first octet: how many answers are waited for. */
const answers: Target = {
  name: 'git-answers',
  words: [
    `${OID} blob 3\nabc\n`,
    `${OID} tree 0\n\n`,
    `${OID} missing\n`,
    'x ambiguous\n',
    '\n',
    ' ',
    '999999999999',
  ].concat([OID, `${'a'.repeat(64)} commit 1\n`, ' blob ', ' 3\n', '\0']),
  longestOctets: 64 * 1024,
  run(input) {
    const count = ((input[0] ?? 0) % 4) + 1
    return sameHoweverCut(input.subarray(1), pieces => {
      const parser = new AnswerParser(count)
      let whole = false
      try {
        for (const piece of pieces) {
          whole = parser.push(piece)
          if (whole) break
        }
      } catch (error) {
        return expected(error, GitError)
      }
      assert.ok(parser.found.length <= count && (!whole || parser.found.length === count))
      return `${whole} ${parser.found.map(found => (found === null ? '-' : `${found.type} ${found.octets.length}`))}`
    })
  },
}

const commit: Target = {
  name: 'git-commit',
  words: [
    `tree ${OID}\n`,
    `parent ${OID}\n`,
    'committer A <a@b.example> 1700000000 +0000\n',
    '\n\n',
    '\n',
    'author ',
  ].concat(['gpgsig -----BEGIN SSH SIGNATURE-----\n ', 'committer ', ' 1e9 +0000', '-0000', '>']),
  longestOctets: 64 * 1024,
  run(input) {
    const { committedSeconds, parents } = readCommit(input)
    for (const parent of parents) assert.match(parent, /^[0-9a-f]+$/)
    assert.ok(Number.isNaN(committedSeconds) || committedSeconds >= 0)
    // RFC-like rule of Git: what stands in the message is no header.
    const [header = ''] = input.toString('latin1').split('\n\n', 1)
    assert.deepEqual(readCommit(Buffer.from(header, 'latin1')), { committedSeconds, parents })
    return `${parents.length} ${Number.isNaN(committedSeconds)}`
  },
}

/** Two trees, with NUL NUL NUL NUL between. */
const tree: Target = {
  name: 'git-tree',
  words: [
    '100644 a\0',
    '40000 b\0',
    '120000 c\0',
    '160000 d\0',
    Buffer.alloc(20, 1),
    Buffer.alloc(20, 2),
    Buffer.alloc(4),
    ' ',
  ],
  longestOctets: 64 * 1024,
  run(input) {
    const cut = input.indexOf(Buffer.alloc(4))
    const [from, to] = cut < 0 ? [input, Buffer.alloc(0)] : [input.subarray(0, cut), input.subarray(cut + 4)]
    const { value: found, error } = attempt(() => [...differences(from, to, 20)], GitError)
    if (found === null) return error
    for (const { before, after } of found) {
      assert.ok(before !== undefined || after !== undefined)
      for (const entry of [before, after]) if (entry) assert.match(entry.oid, /^[0-9a-f]{40}$/)
    }
    assert.deepEqual([...differences(from, from, 20)], [], 'a tree is as itself')
    assert.ok(found.length <= input.length / 21, 'each difference has its octets')
    return `${found.filter(({ before }) => before).length} ${found.filter(({ after }) => after).length}`
  },
}

const listing: Target = {
  name: 'git-listing',
  words: [
    `100644 blob ${OID}     120\texample.com/users/alice.toml\0`,
    `160000 commit ${OID}       -\tx\0`,
    '\t',
    '\0',
    '    ',
  ],
  longestOctets: 64 * 1024,
  run(input) {
    const { value: files, error } = attempt(() => parseListing(input), GitError)
    if (files === null) return error
    for (const [path, { mode, oid, sizeOctets, path: same }] of files) {
      assert.equal(path, same)
      assert.ok(/^\d{6}$/.test(mode) && /^[0-9a-f]{40,64}$/.test(oid) && sizeOctets >= 0)
    }
    return `${files.size}`
  },
}

export const gitTargets: readonly Target[] = [answers, commit, tree, listing]
