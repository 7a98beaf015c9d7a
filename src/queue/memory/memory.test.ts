import { runQueueContract } from '../contract.ts'
import { openMemory } from './memory.ts'

runQueueContract('memory', async (_, options) => ({ queue: openMemory(options) }), 'nothing')
