/**
 * The moments of the spool at which a machine may stop or an operation may fail, by name. A test listens, and throws what the
 * operation would have failed with, or ends the process: so each of them is tried, in the queue alone and in a relay at work.
 *
 * What a stop just before each means (`../queue.ts` promises it):
 *
 *   content …       nobody was told anything; there is at worst a file nobody owns, which a sweep removes
 *   journal write   nobody was told anything; the spool is as it was
 *   journal done    as `commit done`
 *   commit begin    nobody was told anything; the spool is as it was
 *   commit write    the same: what was changed is in memory only until LMDB writes it
 *   commit done     it is on the disk, and who asked for it does not know: he asks again, and it is known by its id, or he
 *                   delivers once more what was settled nowhere else
 *   content remove  the message is gone, its file is not: a sweep removes it
 *   space …         there is one database, or two that are the same, of which the later one counts (`generation.ts`)
 */

export const STEPS = [
  'content create',
  'content write',
  'content sync',
  'content rename',
  'content folder sync',
  'commit begin',
  'commit write',
  'commit done',
  'content remove',
] as const

/** Those of small mail, where one leases. When the first fails it is written into the database instead. */
export const JOURNAL_STEPS = ['journal write', 'journal done'] as const

/** Those of a sweep that gives space back, which is seldom. */
export const SPACE_STEPS = ['space copy', 'space rename', 'space folder sync', 'space remove'] as const

export type Step = (typeof STEPS)[number] | (typeof JOURNAL_STEPS)[number] | (typeof SPACE_STEPS)[number]

let listener: ((step: Step) => void) | null = null

/** For tests: one at a time, for all spools of the process. `null`: nobody any more. */
export function onStep(listen: ((step: Step) => void) | null): void {
  listener = listen
}

/** What comes now. @throws whatever the listener does; what is `done` cannot fail. */
export function step(name: Step): void {
  listener?.(name)
}
