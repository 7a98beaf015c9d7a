/** Every target, by name. */

import type { Target } from '../target.ts'
import { certificateTargets } from './certificates.ts'
import { dkimTargets } from './dkim.ts'
import { dnsTargets } from './dns.ts'
import { dnsStreamTargets } from './dns-stream.ts'
import { gitTargets } from './git.ts'
import { messageTargets } from './message.ts'
import { networkTargets } from './network.ts'
import { operatorTargets } from './operator.ts'
import { publishedTargets } from './published.ts'
import { queueTargets } from './queue.ts'
import { sasl } from './sasl.ts'
import { settingsTargets } from './settings.ts'
import { codecTargets } from './smtp-codecs.ts'
import { contentTargets } from './smtp-content.ts'
import { client, reply } from './smtp-reply.ts'
import { server } from './smtp-server.ts'
import { submissionTargets } from './submission.ts'

export const TARGETS: ReadonlyMap<string, Target> = new Map(
  [
    ...codecTargets,
    reply,
    ...contentTargets,
    server,
    client,
    sasl,
    ...messageTargets,
    ...submissionTargets,
    ...dkimTargets,
    ...certificateTargets,
    ...dnsTargets,
    ...dnsStreamTargets,
    ...networkTargets,
    ...publishedTargets,
    ...settingsTargets,
    ...operatorTargets,
    ...queueTargets,
    ...gitTargets,
  ].map(target => [target.name, target]),
)
