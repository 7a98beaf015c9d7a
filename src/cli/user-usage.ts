/** `ptt user usage`: what is used up of the limits a day, as submission counts it. */

import { existsSync } from 'node:fs'
import { Command } from 'commander'
import { loadConfig } from '../config/load.ts'
import { readRepository } from '../directory/edit.ts'
import { isCounted, type Used, usedBy } from '../directory/usage/allow.ts'
import { UsageStore, usageFile } from '../directory/usage/store.ts'
import { formatTime, NOUNS } from '../directory/usage/window.ts'
import { type ConfigOption, configOption } from './options.ts'
import { editOptions, formatColumns, NAME } from './repository.ts'

export function usageCommand(): Command {
  return new Command('usage')
    .description('show what is used up of the limits a day')
    .argument('[name]', `${NAME}; all who have such limits when not given`)
    .addOption(configOption())
    .addHelpText(
      'after',
      `
The limits are those at the head of the repository; the counts are those of this machine ([submission] state). A domain's row is of all
its users together.

Examples:
  ptt user usage
  ptt user usage alice`,
    )
    .action(async (name: string | undefined, { config }: ConfigOption) => {
      const directory = await readRepository(editOptions(config))
      const one = name === undefined ? undefined : directory.user(name)
      if (name !== undefined && one === undefined) throw new Error(`there is no user ${name}`)
      const users = (one === undefined ? [...directory.users.values()] : [one]).filter(isCounted)
      if (users.length === 0) {
        console.log(one === undefined ? 'Nobody has limits a day.' : `${one.name} has no limits a day.`)
        return
      }
      const store = new UsageStore(loadConfig(config).submission.state)
      try {
        // Where nothing was counted yet, the folder is not made: it is the service's.
        const there = existsSync(usageFile(loadConfig(config).submission.state))
        const rows = there
          ? await store.read(tables => users.flatMap(user => usedBy(tables, user, Date.now())))
          : users.flatMap(user => usedBy(null, user, Date.now()))
        process.stdout.write(formatColumns([HEAD, ...unique(rows).map(cells)]))
      } finally {
        await store.close()
      }
    })
}

const HEAD = ['WHO', 'LIMIT A DAY', 'USED', 'OF', 'ROOM AGAIN']

function cells({ of, counted, used, limit, roomMs }: Used): string[] {
  return [of, NOUNS[counted], String(used), String(limit), roomMs === null ? '' : formatTime(roomMs)]
}

/** A domain is there with each of its users. */
function unique(rows: readonly Used[]): Used[] {
  const byName = new Map(rows.map(row => [`${row.of} ${row.counted}`, row]))
  return [...byName.values()].toSorted((one, other) => (one.of < other.of ? -1 : one.of > other.of ? 1 : 0))
}
