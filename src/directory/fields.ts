/** The values that may stand in a file of the repository; what senders and bare local-parts mean depends on its domain. */

import * as z from 'zod'
import { formatMailbox, type Mailbox } from '../smtp/path.ts'
import type { AppPassword, DayLimits, UserLimits } from './directory.ts'
import { mailboxOf } from './layout.ts'
import { foldMailbox } from './may-send.ts'
import {
  parseSha1Verifier,
  parseVerifier,
  type ScramSha1Verifier,
  type Verifier,
  VerifierError,
} from './password.ts'

/** One verifier as a string; or a list with one for SCRAM-SHA-1 behind it, so that a new password replaces both. */
export interface Password {
  readonly verifier: Verifier
  readonly sha1Verifier?: ScramSha1Verifier | undefined
}

export function passwords(written: unknown, context: z.RefinementCtx): Password {
  if (written === undefined) return issue(context, 'it is missing')
  const [first, second, ...more] = Array.isArray(written) ? written : [written]
  if (typeof first !== 'string' || more.length > 0) return issue(context, 'write a string')
  const password = verifier(first, 'SCRAM-SHA-256', context)
  if (second === undefined) return { verifier: password }
  return { verifier: password, sha1Verifier: told(context, () => parseSha1Verifier(String(second))) }
}

export function verifier(text: string, scheme: Verifier['scheme'], context: z.RefinementCtx): Verifier {
  const read = told(context, () => parseVerifier(text))
  if (read === z.NEVER || read.scheme === scheme || scheme === 'BLAKE2B-512') return read
  return issue(
    context,
    'weak hash: BLAKE2B-512 without salt is read in the original layout only; ptt user passwd writes another',
  )
}

/** More are too much work at each sign-in with SCRAM, and nobody knows any more which is which. */
export const MAX_APP_PASSWORDS = 10

const LABEL = /^[^\p{C}\p{Z}](?:[^\p{C}]{0,62}[^\p{C}\p{Z}])?$/u

export const appPasswords = z
  .record(z.string(), z.unknown())
  .transform((table, context): AppPassword[] =>
    Object.entries(table).map(([name, written]) => {
      const refuse = (message: string) => context.addIssue({ code: 'custom', message, path: [name] })
      if (!LABEL.test(name)) refuse('its name has 1 to 64 characters, none of them a control character')
      try {
        const verifier = parseVerifier(String(written))
        if (verifier.scheme === 'SCRAM-SHA-256') return { name, verifier }
        refuse('weak hash: ptt user app-password add makes another')
      } catch (error) {
        if (!(error instanceof VerifierError)) throw error
        refuse(error.message)
      }
      return z.NEVER
    }),
  )
  .refine(list => list.length <= MAX_APP_PASSWORDS, `more than ${MAX_APP_PASSWORDS}: remove those of no use`)

/** All under one salt: whether a password is one of them is found out at once, and in the same time for everybody. */
export function checkSalts(
  { password, app_passwords = [] }: { password: Password; app_passwords?: AppPassword[] | undefined },
  context: z.RefinementCtx,
): void {
  const { verifier } = password
  for (const { name, verifier: other } of app_passwords) {
    const same =
      verifier.scheme === 'SCRAM-SHA-256' &&
      verifier.iterations === other.iterations &&
      Buffer.from(verifier.salt).equals(other.salt)
    const message =
      'its salt and iterations must be those of password: ptt user passwd keeps them, ptt user app-password add takes them'
    if (!same) context.addIssue({ code: 'custom', message, path: ['app_passwords', name] })
  }
}

function told<Value>(context: z.RefinementCtx, parse: () => Value): Value {
  try {
    return parse()
  } catch (error) {
    if (error instanceof VerifierError) return issue(context, error.message)
    throw error
  }
}

export function targets(domain: string) {
  return z.array(
    z.string().transform((text, context): Mailbox => {
      const read = mailboxOf(text, domain)
      return (
        read ?? issue(context, `${JSON.stringify(text)} is not a mailbox: write it like alice@example.com`)
      )
    }),
  )
}

