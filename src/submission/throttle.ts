/**
 * Guessing at passwords is slow, and keeps nobody out who knows his own.
 *
 * Failures are counted by name and network (an IPv4 address, an IPv6 /64) together, names that failed by network, and
 * failures by name over all networks. The first two hold a network back, longer each time. The last one never refuses by
 * itself, or anybody could lock a user out: it only takes away, where a network has not signed in as this user before, the
 * second guess. So a right password is let in from wherever nobody has guessed, whatever happens elsewhere.
 *
 * What is held back is answered without a look at the password, and is not counted. Memory is bounded (`entries`); what was
 * seen last is kept. Nothing is kept over a restart.
 */

export const THROTTLE = {
  /** Failures of a name from a network before the first pause: two connections full (`max_auth_failures`). */
  free: 6,
  /** The same while the name is under attack, unless the network has signed in as it. */
  freeUnderAttack: 1,
  /** The first pause; each further failure doubles it. */
  firstMs: 1000,
  /** The longest: of a name from a network; of all names from a network, and of a name under attack. */
  longestMs: 60_000,
  longestUnderAttackMs: 15 * 60_000,
  /** Names that may fail from a network before it is held back with all names it has not signed in as. */
  names: 10,
  /** So many failures of a name, over all networks, are an attack on it. */
  attack: 20,
  /** Without a further failure for this long, they are forgotten. */
  forgetMs: 3_600_000,
  /** That a network has signed in as a user is known for this long. */
  knownMs: 30 * 86_400_000,
  /** Passwords that are checked for a network at a time; others wait for their turn. */
  atOnce: 3,
  /** Of each of the four kinds. */
  entries: 50_000,
} as const

/** A name that nobody has is not kept whole. */
const NAME_LENGTH = 320

interface Count {
  readonly failures: number
  readonly lastMs: number
}

export interface Attempt {
  /** `unknown`: nothing was learnt of the password. */
  end(outcome: 'right' | 'wrong' | 'unknown'): void
}

export interface Held {
  readonly heldMs: number
}

export class Throttle {
  readonly #now: () => number
  readonly #attacked: (name: string) => void
  readonly #pairs = new Recent<Count>()
  readonly #networks = new Recent<Count>()
  readonly #names = new Recent<Count>()
  /** When a network last signed in as a user. */
  readonly #known = new Recent<number>()
  readonly #underWay = new Map<string, { count: number; readonly waiting: (() => void)[] }>()

  /** @param attacked is told of a name that comes under attack, whether there is such a user or not */
  constructor(now: () => number, attacked: (name: string) => void = () => {}) {
    this.#now = now
    this.#attacked = attacked
  }

  async admit(address: string, name: string): Promise<Attempt | Held> {
    const network = networkOf(address)
    await this.#enter(network)
    const guessed = name.slice(0, NAME_LENGTH)
    const pair = `${network} ${guessed}`
    const heldMs = this.#heldMs(network, pair, guessed)
    if (heldMs > 0) {
      this.#leave(network)
      return { heldMs }
    }
    return {
      end: outcome => {
        this.#leave(network)
        if (outcome === 'wrong') this.#failed(network, pair, guessed)
        if (outcome !== 'right') return
        this.#pairs.delete(pair)
        this.#known.set(pair, this.#now())
      },
    }
  }

  #heldMs(network: string, pair: string, name: string): number {
    const nowMs = this.#now()
    const known = nowMs - (this.#known.get(pair) ?? Number.NEGATIVE_INFINITY) < THROTTLE.knownMs
    const attacked = !known && (this.#count(this.#names, name)?.failures ?? 0) >= THROTTLE.attack
    const free = attacked ? THROTTLE.freeUnderAttack : THROTTLE.free
    const longestMs = attacked ? THROTTLE.longestUnderAttackMs : THROTTLE.longestMs
    const untilMs = Math.max(
      dueMs(this.#count(this.#pairs, pair), free, longestMs),
      // Who has signed in from here before is not held up by what others do here.
      known ? 0 : dueMs(this.#count(this.#networks, network), THROTTLE.names, THROTTLE.longestUnderAttackMs),
    )
    return untilMs - nowMs
  }

  #failed(network: string, pair: string, name: string): void {
    // Once a name: a program with an old password does not speak for all behind its address.
    if (this.#count(this.#pairs, pair) === undefined) this.#add(this.#networks, network)
    this.#add(this.#pairs, pair)
    if (this.#add(this.#names, name) === THROTTLE.attack) this.#attacked(name)
  }

  #count(counts: Recent<Count>, key: string): Count | undefined {
    const count = counts.get(key)
    return count !== undefined && this.#now() - count.lastMs < THROTTLE.forgetMs ? count : undefined
  }

  #add(counts: Recent<Count>, key: string): number {
    const failures = (this.#count(counts, key)?.failures ?? 0) + 1
    counts.set(key, { failures, lastMs: this.#now() })
    return failures
  }

  /** Many at once would all be let through before the first of them has failed. */
  async #enter(network: string): Promise<void> {
    const there = this.#underWay.get(network) ?? { count: 0, waiting: [] }
    this.#underWay.set(network, there)
    if (there.count < THROTTLE.atOnce) there.count++
    else await new Promise<void>(resolve => there.waiting.push(resolve))
  }

  #leave(network: string): void {
    const there = this.#underWay.get(network)
    if (there === undefined) return
    const next = there.waiting.shift()
    // It takes the place of who leaves.
    if (next !== undefined) next()
    else if (--there.count === 0) this.#underWay.delete(network)
  }
}

/** When the next attempt is allowed. */
function dueMs(count: Count | undefined, free: number, longestMs: number): number {
  if (count === undefined || count.failures < free) return 0
  return count.lastMs + Math.min(THROTTLE.firstMs * 2 ** (count.failures - free), longestMs)
}

/** The entries touched last. */
class Recent<Value> {
  readonly #entries = new Map<string, Value>()

  get(key: string): Value | undefined {
    return this.#entries.get(key)
  }

  set(key: string, value: Value): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size <= THROTTLE.entries) return
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest)
      break
    }
  }

  delete(key: string): void {
    this.#entries.delete(key)
  }
}

/** What one client has for itself: an IPv4 address, an IPv6 /64 (RFC 6177 §2 gives no less). */
export function networkOf(address: string): string {
  const bare = address.toLowerCase().replace(/%.*$/, '')
  const mapped = /^::ffff:(\d+(?:\.\d+){3})$/.exec(bare)?.[1]
  if (mapped !== undefined || !bare.includes(':')) return mapped ?? bare
  const [head = '', tail] = bare.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length
  const groups = [...left, ...Array.from({ length: Math.max(zeros, 0) }, () => '0'), ...right]
  return `${groups
    .slice(0, 4)
    .map(group => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}
