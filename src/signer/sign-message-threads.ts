/** How many signatures are computed at once. */

/**
 * One for each core, on libuv's threads; there are four of them unless it is told otherwise before the first is wanted. More
 * threads than cores sign no faster and keep the main thread from its turn: beside other work on two cores 2,280 messages a
 * second were signed with two threads and 1,090 with four (bench/sign.ts). Two at least: half of them may be waiting for
 * the names of hosts. What the operator has set stays. Of several processes each has its part.
 */
export function signOnEachCore(processes = 1): void {
  const part = Math.ceil(navigator.hardwareConcurrency / processes)
  process.env.UV_THREADPOOL_SIZE ??= String(Math.max(2, part))
}
