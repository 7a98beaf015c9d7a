import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isBranch, parseRemote } from './remote.ts'

const remotes: [repository: string, protocol: string | RegExp][] = [
  ['/srv/users.git', 'file'],
  ['./users.git', 'file'],
  ['users.git', 'file'],
  ['/srv/a:b.git', 'file'],
  ['file:///srv/users.git', 'file'],
  ['https://git.example.com/users.git', 'https'],
  ['https://git.example.com:8443/users.git', 'https'],
  ['ssh://git@git.example.com/users.git', 'ssh'],
  ['http://127.0.0.1:8080/users.git', 'http'],
  ['http://localhost/users.git', 'http'],
  ['http://[::1]/users.git', 'http'],
  ['http://git.example.com/users.git', /http is not supported/],
  ['http://127.0.0.1.example.com/users.git', /http is not supported/],
  ['git://git.example.com/users.git', /git is not supported/],
  ['ext::sh -c touch% /tmp/x', /not a path or a file, https or ssh URL/],
  ['fd::17', /not a path or a file, https or ssh URL/],
  // To git a host called "file", and a helper of that name.
  ['file:/srv/users://users.git', /not a path or a file, https or ssh URL/],
  ['file::ext://users.git', /not a path or a file, https or ssh URL/],
  ['git@git.example.com:users.git', /write ssh:\/\/git@git\.example\.com\/users\.git instead/],
  ['git.example.com:users.git', /not a path or a file, https or ssh URL/],
  ['https://git:secret@git.example.com/users.git', /holds no secret/],
  ['https://token@git.example.com/users.git', /holds no secret/],
  ['ssh://git:secret@git.example.com/users.git', /holds no secret/],
  ['ssh://-oProxyCommand=touch/users.git', /does not start with "-"|not a path/],
  ['ssh://-x@git.example.com/users.git', /does not start with "-"/],
  ['', /is a path or a URL/],
  ['/srv/users.git\n--upload-pack=x', /is a path or a URL/],
]
for (const [repository, expected] of remotes)
  test(`repository ${JSON.stringify(repository)}`, () => {
    if (typeof expected === 'string') {
      assert.equal(parseRemote(repository).protocol, expected)
    } else {
      assert.throws(
        () => parseRemote(repository),
        (error: Error) => {
          assert.match(error.message, expected)
          assert.doesNotMatch(error.message, /secret@|token@/)
          return true
        },
      )
    }
  })

test('a path is never an option', () => {
  assert.ok(parseRemote('--upload-pack=touch').url.startsWith('/'))
  assert.ok(parseRemote('-x').url.startsWith('/'))
})

const branches: [name: string, fine: boolean][] = [
  ['main', true],
  ['users/2025', true],
  ['été', true],
  ['', false],
  ['-main', false],
  ['.main', false],
  ['main:other', false],
  ['ma*n', false],
  ['a..b', false],
  ['a b', false],
  ['a.lock', false],
  ['a.lock/b', false],
  ['a//b', false],
  ['a/', false],
  ['a@{1}', false],
  ['a\nb', false],
]
test('branches, as git-check-ref-format(1) has them', () => {
  for (const [name, fine] of branches) assert.equal(isBranch(name), fine, JSON.stringify(name))
})
