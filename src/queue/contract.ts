/** What `queue.ts` promises, as a suite that each engine's test file runs: a file for each promise in `contract/`. */

import { suite } from 'node:test'
import type { MakeEngine } from './contract/fixture.ts'
import { holdContract } from './contract/hold.ts'
import { leaseContract } from './contract/lease.ts'
import { listContract } from './contract/list.ts'
import { putContract } from './contract/put.ts'
import { restartContract } from './contract/restart.ts'
import { settleContract } from './contract/settle.ts'
import { storyContract } from './contract/story.ts'
import { turnsContract } from './contract/turns.ts'

export { all, deferred, newMessage, octets } from './contract/fixture.ts'

export function runQueueContract(
  name: string,
  makeEngine: MakeEngine,
  /** What is left of it after a crash. */
  keeps: 'messages' | 'nothing',
): void {
  suite(`queue contract: ${name}`, () => {
    putContract(makeEngine)
    leaseContract(makeEngine)
    turnsContract(makeEngine)
    holdContract(makeEngine)
    settleContract(makeEngine)
    listContract(makeEngine)
    storyContract(makeEngine)
    restartContract(makeEngine, keeps)
  })
}
