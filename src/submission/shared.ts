/**
 * What submission has once, in however many processes it takes sessions: the follower of the repository, who writes the
 * clone; the counts of failed sign-ins, which would let N times as many guesses through if each process had its own; and
 * the keys of TLS tickets, so that a session can be resumed at any of them. The counts of limits a day are on disk, and
 * every process opens them.
 */

import type { Config } from '../config/schema.ts'
import { readAlong } from '../directory/along.ts'
import type { Directory, Follower } from '../directory/directory.ts'
import { follow } from '../directory/repository.ts'
import { openHooks } from '../hooks/hooks.ts'
import type { Log } from '../observe/event.ts'
import type { Channel } from '../workers/channel.ts'
import { type Attempt, THROTTLE, Throttle } from './throttle.ts'

/** In the process itself, or asked of the foreman. */
export interface Shared {
  readonly follower: Follower
  readonly throttle: Pick<Throttle, 'admit'>
  /** 48 octets; not given: there is one process, which makes its own. */
  readonly ticketKeys?: Buffer
  /** This process's part of what there may be in all. */
  readonly part: (ofAll: number) => number
  /** SIGHUP, before the sessions look at what is new. */
  reload(): Promise<void>
  close(): Promise<void>
}

/** What a worker asks of the foreman. */
export type Asked = {
  /** The commit in force. */
  readonly directory: (none: null) => string
  /** The same, after a look at the repository. */
  readonly refresh: (none: null) => Promise<string>
  readonly admit: (who: {
    address: string
    name: string
  }) => Promise<{ attempt: number } | { heldMs: number }>
  readonly end: (what: { attempt: number; outcome: Parameters<Attempt['end']>[0] }) => void
  /** Base64. */
  readonly ticketKeys: (none: null) => string
}

/** What the foreman tells a worker. */
export type Told = { readonly directory: (commit: string) => void }

export interface Foreman {
  readonly hooksPort: number | undefined
  commit(): string
  attend(worker: Channel<Told, Asked>): void
  reload(): Promise<void>
  close(): Promise<void>
}

const TICKET_KEY_OCTETS = 48

/** @param changed is told of each commit that is in force from now on */
export async function openShared(config: Config, log: Log, changed?: (directory: Directory) => void) {
  const { submission, domain, directory } = config
  const follower = await follow({
    ...directory,
    clone: submission.clone,
    domain,
    log,
    ...(changed === undefined ? {} : { onChange: changed }),
  })
  const hooks = await openHooks(config, 'submission', () => follower.refresh(), log)
  const throttle = new Throttle(Date.now, name => {
    const user = follower.current().user(name)
    if (user === undefined) return
    const facts = { about: 'sign-in', user: user.name, failures: THROTTLE.attack }
    log.event('alarm', { ...facts, reason: 'somebody guesses at his password' }, 'warn')
  })
  return {
    follower,
    throttle,
    hooksPort: hooks?.port,
    part: (ofAll: number) => ofAll,
    reload: () => follower.refresh(),
    async close() {
      await hooks?.close()
      await follower.close()
    },
  }
}

/** In the process that takes no sessions itself. */
export async function superviseSubmission(config: Config, log: Log): Promise<Foreman> {
  const workers = new Set<Channel<Told, Asked>>()
  const shared = await openShared(config, log, ({ commit }) => {
    for (const worker of workers) worker.tell('directory', commit)
  })
  const { follower, throttle, hooksPort } = shared
  const ticketKeys = Buffer.from(crypto.getRandomValues(new Uint8Array(TICKET_KEY_OCTETS))).toString('base64')
  return {
    hooksPort,
    commit: () => follower.current().commit,
    attend(worker) {
      const attempts = new Map<number, Attempt>()
      let last = 0
      workers.add(worker)
      worker
        .on('directory', () => follower.current().commit)
        .on('refresh', () => follower.refresh().then(() => follower.current().commit))
        .on('ticketKeys', () => ticketKeys)
        .on('admit', async ({ address, name }) => {
          const admitted = await throttle.admit(address, name)
          if ('heldMs' in admitted) return admitted
          attempts.set(++last, admitted)
          return { attempt: last }
        })
        .on('end', ({ attempt, outcome }) => {
          attempts.get(attempt)?.end(outcome)
          attempts.delete(attempt)
        })
      worker.onEnd(() => {
        workers.delete(worker)
        // Others wait for their turn behind what it had under way.
        for (const attempt of attempts.values()) attempt.end('unknown')
        attempts.clear()
      })
    },
    reload: () => shared.reload(),
    close: () => shared.close(),
  }
}

/** In a worker, one of `workers`. */
export async function reachShared(
  config: Config,
  log: Log,
  foreman: Channel<Asked, Told>,
  workers: number,
): Promise<Shared> {
  const { submission, domain, directory } = config
  const refresh = () => foreman.ask('refresh', null)
  const { repository, branch } = directory
  const options = { repository, branch, clone: submission.clone, domain, log, refresh }
  const follower = await readAlong(options, await foreman.ask('directory', null))
  foreman.on('directory', commit => follower.take(commit))
  return {
    follower,
    throttle: {
      async admit(address, name) {
        const admitted = await foreman.ask('admit', { address, name })
        if ('heldMs' in admitted) return admitted
        return { end: outcome => foreman.tell('end', { attempt: admitted.attempt, outcome }) }
      },
    },
    ticketKeys: Buffer.from(await foreman.ask('ticketKeys', null), 'base64'),
    part: ofAll => Math.ceil(ofAll / workers),
    // The foreman has looked at the repository before it told us.
    reload: async () => follower.take(await foreman.ask('directory', null)),
    close: () => follower.close(),
  }
}
