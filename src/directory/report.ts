/** What a follower tells: an event `directory` with a `state` each, once until something changes (see repository.ts). */

import type { Log } from '../observe/event.ts'
import type { WholeDirectory } from './assemble.ts'
import type { Outage } from './outage.ts'
import type { DirectoryError } from './problem.ts'
import type { Allowed, RefusedError } from './requirement.ts'

/** A commit that breaks a thousand files is told by its first problems. */
const MAX_PROBLEMS = 10

export class Report {
  readonly #log: Log
  readonly #alarmAfterMs: number
  readonly #outage: Outage
  readonly #now: () => number
  /** Of the commit that was refused last, and why. */
  #refused: string | null = null
  #trouble: { readonly reason: string; readonly sinceMs: number; readonly alarmed: boolean } | null = null

  constructor(log: Log, alarmAfterMs: number, outage: Outage, now = () => Date.now()) {
    this.#log = log
    this.#outage = outage
    this.#alarmAfterMs = alarmAfterMs
    this.#now = now
  }

  inForce(
    { commit, users, groups, aliases, domains }: WholeDirectory,
    previous: string | undefined,
    { signer, rewritten }: Allowed,
    committedSeconds: number | null,
  ): void {
    this.#log.event('directory', {
      state: 'in force',
      commit,
      previous,
      ...(signer === null ? {} : { signer }),
      ...(rewritten ? { rewritten } : {}),
      // From the committer's clock to ours, which need not agree.
      ...(committedSeconds === null
        ? {}
        : { lag_seconds: Math.round(this.#now() / 1000 - committedSeconds) }),
      users: users.size,
      groups: groups.size,
      aliases: aliases.size,
      domains: domains.size,
    })
    const weak = [...users.values()]
      .filter(user => user.verifier.scheme === 'BLAKE2B-512')
      .map(user => user.name)
    if (weak.length === 0) return
    const told = { count: weak.length, names: weak.slice(0, MAX_PROBLEMS) }
    const rule = 'BLAKE2B-512 without salt: PLAIN and LOGIN only; ptt user passwd NAME writes another'
    this.#log.event('directory', { state: 'weak hashes', commit, ...told, rule }, 'warn')
  }

  broken(commit: string, { problems }: DirectoryError, inForce: string | null): void {
    this.#reachable(commit)
    if (!this.#isNews(commit)) return
    for (const { file, line, rule } of problems.slice(0, MAX_PROBLEMS)) {
      const fields = {
        state: 'broken',
        commit,
        file,
        line,
        rule,
        problems: problems.length,
        in_force: inForce,
      }
      this.#log.event('directory', fields, 'error')
    }
  }

  refused(commit: string, { rule, reason, advice }: RefusedError, inForce: string | null): void {
    this.#reachable(commit)
    if (!this.#isNews(`${commit} ${reason}`)) return
    this.#log.event(
      'directory',
      { state: 'refused', commit, rule, reason, advice, in_force: inForce },
      'error',
    )
  }

  /** To be called at each attempt that fails: the alarm comes with one of them. */
  unreachable(reason: string, advice: string, inForce: string | null): void {
    const nowMs = this.#now()
    const { sinceMs, alarmed } = this.#trouble ?? { sinceMs: this.#outage.begun(nowMs), alarmed: false }
    this.#outage.goesOn(sinceMs, nowMs)
    const told = advice || undefined
    if (this.#trouble?.reason !== reason)
      this.#log.event('directory', { state: 'unreachable', reason, advice: told, in_force: inForce }, 'error')
    const due = nowMs - sinceMs >= this.#alarmAfterMs
    if (due && !alarmed) {
      const minutes = Math.floor((nowMs - sinceMs) / 60_000)
      const fields = { about: 'directory', minutes, reason, advice: told, in_force: inForce }
      this.#log.event('alarm', fields, 'error')
    }
    this.#trouble = { reason, sinceMs, alarmed: alarmed || due }
  }

  /** What the repository has is in force. */
  upToDate(commit: string): void {
    this.#refused = null
    this.#reachable(commit)
  }

  #reachable(commit: string): void {
    if (this.#outage.over() || this.#trouble !== null)
      this.#log.event('directory', { state: 'reachable', commit })
    this.#trouble = null
  }

  #isNews(refused: string): boolean {
    const news = this.#refused !== refused
    this.#refused = refused
    return news
  }
}
