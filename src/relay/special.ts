/**
 * Destinations that are no domains: those of our own notices, of recipients who have become several, and of those who are
 * suppressed. They are queued like others, so that what becomes of them is told and kept like the rest.
 */

import type { Peer } from '../net/peer.ts'
import type { Job, Queue } from '../queue/queue.ts'
import type { Envelope } from '../smtp/envelope.ts'
import { textOf } from '../smtp/suppressed.ts'
import { EXPANDED } from './expand.ts'
import { TO_SIGNER } from './notification.ts'
import { evidence, fromReply } from './outcome.ts'
import type { Place } from './site/sites.ts'
import { SUPPRESSED, type Suppressions } from './suppression.ts'
import type { Judgement } from './verdicts.ts'

export interface SpecialMeans {
  readonly queue: Queue
  readonly signer: Pick<Peer, 'deliver'>
  readonly suppressions: Pick<Suppressions, 'find'>
  readonly now: () => number
}

type Special = (job: Job, means: SpecialMeans, place: Place) => Promise<Judgement[] | null>

export const SPECIAL: Readonly<Record<string, Special>> = {
  [TO_SIGNER]: toSigner,
  [EXPANDED]: expanded,
  [SUPPRESSED]: suppressed,
}

/** A notice of ours goes to the signer and comes back signed, to be delivered. */
async function toSigner(job: Job, means: SpecialMeans, place: Place): Promise<Judgement[] | null> {
  const site = place.arrive([TO_SIGNER])
  if (site === null) return null
  const { message } = job
  const envelope: Envelope = {
    ...message.envelope,
    reversePath: message.reversePath,
    recipients: message.recipients.map(({ mailbox, notify }) => ({
      forwardPath: mailbox,
      ...(notify === undefined ? {} : { notify }),
    })),
  }
  const answer = await means.signer.deliver(envelope, [await means.queue.content(message.id)])
  const verdict = fromReply(answer)
  site.succeeded()
  const action = verdict.action === 'next' ? 'deferred' : verdict.action
  return job.recipients.map(index => ({
    index,
    action,
    evidence: evidence(verdict, means.now(), { remote: 'signer' }),
  }))
}

/** RFC 3461 §5.2.7.3 c. */
async function expanded(job: Job, { now }: SpecialMeans, place: Place): Promise<Judgement[]> {
  place.arrive([EXPANDED])
  const said = { atMs: now(), status: '2.1.5', diagnostic: 'The address stands for several others' }
  return job.recipients.map(index => ({ index, action: 'expanded', evidence: said, attempted: false }))
}

async function suppressed(job: Job, means: SpecialMeans, place: Place): Promise<Judgement[]> {
  place.arrive([SUPPRESSED])
  const { recipients, reversePath } = job.message
  const judgements: Judgement[] = []
  for (const index of job.recipients) {
    const mailbox = recipients[index]?.mailbox
    const found =
      mailbox === undefined || reversePath === null
        ? null
        : await means.suppressions.find(reversePath.domain, mailbox)
    const why = found === null ? 'The address was on the suppression list' : textOf(found)
    const said = { atMs: means.now(), status: '5.7.1', diagnostic: why, category: 'suppressed' }
    judgements.push({ index, action: 'failed', evidence: said, attempted: false })
  }
  return judgements
}
