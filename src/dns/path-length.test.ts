import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { rootCertificates } from 'node:tls'
import { issue, makeAuthority } from '../cli/authority.ts'
import { pathLength } from './path-length.ts'

const der = ({ certificate }: { certificate: string }) => new X509Certificate(certificate).raw

test('how many CAs may be below', async () => {
  const authority = await makeAuthority('x.test')
  assert.equal(pathLength(der(authority)), 0)
  assert.equal(pathLength(der(await issue(authority, { names: ['mx.x.test'] }))), null)
})

test('of the CAs that everybody knows: some say, most do not', () => {
  const lengths = rootCertificates.map(certificate => pathLength(der({ certificate })))
  const said = lengths.filter(length => length !== null)
  assert.ok(said.length > 0 && said.length < lengths.length / 2, String(lengths))
  for (const length of said) assert.ok(length <= 12, String(length))
})

test('what is cut off is no constraint, and no error', async () => {
  const whole = der(await makeAuthority('x.test'))
  for (let length = 0; length < whole.length; length++)
    assert.equal(pathLength(whole.subarray(0, length)), null)
})
