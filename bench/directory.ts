/**
 * What following a repository of users costs: `node bench/directory.ts [--users 10000] [--commits 20]`.
 *
 *   first start   the clone is made, and everything read
 *   restart       read from the clone
 *   memory        of the directory in force, after garbage collection
 *   one user      from refresh() until the commit of one user is in force: the fetch, and what comes after it
 *   nothing new   a look at a repository that has not changed
 */

import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Clone } from '../src/directory/clone.ts'
import { CommitReader } from '../src/directory/commit-reader.ts'
import { parseRemote } from '../src/directory/remote.ts'
import { follow } from '../src/directory/repository.ts'
import { silent } from '../src/observe/event.ts'
import { makeGitRepository } from '../test/peers/git-repository.ts'

const { values } = parseArgs({
  options: {
    users: { type: 'string', default: '10000' },
    commits: { type: 'string', default: '20' },
    folder: { type: 'string', default: tmpdir() },
  },
})
const count = Number(values.users)
const commits = Number(values.commits)

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const MIB = 1024 * 1024

function heldOctets(): number {
  collect()
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** Nobody's password, and different for each: as in a real repository nothing is the same twice. */
function userFile(index: number): string {
  const base64 = (octets: number) => randomBytes(octets).toString('base64')
  const verifier = `SCRAM-SHA-256$15000:${base64(16)}$${base64(32)}:${base64(32)}`
  return [
    `# user${index}@example.com`,
    `password = "${verifier}"`,
    `senders = ["first.last${index}", "*@list${index}.example.com"]`,
    `targets = ["user${index}@home.example"]`,
    '',
  ].join('\n')
}

async function timed<Result>(work: () => Promise<Result>): Promise<[ms: number, result: Result]> {
  const before = performance.now()
  const result = await work()
  return [performance.now() - before, result]
}

function median(times: readonly number[]): number {
  return times.toSorted((one, other) => one - other)[Math.floor(times.length / 2)] ?? Number.NaN
}

function say(what: string, figure: string): void {
  console.log(`${what.padEnd(46)}${figure}`)
}

const ms = (time: number) => `${time.toFixed(0)} ms`
const folder = mkdtempSync(join(values.folder, 'ptt-bench-'))
const repository = await makeGitRepository()
try {
  const paths = Array.from({ length: count }, (_, index) => `example.com/users/user${index}.toml`)
  const domain = '[default_limits]\nmessages_per_day = 500\n[total_limits]\nmessages_per_day = 100000\n'
  await repository.commit({
    'example.com/domain.toml': domain,
    ...Object.fromEntries(paths.map((path, index) => [path, userFile(index)])),
  })

  const hour = 3_600_000
  let enforcedAt = 0
  const options = {
    ...{
      repository: repository.path,
      branch: 'main',
      domain: 'example.com',
      require: 'fast-forward' as const,
    },
    ...{ clone: join(folder, 'clone.git'), intervalMs: hour, alarmAfterMs: hour, log: silent },
    onChange: () => {
      enforcedAt = performance.now()
    },
  }
  const held = heldOctets()
  const [first, follower] = await timed(() => follow(options))
  say(`first start, ${count} users`, ms(first))
  say('memory of the directory', `${((heldOctets() - held) / MIB).toFixed(1)} MiB`)
  say('resident set of the process', `${(process.memoryUsage().rss / MIB).toFixed(0)} MiB`)

  const idle: number[] = []
  for (let round = 0; round < commits; round++) idle.push((await timed(() => follower.refresh()))[0])
  say('nothing new, median', ms(median(idle)))

  const whole: number[] = []
  for (let round = 0; round < commits; round++) {
    const commit = await repository.commit({ [paths[round % count] ?? '']: userFile(count + round) })
    const asked = performance.now()
    await follower.refresh()
    whole.push(enforcedAt - asked)
    if (follower.current().commit !== commit) throw new Error('the commit is not in force')
  }
  say('one user, from refresh() to in force, median', ms(median(whole)))
  await follower.close()
  const [again, restarted] = await timed(() => follow(options))
  say('restart', ms(again))
  await restarted.close()

  const clone = await Clone.open(join(folder, 'other.git'), {
    remote: parseRemote(repository.path),
    branch: 'main',
  })
  const reader = new CommitReader(clone, 'example.com')
  const fetched = await clone.fetch(60_000)
  if (fetched.kind !== 'fetched') throw new Error(fetched.reason)
  const [load] = await timed(() => reader.read(fetched.commit))
  say('reading alone: all', ms(load))
  const fetches: number[] = []
  const reads: number[] = []
  for (let round = 0; round < commits; round++) {
    await repository.commit({ [paths[round % count] ?? '']: userFile(2 * count + round) })
    const [fetch, next] = await timed(() => clone.fetch(60_000))
    if (next.kind !== 'fetched') throw new Error(next.reason)
    fetches.push(fetch)
    reads.push((await timed(() => reader.read(next.commit)))[0])
  }
  say('one user: the fetch, median', ms(median(fetches)))
  say('one user: reading what differs, median', ms(median(reads)))
} finally {
  await repository.remove()
  rmSync(folder, { recursive: true, force: true })
}
