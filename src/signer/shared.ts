/**
 * What the signer has once, in however many processes it signs: the follower of the repository, who writes the clone; the
 * keeper of the keys, the only one who writes their state and the DNS; and the budgets of the hour, which would be N times
 * as much if each process had its own. Workers sign with copies of the keys, which come over the channel and are nowhere
 * else; they ask before they sign what counts towards a budget, and before they promise that a key is needed for longer.
 */

import type { Config } from '../config/schema.ts'
import { readAlong } from '../directory/along.ts'
import type { Directory, Follower } from '../directory/directory.ts'
import { follow } from '../directory/repository.ts'
import { openHooks } from '../hooks/hooks.ts'
import type { Log } from '../observe/event.ts'
import type { Mailbox } from '../smtp/path.ts'
import type { Reply } from '../smtp/reply.ts'
import type { Channel } from '../workers/channel.ts'
import { followKeys, keepKeys } from './keep-keys.ts'
import type { KeySnapshot } from './keyring.ts'
import { type KeyId, nameOf } from './life-cycle.ts'
import type { Budgets, Keys } from './session.ts'
import { SigningBudget } from './signing-budget.ts'

/** In the process itself, or asked of the foreman. */
export interface Shared {
  readonly follower: Follower
  readonly keys: Keys
  /** The names of the keys that sign. */
  readonly active: () => string[]
  readonly signingBudget: Budgets
  /** This process's part of what there may be in all. */
  readonly part: (ofAll: number) => number
  readonly hooksPort?: number | undefined
  /** Looks at the records of the keys. Not there: somebody else does. */
  check?(): Promise<void>
  reload(): Promise<void>
  close(): Promise<void>
}

/** What a worker asks of the foreman. */
export type Asked = {
  /** The commit in force. */
  readonly directory: (none: null) => string
  /** The same, after a look at the repository. */
  readonly refresh: (none: null) => Promise<string>
  readonly keys: (none: null) => KeySnapshot
  readonly signed: (news: readonly { id: KeyId; untilMs: number }[]) => void
  readonly spend: (what: { domain: string; authors: readonly Mailbox[] }) => Reply | null
}

/** What the foreman tells a worker. */
export type Told = {
  readonly keys: (snapshot: KeySnapshot) => void
  readonly directory: (commit: string) => void
}

export interface Foreman {
  readonly hooksPort: number | undefined
  commit(): string
  attend(worker: Channel<Told, Asked>): void
  /** All workers are there. */
  begin(): void
  reload(): Promise<void>
  close(): Promise<void>
}

/** Messages make us fetch this often at most, by however many workers. */
const FETCH_PAUSE_MS = 1000
/** Keys that change together go to the workers together. */
const KEYS_MS = 20

export async function openShared(
  config: Config,
  log: Log,
  changed: { directory?: (directory: Directory) => void; keys?: () => void } = {},
) {
  const { signer, domain, directory } = config
  const follower = await follow({
    ...directory,
    clone: signer.clone,
    domain,
    log,
    ...(changed.directory === undefined ? {} : { onChange: changed.directory }),
  })
  const hooks = await openHooks(config, 'signer', () => follower.refresh(), log)
  const { keyring, keeper, close } = keepKeys(config, () => follower.current(), log, changed.keys)
  return {
    follower,
    keys: keyring,
    active: () => keyring.keys.filter(key => key.stage === 'active').map(nameOf),
    signingBudget: new SigningBudget(signer.budgetPerHour, Date.now, () => follower.current()),
    part: (ofAll: number) => ofAll,
    hooksPort: hooks?.port,
    check: () => keeper.check(),
    async reload() {
      // A domain that is new gets its key at once.
      await follower.refresh()
      await keeper.check()
    },
    async close() {
      await hooks?.close()
      await close()
      await follower.close()
    },
  }
}

/** In the process that takes no sessions itself. */
export async function superviseSigner(config: Config, log: Log): Promise<Foreman> {
  const workers = new Set<Channel<Told, Asked>>()
  let telling: NodeJS.Timeout | undefined
  const tellKeys = () => {
    telling = undefined
    const snapshot = shared.keys.snapshot()
    for (const worker of workers) worker.tell('keys', snapshot)
  }
  const shared = await openShared(config, log, {
    directory({ commit }) {
      for (const worker of workers) worker.tell('directory', commit)
    },
    keys() {
      telling ??= setTimeout(tellKeys, KEYS_MS)
    },
  })
  const { follower, keys, signingBudget, hooksPort } = shared
  const refresh = atMostEvery(FETCH_PAUSE_MS, () => follower.refresh())
  return {
    hooksPort,
    commit: () => follower.current().commit,
    attend(worker) {
      workers.add(worker)
      worker
        .on('directory', () => follower.current().commit)
        .on('refresh', () => refresh().then(() => follower.current().commit))
        .on('keys', () => keys.snapshot())
        .on('signed', news => {
          for (const { id, untilMs } of news) keys.apply({ kind: 'signed', id, untilMs })
        })
        .on('spend', ({ domain, authors }) => signingBudget.spend(domain, authors))
      worker.onEnd(() => void workers.delete(worker))
    },
    begin: () => void shared.check(),
    reload: () => shared.reload(),
    async close() {
      clearTimeout(telling)
      await shared.close()
    },
  }
}

/** In a worker, one of `workers`. */
export async function reachShared(
  config: Config,
  log: Log,
  foreman: Channel<Asked, Told>,
  workers: number,
): Promise<Shared> {
  const { signer, domain, directory } = config
  const { repository, branch } = directory
  const refresh = () => foreman.ask('refresh', null)
  const options = { repository, branch, clone: signer.clone, domain, log, refresh }
  const follower = await readAlong(options, await foreman.ask('directory', null))
  foreman.on('directory', commit => follower.take(commit))
  const keyring = followKeys(config, () => follower.current(), log)
  keyring.take(await foreman.ask('keys', null))
  foreman.on('keys', snapshot => keyring.take(snapshot))
  const budget = new SigningBudget(signer.budgetPerHour, Date.now, () => follower.current())
  return {
    follower,
    keys: {
      get isReady() {
        return keyring.isReady
      },
      reason: name => keyring.reason(name),
      signingDomains: () => keyring.signingDomains(),
      decide: domains => keyring.decide(domains),
      signed(keys, untilMs) {
        const news = keyring.news(keys, untilMs)
        // Hardly ever: it is rounded to a tenth of the time that mail may be queued.
        return news.length > 0 ? foreman.ask('signed', news) : undefined
      },
    },
    active: () => keyring.keys.filter(key => key.stage === 'active').map(nameOf),
    signingBudget: {
      spend: (name, authors) =>
        budget.counts(authors) ? foreman.ask('spend', { domain: name, authors }) : null,
    },
    part: ofAll => Math.ceil(ofAll / workers),
    // The foreman has looked at the repository, and at the keys, before it told us.
    reload: async () => follower.take(await foreman.ask('directory', null)),
    close: () => follower.close(),
  }
}

/** One `work` for all who ask before it begins; it begins `pauseMs` after the one before at the earliest. */
function atMostEvery(pauseMs: number, work: () => Promise<void>): () => Promise<void> {
  let begunMs = Number.NEGATIVE_INFINITY
  let next: Promise<void> | null = null
  return () => {
    next ??= new Promise<void>(resolve => {
      setTimeout(resolve, Math.max(0, begunMs + pauseMs - performance.now()))
    }).then(() => {
      next = null
      begunMs = performance.now()
      return work()
    })
    return next
  }
}
