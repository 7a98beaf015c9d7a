/** What the operator's files beside ptt.toml say, read at the start and again on SIGHUP: all of it, or none where one is wrong. */

import { type ReplyRule, readReplies } from '../config/replies.ts'
import { type RouteRule, readRoutes } from '../config/routes.ts'
import type { Config } from '../config/schema.ts'
import { readShaping } from '../config/shaping.ts'
import { readSources, type SourceRule } from '../config/sources.ts'
import { readTlsLevels, type TlsRule } from '../config/tls-levels.ts'
import { shaper, usualShape } from './shaping.ts'
import type { Shape } from './site/shape.ts'

export interface Rules {
  readonly shapeOf: (destination: string, hosts: readonly string[]) => Shape
  readonly replies: readonly ReplyRule[]
  readonly sources: readonly SourceRule[]
  readonly routes: readonly RouteRule[]
  readonly tlsLevels: readonly TlsRule[]
}

/** @throws ConfigError, FileError with what is wrong, and where */
export function readRules({ relay }: Pick<Config, 'relay'>): Rules {
  return {
    shapeOf: shaper(readShaping(relay.shaping), usualShape(relay.concurrency)),
    replies: readReplies(relay.replies),
    sources: readSources(relay.sources),
    routes: readRoutes(relay.routes),
    tlsLevels: readTlsLevels(relay.tls),
  }
}
