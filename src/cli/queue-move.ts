/**
 * Messages out of one queue and into another: in a folder, for each `ID.json` (envelope, recipients, times) and `ID.eml` (the
 * content, octet for octet). Ids are kept, so that what was imported once is not imported again.
 */

import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Hold, type Message, type NewMessage, type Queue, QueueError } from '../queue/queue.ts'

const FORMAT = 'ptt queue message'
const VERSION = 1

interface Exported {
  readonly format: typeof FORMAT
  readonly version: number
  readonly message: Message
  /** Where it was held by its id: it is again where it is imported. */
  readonly hold?: Hold
}

export async function makeExportFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
}

/** Durable when it resolves. False: the message is gone meanwhile. */
export async function exportMessage(
  queue: Queue,
  message: Message,
  hold: Hold | undefined,
  folder: string,
): Promise<boolean> {
  const { id } = message
  let content: Uint8Array
  try {
    content = await queue.content(id)
  } catch (error) {
    if (error instanceof QueueError && error.code === 'gone') return false
    throw error
  }
  const exported: Exported = { format: FORMAT, version: VERSION, message, ...(hold ? { hold } : {}) }
  await writeWhole(folder, `${id}.eml`, content)
  // The second one, so that who finds it finds both.
  await writeWhole(folder, `${id}.json`, Buffer.from(`${JSON.stringify(exported, null, 2)}\n`))
  return true
}

/** The ids of the messages in the folder, in order. */
export async function exportedIds(folder: string): Promise<string[]> {
  const names = await readdir(folder)
  return names.flatMap(name => /^([A-Za-z0-9_-]{1,64})\.json$/.exec(name)?.[1] ?? []).toSorted()
}

/** `nothing`: none of its recipients is pending. @throws Error when the files are not what `exportMessage` writes. */
export async function importMessage(
  queue: Queue,
  folder: string,
  id: string,
): Promise<'queued' | 'duplicate' | 'nothing'> {
  const { message, hold } = parseExported(await readFile(join(folder, `${id}.json`), 'utf8'), id)
  const content = await readFile(join(folder, `${id}.eml`))
  if (content.length !== message.sizeOctets) {
    throw new Error(`${id}.eml has ${content.length} octets, and ${id}.json says ${message.sizeOctets}`)
  }
  const { recipients, reversePath, envelope, held: _, sizeOctets: __, ...fixed } = message
  const pending = recipients.filter(({ state }) => state === 'pending')
  if (pending.length === 0) return 'nothing'
  const imported: NewMessage = {
    ...fixed,
    envelope: {
      ...envelope,
      reversePath,
      recipients: pending.map(({ mailbox, notify, originalRecipient }) => ({
        forwardPath: mailbox,
        ...(notify === undefined ? {} : { notify }),
        ...(originalRecipient === undefined ? {} : { originalRecipient }),
      })),
    },
    recipients: pending.map(({ state: _, ...recipient }) => recipient),
  }
  if (await queue.get(id)) return 'duplicate'
  // Before it is there, for it must not be leased in between.
  if (hold !== undefined) await queue.hold(hold)
  const outcome = await queue.put(imported, [content])
  if (outcome === 'duplicate' && hold !== undefined) await queue.lift(hold)
  return outcome
}

function parseExported(text: string, id: string): Exported {
  let exported: Partial<Exported> | null
  try {
    exported = JSON.parse(text)
  } catch (error) {
    throw new Error(`${id}.json is not JSON: ${String(error)}`)
  }
  if (exported?.format !== FORMAT || exported.message?.id !== id || exported.message.recipients === undefined)
    throw new Error(`${id}.json is not of \`ptt queue export\``)
  if (exported.version !== VERSION)
    throw new Error(`${id}.json is of version ${exported.version}: this ptt reads version ${VERSION}`)
  return exported as Exported
}

/** Under its name only when it is whole and on the disk. */
async function writeWhole(folder: string, name: string, octets: Uint8Array): Promise<void> {
  const part = join(folder, `${name}.part`)
  await rm(part, { force: true })
  const file = await open(part, 'wx', 0o600)
  try {
    await file.writeFile(octets)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(part, join(folder, name))
  const above = await open(folder, 'r')
  try {
    await above.sync()
  } finally {
    await above.close()
  }
}
