/**
 * What notices say to people, in one of several languages. The parts that programs read (RFC 3464) are the same in all of
 * them. A language is a file that has every word of `Words`: the compiler says which is missing.
 */

import type { StatusNotification } from '../dsn.ts'
import { ENGLISH } from './english.ts'
import { FRENCH } from './french.ts'
import { GERMAN } from './german.ts'

/** RFC 5646. */
export const LANGUAGES = ['en', 'de', 'fr'] as const
export type Language = (typeof LANGUAGES)[number]

/** What the status code alone does not tell the sender. */
export type Circumstance =
  /** The recipient is on the suppression list. */
  | 'suppressed'
  | 'expanded'
  /** RFC 3461 §5.2.2 b: the peer has no DSN. */
  | 'no report'
  /** RFC 2852 §4.1.4.2: the peer has no DELIVERBY. */
  | 'no deadline'
  /** RFC 2852 §4.1.4. */
  | 'trace'
  | 'overdue'

export interface Words {
  readonly language: Language
  /** The display name in From. */
  readonly from: string
  /** With and without the subject of the original. */
  readonly subject: Readonly<Record<StatusNotification['action'], readonly [before: string, alone: string]>>
  readonly thisIs: (host: string) => string
  readonly opening: Readonly<Record<StatusNotification['action'], (recipients: number) => string>>
  /** Before its Subject, Date and To. */
  readonly theMessage: string
  readonly giveThisNumber: (postmaster: string) => string
  /** A temporary error that ended in failure. */
  readonly tried: (duration: string) => string
  readonly keepTrying: (until: string) => string
  readonly serverSaid: (server: string, when: string) => string
  /** Of what we found ourselves; of a server or of nobody. */
  readonly weNoted: (server: string | null, when: string) => string
  readonly days: (count: number) => string
  readonly hours: (count: number) => string
  readonly minutes: (count: number) => string
  readonly circumstances: Readonly<Record<Circumstance, string>>
  /** By subject and detail of an enhanced status code (RFC 3463, RFC 5248): what happened, then what he can do. */
  readonly statuses: Readonly<Record<string, string>>
  /** By subject, RFC 3463 §3.1 to §3.8, where the code as a whole is not known. */
  readonly subjects: Readonly<Record<string, string>>
  readonly unknown: string
}

const WORDS: Readonly<Record<Language, Words>> = { en: ENGLISH, de: GERMAN, fr: FRENCH }

export function wordsOf(language: Language): Words {
  return WORDS[language]
}

/** What an enhanced status code means to the person whose message it was. */
export function explain(status: string, words: Words): string {
  const [, subject = '', detail = ''] = status.split('.')
  return words.statuses[`${subject}.${detail}`] ?? words.subjects[subject] ?? words.unknown
}