/** `alice`, `alice@example.com`, `*@news.example.com`: the star stands for a whole local-part. */
export function senders(domain: string) {
  return z.array(
    z.string().transform((text, context): string => {
      const any = text.startsWith('*@')
      const read = mailboxOf(any ? `any${text.slice(1)}` : text, domain)
      if (!read || (!any && read.localPart.includes('*')))
        return issue(
          context,
          `${JSON.stringify(text)} is not a sender: write alice, alice@${domain} or *@${domain}`,
        )
      const folded = foldMailbox(read)
      if (folded.domain !== domain && !folded.domain.endsWith(`.${domain}`))
        return issue(
          context,
          `${JSON.stringify(text)} is outside ${domain}: a sender is in the folder's domain or beneath it`,
        )
      return any ? `*@${folded.domain}` : formatMailbox(folded)
    }),
  )
}

/** Names of users, of this domain or another. */
export function members(domain: string) {
  return z.array(
    z.string().transform((text, context): string => {
      const read = mailboxOf(text, domain)
      if (!read)
        return issue(context, `${JSON.stringify(text)} is not a user: write alice, or alice@${domain}`)
      return formatMailbox(foldMailbox(read))
    }),
  )
}

const SIZE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
}

function size(written: unknown, context: z.RefinementCtx): number {
  const [, number, unit] = /^(\d{1,9}(?:\.\d{1,3})?)\s?([KMG]?i?B)$/.exec(String(written)) ?? []
  const octets = number && unit ? Math.round(Number(number) * (SIZE_UNITS[unit] ?? Number.NaN)) : Number.NaN
  return octets > 0 ? octets : issue(context, 'write a number and a unit, such as "512 KiB" or "10 MiB"')
}

function count(written: unknown, context: z.RefinementCtx): number {
  const whole = typeof written === 'number' && Number.isSafeInteger(written) && written > 0
  return whole ? written : issue(context, 'write a whole number from 1')
}

/** A number of messages or recipients. */
export const number = () => z.unknown().transform(count).optional()

interface DayLimitsTable {
  readonly messages_per_day?: number | undefined
  readonly recipients_per_day?: number | undefined
  readonly new_recipients_per_day?: number | undefined
}

const perDay = {
  messages_per_day: number().meta({
    description: 'More messages in a day wait: 450, with the time from which there is room again.',
    examples: [1000],
  }),
  recipients_per_day: number().meta({
    description: 'The same of recipients, over all messages.',
    examples: [2000],
  }),
  new_recipients_per_day: number().meta({
    description: 'The same of recipients who were not written to in the last 90 days.',
    examples: [200],
  }),
}

function dayLimits(table: DayLimitsTable): DayLimits {
  const { messages_per_day, recipients_per_day, new_recipients_per_day } = table
  return {
    ...(messages_per_day === undefined ? {} : { messagesPerDay: messages_per_day }),
    ...(recipients_per_day === undefined ? {} : { recipientsPerDay: recipients_per_day }),
    ...(new_recipients_per_day === undefined ? {} : { newRecipientsPerDay: new_recipients_per_day }),
  }
}

/** What all users of a domain may do together. */
export const totalLimits = z.strictObject(perDay).transform(dayLimits)

export const limits = z
  .strictObject({
    message_size: z
      .unknown()
      .transform(size)
      .optional()
      .meta({
        description: 'Longer messages are refused (RFC 1870). The deployment has a limit as well.',
        examples: ['10 MiB'],
      }),
    recipients_per_message: number().meta({
      description: 'More recipients are refused.',
      examples: [50],
    }),
    ...perDay,
  })
  .transform(
    ({ message_size, recipients_per_message, ...table }): UserLimits => ({
      ...(message_size === undefined ? {} : { messageOctets: message_size }),
      ...(recipients_per_message === undefined ? {} : { recipientsPerMessage: recipients_per_message }),
      ...dayLimits(table),
    }),
  )

/** It stands in a reply: RFC 5321 §4.2 has printable US-ASCII there, and §4.5.3.1.5 512 octets for the line. */
export const reason = z
  .string()
  .regex(/^[!-~][ -~]{0,199}$/, 'write why in 1 to 200 printable US-ASCII characters: clients are shown it')

/** Of selectors (RFC 6376 §3.1): labels, when what is in braces is filled in. */
export const selectorTemplate = z
  .string()
  .max(120, 'write at most 120 characters')
  .refine(
    text =>
      /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/i.test(
        text.replace(/\{(?:selector|date|random|number|algorithm)\}/g, 'x'),
      ),
    'write letters, digits, hyphens, {selector}, {date}, {random}, {number}, {algorithm}',
  )

function issue(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message })
  return z.NEVER
}
