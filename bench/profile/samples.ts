/** What V8's sampling profiler wrote (`--cpu-prof`): a tree of calls, each with how many samples were in it. */

export interface Frame {
  /** As V8 has it; `(anonymous)` where it has none. */
  readonly name: string
  /** `src/dkim/sign.ts:173`, `node:buffer:917`; empty for what V8 itself and the kernel do. */
  readonly place: string
  /** Whose code it is: a folder of `src`, `node`, a package, or what is not JavaScript. */
  readonly room: string
}

export interface Call extends Frame {
  /** Samples in which it was on top of the stack, and in which it was on it. */
  self: number
  total: number
  readonly children: Call[]
}

export interface Samples {
  readonly root: Call
  readonly count: number
  readonly seconds: number
}

interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  readonly children?: readonly number[]
}

/** The format is that of the DevTools protocol: times are in microseconds of the monotonic clock. */
interface Profile {
  readonly nodes: readonly ProfileNode[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
  readonly startTime: number
}

/** Of the monotonic clock, in microseconds. */
export interface Spell {
  readonly from: number
  readonly to: number
}

export function monotonicMicroseconds(): number {
  return Number(process.hrtime.bigint() / 1000n)
}

/**
 * The samples taken in `spell`. Each counts once, however long the next one took to come: another process had the core then.
 * @throws Error when it is no profile, or none of its samples is of that time
 */
export function readSamples(json: string, spell: Spell): Samples {
  const profile = JSON.parse(json) as Profile
  const selfOf = new Map<number, number>()
  let at = profile.startTime
  let count = 0
  for (const [i, id] of profile.samples.entries()) {
    at += profile.timeDeltas[i] ?? 0
    if (at < spell.from || at > spell.to) continue
    selfOf.set(id, (selfOf.get(id) ?? 0) + 1)
    count++
  }
  if (count === 0) throw new Error('the profile has no sample of that time')
  const nodes = new Map(profile.nodes.map(node => [node.id, node]))
  const [first] = profile.nodes
  if (first === undefined) throw new Error('the profile is empty')
  const root = callOf(first, nodes, selfOf)
  return { root, count, seconds: (Math.min(spell.to, at) - Math.max(spell.from, profile.startTime)) / 1e6 }
}

/** Without those that were never seen; the same function called from the same place is one call. */
function callOf(
  node: ProfileNode,
  nodes: ReadonlyMap<number, ProfileNode>,
  selfOf: ReadonlyMap<number, number>,
): Call {
  const children: Call[] = []
  for (const id of node.children ?? []) {
    const child = nodes.get(id)
    if (child === undefined) continue
    const call = callOf(child, nodes, selfOf)
    if (call.total === 0) continue
    const same = children.find(other => other.name === call.name && other.place === call.place)
    if (same === undefined) children.push(call)
    else merge(same, call)
  }
  children.sort((one, other) => other.total - one.total)
  const self = selfOf.get(node.id) ?? 0
  return { ...frameOf(node), self, total: children.reduce((sum, { total }) => sum + total, self), children }
}

function merge(call: Call, other: Call): void {
  call.self += other.self
  call.total += other.total
  for (const child of other.children) {
    const same = call.children.find(each => each.name === child.name && each.place === child.place)
    if (same === undefined) call.children.push(child)
    else merge(same, child)
  }
}

function frameOf({ callFrame: { functionName, url, lineNumber } }: ProfileNode): Frame {
  const name = functionName === '' ? '(anonymous)' : functionName
  const path = url.replace(/^file:\/\/.*?\/(?=(?:src|node_modules|bench)\/)/, '')
  // The lines of V8 are counted from 0.
  const place = url === '' ? '' : `${path}:${lineNumber + 1}`
  return { name, place, room: roomOf(name, path) }
}

/** What V8 samples where no JavaScript is running. */
const OUTSIDE: Readonly<Record<string, string>> = {
  '(root)': 'all',
  '(idle)': 'idle',
  // Without a JavaScript function on the stack: libuv, the kernel's calls, OpenSSL of TLS.
  '(program)': 'native',
  '(garbage collector)': 'garbage collector',
}

function roomOf(name: string, path: string): string {
  if (path === '') return OUTSIDE[name] ?? 'native'
  if (path.startsWith('node:')) return 'node'
  const [, own] = /^src\/([^/]+)\//.exec(path) ?? []
  if (own !== undefined) return own
  const [, packaged] = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path) ?? []
  return packaged === undefined ? 'other' : `npm ${packaged}`
}
