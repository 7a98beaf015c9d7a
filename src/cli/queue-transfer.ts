/** `ptt queue export` and `import`: to another machine, or through a change of the relay's engine. */

import { resolve } from 'node:path'
import { Command } from 'commander'
import { scopeKey } from '../queue/hold.ts'
import type { Message } from '../queue/queue.ts'
import { type ConfigOption, configOption } from './options.ts'
import { checkChoice } from './queue-change.ts'
import { exportedIds, exportMessage, importMessage, makeExportFolder } from './queue-move.ts'
import { absent, complain, printDone, withQueue } from './queue-open.ts'
import { holdsInForce, type SelectionOptions, selected, withSelection } from './queue-selection.ts'

interface ExportOptions extends ConfigOption, SelectionOptions {
  readonly all?: true
  readonly remove?: true
  readonly json?: true
}

interface ImportOptions extends ConfigOption {
  readonly json?: true
}

export function exportCommand(): Command {
  return withSelection(new Command('export'))
    .description('write messages to a folder, from which `ptt queue import` restores them')
    .argument('<folder>', 'made when it is not there')
    .argument('[ids...]', 'the ids of the messages')
    .option('--all', 'all that is queued')
    .option('--remove', 'remove each from the queue once it is written')
    .option('--json', 'a JSON object per message and line')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
Stop the relay before, or hold what is exported: what it delivers meanwhile is delivered again where it is imported.

Example:
  ptt queue export /var/tmp/moved --all --remove`,
    )
    .action((folder: string, ids: string[], options: ExportOptions) => {
      checkChoice(ids, options)
      const path = resolve(folder)
      return withQueue(options.config, async queue => {
        await makeExportFolder(path)
        const holds = await holdsInForce(queue, Date.now())
        const write = async (message: Message) => {
          const { id } = message
          const hold = holds.get(scopeKey({ kind: 'message', name: id }))
          if (!(await exportMessage(queue, message, hold, path))) return complain(absent(id))
          if (options.remove) {
            await queue.remove(id, Date.now())
            if (hold !== undefined) await queue.lift(hold)
          }
          await printDone(id, 'exported', 'is exported', options.json)
        }
        for (const id of ids) {
          const message = await queue.get(id)
          if (message === null) complain(absent(id))
          else await write(message)
        }
        if (ids.length > 0) return
        for await (const page of selected(queue, options)) for (const message of page) await write(message)
      })
    })
}

export function importCommand(): Command {
  return new Command('import')
    .description('queue the messages of a folder that `ptt queue export` wrote')
    .argument('<folder>')
    .option('--json', 'a JSON object per message and line')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
Each keeps its id, its times and what was attempted. One that was in this queue before is not queued again.

Example:
  ptt queue import /var/tmp/moved`,
    )
    .action((folder: string, { config, json }: ImportOptions) => {
      const path = resolve(folder)
      const import_ = withQueue(
        config,
        async queue => {
          for (const id of await exportedIds(path)) {
            try {
              const outcome = await importMessage(queue, path, id)
              if (outcome === 'queued') await printDone(id, 'imported', 'is queued', json)
              else if (outcome === 'duplicate') complain(`${id} is not queued: it was here before`)
              else complain(`${id} is not queued: none of its recipients waits for it`)
            } catch (error) {
              complain(`${id} is not queued: ${error instanceof Error ? error.message : String(error)}`)
            }
          }
        },
        { make: true },
      )
      return import_
    })
}
