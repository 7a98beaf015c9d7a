/** How a site is treated, by the rules of shaping.toml: from names to a shape, and why. Pure. */

import type { ShapingRule } from '../config/shaping.ts'
import { SHAPE, type Shape } from './site/shape.ts'

export interface Shaped {
  readonly shape: Shape
  /** The rules that apply, in their order: the later one counts. */
  readonly rules: readonly ShapingRule[]
}

/** For all that no rule speaks of: as many at a time at most. */
export function usualShape(concurrency: number): Shape {
  return {
    ...SHAPE,
    concurrency: { initial: Math.min(SHAPE.concurrency.initial, concurrency), max: concurrency },
  }
}

/**
 * @param destination the domain that is written to
 * @param hosts the names of its mail hosts
 */
export function shapeFor(
  rules: readonly ShapingRule[],
  usual: Shape,
  destination: string,
  hosts: readonly string[],
): Shaped {
  const applying = rules.filter(rule => applies(rule, destination, hosts))
  return { shape: applying.reduce(shapedBy, usual), rules: applying }
}

/** The same shape for the same rules: so that sites can be told apart by it, and nothing is made for each message. */
export function shaper(
  rules: readonly ShapingRule[],
  usual: Shape,
): (destination: string, hosts: readonly string[]) => Shape {
  const shapes = new Map<string, Shape>()
  return (destination, hosts) => {
    const shaped = shapeFor(rules, usual, destination, hosts)
    const key = shaped.rules.map(({ where }) => where).join()
    const known = shapes.get(key)
    if (known !== undefined) return known
    shapes.set(key, shaped.shape)
    return shaped.shape
  }
}

/** All MX hosts must be of the rule: a domain with one host elsewhere is not the provider's. */
function applies({ domains, hosts }: ShapingRule, destination: string, mx: readonly string[]): boolean {
  if (domains === undefined && hosts === undefined) return true
  const byDomain = domains === undefined || domains.some(pattern => matches(pattern, destination))
  const byHosts =
    hosts === undefined || (mx.length > 0 && mx.every(host => hosts.some(pattern => matches(pattern, host))))
  return byDomain && byHosts
}

/** `*.example.com` is every name below example.com, not example.com itself. */
export function matches(pattern: string, name: string): boolean {
  const lower = name.toLowerCase()
  return pattern.startsWith('*.') ? lower.endsWith(pattern.slice(1)) : lower === pattern
}

function shapedBy(shape: Shape, rule: ShapingRule): Shape {
  const max = rule.concurrency ?? shape.concurrency.max
  const initial = Math.min(rule.initialConcurrency ?? shape.concurrency.initial, max)
  return {
    concurrency: { initial, max },
    messagesPerSecond: rule.messagesPerSecond ?? shape.messagesPerSecond,
    connectionsPerMinute: rule.connectionsPerMinute ?? shape.connectionsPerMinute,
    messagesPerConnection: rule.messagesPerConnection ?? shape.messagesPerConnection,
    connectionAgeMs: rule.connectionAgeMs ?? shape.connectionAgeMs,
    idleMs: rule.idleMs ?? shape.idleMs,
    recipientsPerTransaction: rule.recipientsPerTransaction ?? shape.recipientsPerTransaction,
  }
}
