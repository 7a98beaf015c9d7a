import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { FileError } from '../config/file.ts'
import { KeyFolder } from './key-folder.ts'
import { type Key, step } from './life-cycle.ts'
import {
  answerRequest,
  askSigner,
  forgetAnswers,
  openRequests,
  readRequest,
  requestPath,
  waitingRequests,
} from './request.ts'

const root = mkdtempSync(join(tmpdir(), 'ptt-key-folder-'))
after(() => rmSync(root, { recursive: true }))
let folders = 0
const newFolder = (): KeyFolder => new KeyFolder(join(root, String(folders++), 'dkim'), 'example.com')

const ID = { domain: 'example.com', selector: 'a' }
const made = {
  algorithm: 'ed25519-sha256',
  record: 'r',
  origin: 'generated',
  unasked: true,
  replaces: ['x'],
} as const
const KEYS: readonly Key[] = step(
  [],
  { kind: 'added', key: { ...ID, ...made }, reason: 'new' },
  { rotateMs: null, lifetimeMs: 1, revokedMs: 1 },
  5,
).keys

test('what is saved is loaded, and a new folder has nothing', () => {
  const folder = newFolder()
  assert.deepEqual(folder.load(), [])
  folder.save(KEYS)
  assert.deepEqual(folder.load(), KEYS)
  folder.save([])
  assert.deepEqual(folder.load(), [])
  assert.equal(statSync(folder.path).mode & 0o777, 0o700)
  assert.equal(statSync(folder.stateFile).mode & 0o777, 0o600)
  assert.deepEqual(readdirSync(folder.path), ['keys.json'], 'nothing is left beside it')
})

const broken: [what: string, text: string, says: RegExp][] = [
  ['cut short', '{"version": 1, "keys": [', /is not JSON: put a copy of it back; or move it away/],
  ['of a later version', '{"version": 2, "keys": []}', /is of version 2, and this is 1/],
  ['nothing', 'null', /is of version undefined/],
  [
    'a key without a stage',
    JSON.stringify({ version: 1, keys: [{ ...KEYS[0], stage: undefined }] }),
    /cannot be understood/,
  ],
  ['no list', '{"version": 1, "keys": {}}', /cannot be understood/],
]
for (const [what, text, says] of broken)
  test(`a state that is ${what} is not taken for an empty one`, () => {
    const folder = newFolder()
    mkdirSync(folder.path, { recursive: true })
    writeFileSync(folder.stateFile, text)
    assert.throws(() => folder.load(), says)
    assert.throws(() => folder.load(), FileError)
  })

test('a private key: mode 600, the same when it is read, gone when it is destroyed', () => {
  const folder = newFolder()
  const { privateKey } = generateKeyPairSync('ed25519')
  assert.equal(folder.hasPrivate(ID), false)
  folder.writePrivate(ID, privateKey)
  const [name = ''] = readdirSync(folder.path)
  assert.equal(name, 'a._domainkey.example.com.pem')
  assert.equal(statSync(join(folder.path, name)).mode & 0o777, 0o600)
  assert.ok(folder.readPrivate(ID).equals(privateKey))
  chmodSync(join(folder.path, name), 0o640)
  assert.throws(() => folder.readPrivate(ID), /others may read it/)
  folder.destroyPrivate(ID)
  assert.equal(folder.hasPrivate(ID), false)
  folder.destroyPrivate(ID)
})

test("the key of earlier versions: <selector>.pem, of the deployment's domain only", () => {
  const folder = newFolder()
  mkdirSync(folder.path, { recursive: true })
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })
  writeFileSync(join(folder.path, 'a.pem'), pem, { mode: 0o600 })
  assert.equal(folder.hasPrivate(ID), true)
  assert.equal(folder.hasPrivate({ ...ID, domain: 'example.org' }), false)
  folder.destroyPrivate(ID)
  assert.equal(existsSync(join(folder.path, 'a.pem')), false)
})

test('a folder that cannot be: the error says which', () => {
  writeFileSync(join(root, 'file'), '')
  const folder = new KeyFolder(join(root, 'file', 'dkim'), 'example.com')
  assert.throws(() => folder.save(KEYS), /file\/dkim\/keys\.json: cannot be written: /)
})

/** Waiting for an answer: what the signer does meanwhile, then no time at all. */
const meanwhile = (act: () => void) => async (): Promise<void> => act()

test('a request and its answer; nothing is left of either', async () => {
  const { path } = newFolder()
  openRequests(path)
  const answer = await askSigner(
    path,
    { kind: 'check' },
    {
      id: '1-a',
      waitMs: 1000,
      pause: meanwhile(() => {
        assert.deepEqual(waitingRequests(path), ['1-a'])
        assert.deepEqual(readRequest(path, '1-a'), { kind: 'check' })
        answerRequest(path, '1-a', { ok: true, text: 'done', selectors: [] })
      }),
    },
  )
  assert.deepEqual(answer, { ok: true, text: 'done', selectors: [] })
  assert.deepEqual(readdirSync(join(path, 'requests')), [])
})

test('nobody answers: the request waits; an answer that nobody has read is forgotten', async () => {
  const { path } = newFolder()
  await assert.rejects(
    askSigner(path, { kind: 'check' }, { id: '0', waitMs: 0, pause: meanwhile(() => {}) }),
    /ENOENT/,
    'no signer has run here',
  )
  openRequests(path)
  for (const id of ['2', '1'])
    assert.equal(
      await askSigner(path, { kind: 'check' }, { id, waitMs: 100, pause: meanwhile(() => {}) }),
      null,
    )
  assert.deepEqual(waitingRequests(path), ['1', '2'], 'the oldest first')
  assert.ok(existsSync(requestPath(path, '1')))
  answerRequest(path, '1', { ok: true, text: 'late', selectors: [] })
  forgetAnswers(path)
  assert.deepEqual(readdirSync(join(path, 'requests')), ['2.json'])
  assert.deepEqual(waitingRequests(join(path, 'none')), [])
})

const requests: [request: unknown, understood: boolean][] = [
  [{ kind: 'check' }, true],
  [{ kind: 'rotate', domain: 'example.com' }, true],
  [{ kind: 'generate', domain: 'example.com', algorithm: 'rsa-sha256', bits: 4096, selector: 's' }, true],
  [{ kind: 'revoke', domain: 'example.com', selector: 's', reason: 'r', gently: false }, true],
  [{ kind: 'revoke', domain: 'example.com', selector: 's', reason: 'r' }, false],
  [{ kind: 'generate', domain: 'example.com', bits: 1024 }, false],
  [{ kind: 'generate', domain: 7 }, false],
  [{ kind: 'rotate', domain: 'example.com', algorithm: 'dsa' }, false],
  [{ kind: 'export-private' }, false],
  [null, false],
  ['check', false],
]
for (const [request, understood] of requests)
  test(`${understood ? 'understands' : 'does not understand'} ${JSON.stringify(request)}`, () => {
    const { path } = newFolder()
    openRequests(path)
    writeFileSync(requestPath(path, '1'), JSON.stringify(request))
    assert.deepEqual(readRequest(path, '1'), understood ? request : null)
  })
