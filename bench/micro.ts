/**
 * `npm run bench:micro`: where a microsecond goes. CPU time of one operation after the other, a file for each room in `micro/`;
 * the inputs are the same in every run.
 *
 *   npm run bench:micro -- --only dkim          rooms, or the beginnings of names: --only dkim,smtp/command
 *   npm run bench:micro -- --json               for programs: nanoseconds
 */

import { parseArgs } from 'node:util'
import { dkim } from './micro/dkim.ts'
import { dns } from './micro/dns.ts'
import { measure, type Operation, type Room, type Timing } from './micro/measure.ts'
import { message } from './micro/message.ts'
import { net } from './micro/net.ts'
import { queue } from './micro/queue.ts'
import { smtp } from './micro/smtp.ts'
import { submission } from './micro/submission.ts'

/** In the order in which a message meets them. */
const ROOMS: readonly Room[] = [smtp, message, submission, dkim, queue, dns, net]

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, json: { type: 'boolean', default: false } },
})
const wanted = values.only.split(',').filter(Boolean)
const known = ROOMS.map(({ name }) => name)
for (const word of wanted) {
  if (known.includes(word.split('/')[0] ?? '')) continue
  console.error(`--only ${word}: there is ${known.join(', ')}`)
  process.exit(2)
}
const isWanted = (name: string) => wanted.length === 0 || wanted.some(word => name.startsWith(word))
const results: (Timing & { readonly room: string; readonly name: string })[] = []
const rooms = wanted.length === 0 ? known : wanted.map(word => word.split('/')[0])
for (const { name, operations } of ROOMS) if (rooms.includes(name)) await measureRoom(name, operations)
if (values.json) console.log(JSON.stringify({ node: process.version, nanoseconds: results }, null, 2))

async function measureRoom(room: string, operations: Room['operations']): Promise<void> {
  const measured = Promise.withResolvers<void>()
  try {
    for (const operation of await operations(measured.promise)) {
      if (!isWanted(`${room}/${operation.name}`)) continue
      const timing = await measure(operation)
      results.push({ room, name: operation.name, ...timing })
      if (!values.json) console.log(line(room, operation, timing))
    }
  } finally {
    measured.resolve()
  }
}

/** The middle, and from the quickest batch to the slowest. */
function line(room: string, { name, octets }: Operation, { median, least, most }: Timing): string {
  const speed =
    octets === undefined ? '' : `${Math.round((octets / median) * 1000).toLocaleString('en')} MB/s`
  const spread = `${short(least)} – ${short(most)}`
  return `${room.padEnd(12)}${name.padEnd(46)}${short(median).padStart(10)}   ${spread.padEnd(22)}${speed.padStart(14)}`.trimEnd()
}

function short(nanoseconds: number): string {
  const [value, unit] = nanoseconds < 1000 ? [nanoseconds, 'ns'] : [nanoseconds / 1000, 'µs']
  return `${value.toPrecision(3)} ${unit}`
}
