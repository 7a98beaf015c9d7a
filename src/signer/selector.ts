/** The selectors of keys that the signer makes, from a template: each is new. RFC 6376 §3.1. */

import type { Algorithm } from '../dkim/signature.ts'

export interface SelectorFacts {
  /** `[signer] selector` */
  readonly selector: string
  readonly algorithm: Algorithm
  readonly nowMs: number
  /** So many octets that nobody can guess. */
  readonly random: (octets: number) => Uint8Array
  /** Whether there is one of that name, or was one. */
  readonly taken: (selector: string) => boolean
}

const RANDOM_OCTETS = 5
// Thirty-two, so that each is as likely; without i, l, o and u, which are taken for others.
const LETTERS = '0123456789abcdefghjkmnpqrstvwxyz'

export interface NewSelector {
  readonly selector: string
  /** Nobody can have asked for its name before it was published. */
  readonly unasked: boolean
}

/** What is filled in: `ptt-20261121-k7wq2-rsa`. Where that is taken, `-2` and so on is put behind it. */
export function makeSelector(template: string, facts: SelectorFacts): NewSelector {
  const unasked = template.includes('{random}')
  for (let number = 1; ; number++) {
    const filled = fill(template, facts, number)
    const selector = number === 1 || template.includes('{number}') ? filled : `${filled}-${number}`
    if (!facts.taken(selector)) return { selector, unasked }
  }
}

function fill(template: string, facts: SelectorFacts, number: number): string {
  const words: Record<string, () => string> = {
    selector: () => facts.selector,
    date: () => new Date(facts.nowMs).toISOString().slice(0, 10).replaceAll('-', ''),
    algorithm: () => facts.algorithm.replace(/-sha256$/, ''),
    number: () => String(number),
    random: () => [...facts.random(RANDOM_OCTETS)].map(octet => LETTERS[octet % LETTERS.length]).join(''),
  }
  return template.replace(/\{(\w+)\}/g, (all, word: string) => words[word]?.() ?? all).toLowerCase()
}
