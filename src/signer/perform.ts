/** Does what `ptt key` has asked for, and says what was done in words for the person who asked. */

import type { KeyObject } from 'node:crypto'
import * as kind from '../config/value.ts'
import type { Algorithm } from '../dkim/signature.ts'
import type { Keyring } from './keyring.ts'
import { isLive, type Key, nameOf } from './life-cycle.ts'
import type { KeyAnswer, KeyRequest } from './request.ts'

export interface Means {
  readonly keyring: Keyring
  readonly makeKey: (algorithm: Algorithm, bits: number) => Promise<KeyObject>
  /** Of RSA keys, where the request says nothing. */
  readonly bits: number
}

/** `null`: a request that could not be understood. Rejects never: what goes wrong is the answer. */
export async function perform(request: KeyRequest | null, means: Means): Promise<KeyAnswer> {
  if (request === null) return no('the request cannot be understood: is this signer older than `ptt key`?')
  try {
    switch (request.kind) {
      case 'check':
        return yes('the records were looked at')
      case 'generate':
        return await make(request, algorithmsOf(request, means), means, 'made by command')
      case 'rotate':
        return await rotate(request, means)
      case 'revoke':
        return revoke(request, means)
    }
  } catch (error) {
    return no((error as Error).message)
  }
}

type Making = Extract<KeyRequest, { kind: 'generate' | 'rotate' }>

function algorithmsOf({ algorithm }: Making, { keyring }: Means): readonly Algorithm[] {
  return algorithm === undefined ? keyring.algorithms : [algorithm]
}

/** The keys that we have made get successors; those of ptt.toml only the operator can replace. */
async function rotate(request: Making, means: Means): Promise<KeyAnswer> {
  const { domain, algorithm } = request
  const live = means.keyring.keys.filter(key => key.domain === domain && isLive(key))
  const ours = live.filter(key => key.origin === 'generated')
  if (ours.length === 0) {
    const why = live.length > 0 ? 'its keys are those of ptt.toml' : 'it has no key'
    return no(
      `${domain}: ${why}: put another there with another selector, or have the signer make one with ptt key generate`,
    )
  }
  const algorithms = new Set(ours.map(key => key.algorithm))
  if (algorithm !== undefined && !algorithms.has(algorithm))
    return no(`${domain} has no ${algorithm} key that the signer has made: ptt key generate makes one`)
  const wanted = algorithm === undefined ? [...algorithms] : [algorithm]
  const under = ours.find(
    key => key.stage !== 'active' && wanted.includes(key.algorithm) && hasActive(ours, key),
  )
  if (under !== undefined)
    return no(`${nameOf(under)} is to take the place of another already, and waits: ${under.reason}`)
  return make(request, wanted, means, 'to take the place of one, by command')
}

function hasActive(keys: readonly Key[], { algorithm }: Key): boolean {
  return keys.some(key => key.stage === 'active' && key.algorithm === algorithm)
}

async function make(
  request: Making,
  algorithms: readonly Algorithm[],
  { keyring, makeKey, bits }: Means,
  reason: string,
): Promise<KeyAnswer> {
  const { domain } = request
  if (!keyring.domains().includes(domain))
    return no(
      `${domain} is no domain that is signed for: ptt domain add makes it one; one whose domain.toml says sign = "never" is not signed for`,
    )
  if (request.selector !== undefined) {
    if (algorithms.length > 1) return no('a selector is for one key: say --algorithm too')
    if (kind.selector.parse(request.selector) !== request.selector)
      return no(`${request.selector} is not ${kind.selector.noun}: ${kind.selector.write}`)
    if (keyring.find({ domain, selector: request.selector }) !== undefined)
      return no(`there is, or was, a key of the selector ${request.selector}: choose another`)
  }
  const selectors: string[] = []
  for (const algorithm of algorithms) {
    const privateKey = await makeKey(algorithm, request.bits ?? bits)
    const id =
      request.selector === undefined
        ? keyring.newSelector(domain, algorithm)
        : { selector: request.selector, unasked: false }
    keyring.add({ domain, ...id }, privateKey, reason)
    selectors.push(id.selector)
  }
  const text = `${domain}: made ${selectors.join(' and ')}; signing begins when the record is seen everywhere`
  return { ok: true, text, selectors }
}

function revoke(request: Extract<KeyRequest, { kind: 'revoke' }>, { keyring }: Means): KeyAnswer {
  const { domain, selector, reason, gently } = request
  const key = keyring.find({ domain, selector })
  const name = nameOf(request)
  if (key === undefined) return no(`there is no key ${name}: ptt key list shows all`)
  if (key.stage === 'removed' || (key.stage === 'revoked' && (gently || key.forbidden)))
    return no(`${name} is ${key.stage} already: ${key.reason}`)
  if (gently && !isLive(key)) return no(`${name} is ${key.stage} already: ${key.reason}`)
  keyring.apply({ kind: gently ? 'retired' : 'revoked', id: key, reason }, { durable: true })
  const after = keyring.find(key)
  const until = new Date(after?.neededUntilMs ?? 0).toISOString()
  return yes(
    after?.stage === 'retiring'
      ? `${name} signs no more; its record stays until ${until}, when nothing it has signed is under way`
      : `${name} is revoked: nothing it has signed is to be believed any more`,
  )
}

function yes(text: string): KeyAnswer {
  return { ok: true, text, selectors: [] }
}

function no(text: string): KeyAnswer {
  return { ok: false, text, selectors: [] }
}
