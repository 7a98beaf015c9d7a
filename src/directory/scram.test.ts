import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_ITERATIONS, makeVerifier } from './password.ts'
import { Decoys, scramCrypto } from './scram.ts'

test('keys as makeVerifier derives them, SASLprep included', async () => {
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
  for (const password of ['pencil', 'I\u00adX', '\u2168', 'un\u00a0deux']) {
    const { storedKey, serverKey } = await makeVerifier(password, { iterations: 4096, salt })
    const { hash, hmac, saltedPassword } = scramCrypto
    const salted = saltedPassword('SHA-256', password, salt, 4096)
    assert.deepEqual(hash('SHA-256', hmac('SHA-256', salted, 'Client Key')), storedKey)
    assert.deepEqual(hmac('SHA-256', salted, 'Server Key'), serverKey)
  }
  // What cannot be prepared is no reason to fail: it is wrong wherever it is tried.
  assert.equal(scramCrypto.saltedPassword('SHA-1', '\u0007', salt, 4096).length, 20)
})

test('nonces are printable, without a comma, and never the same', () => {
  const nonces = new Set(Array.from({ length: 1000 }, () => scramCrypto.nonce()))
  assert.equal(nonces.size, 1000)
  for (const nonce of nonces) assert.match(nonce, /^[\x21-\x2b\x2d-\x7e]{24}$/)
})

test('a decoy is always the same for a name, and looks like what ptt user makes', async () => {
  const decoys = new Decoys('a secret of the deployment')
  const real = await makeVerifier('pencil')
  const decoy = decoys.verifier('SHA-256', 'bob@example.com')
  assert.equal(decoy.iterations, DEFAULT_ITERATIONS)
  for (const key of ['salt', 'storedKey', 'serverKey'] as const) {
    assert.equal(decoy[key].length, real[key].length, key)
  }
  // After a restart too.
  assert.deepEqual(new Decoys('a secret of the deployment').verifier('SHA-256', 'bob@example.com'), decoy)
  const others = [
    decoys.verifier('SHA-256', 'carol@example.com'),
    decoys.verifier('SHA-1', 'bob@example.com'),
    new Decoys('another secret').verifier('SHA-256', 'bob@example.com'),
  ]
  for (const other of others) assert.notDeepEqual(other.salt, decoy.salt)
  assert.equal(decoys.verifier('SHA-1', 'bob@example.com').storedKey.length, 20)
})
