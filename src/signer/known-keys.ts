/** What there is to know of the keys without the signer: for commands that look, beside the process that keeps them. */

import type { Config } from '../config/schema.ts'
import { KeyFolder } from './key-folder.ts'
import { keysFromPem, keysFromSeed, namesKeys } from './key-store.ts'
import { type Key, targetOf } from './life-cycle.ts'

/** As the signer has saved them last; none when it has never run. @throws FileError */
export function savedKeys({ signer, domain }: Config): readonly Key[] {
  return new KeyFolder(signer.state, domain).load()
}

/** A record that is to be in DNS. */
export type KeyRecordAt = Pick<Key, 'domain' | 'selector' | 'record'>

/**
 * The records of keys that sign or are to sign, or have signed what is still under way. Before the signer has run, those of
 * the keys that ptt.toml names.
 * @throws FileError for a state or a key that cannot be read, as on another machine than the signer's
 */
export function wantedRecords(config: Config, nowMs: number): KeyRecordAt[] {
  const saved = savedKeys(config)
  if (saved.length > 0 || !namesKeys(config.signer)) {
    return saved
      .filter(key => targetOf(key, nowMs) === 'key')
      .map(({ domain, selector, record }) => ({ domain, selector, record }))
  }
  return [...keysFromPem(config), ...keysFromSeed(config)(config.domain)].map(({ key, record }) => ({
    domain: key.signingDomain,
    selector: key.selector,
    record,
  }))
}
