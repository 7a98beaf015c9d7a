/** What the commands that look at or change the repository of users have in common. */

import { tmpdir } from 'node:os'
import { loadConfig } from '../config/load.ts'
import type { EditOptions } from '../directory/edit.ts'

export const NAME = 'alice, of the domain of the configuration, or alice@example.com'
export const TAKES_EFFECT =
  'Running services take it over when they next look at the repository: seconds, without a restart.'

export function editOptions(file: string): EditOptions {
  const { directory, domain } = loadConfig(file)
  return { ...directory, domain, temporary: tmpdir() }
}

/** `alice@example.com suspended: example.com/users/alice.toml, commit 0123456789ab in /srv/users.git` */
export function reportCommit(what: string, path: string, commit: string, { repository }: EditOptions): void {
  console.log(`${what}: ${path}, commit ${shortCommit(commit)} in ${repository}`)
}

export function shortCommit(commit: string): string {
  return commit.slice(0, 12)
}

/** `message_size=10MiB`, as an option of a command; `none` takes a limit out. */
export function parseLimits(settings: readonly string[]): Record<string, string | number | null> {
  return Object.fromEntries(
    settings.map(setting => {
      const [, key = '', value = ''] = /^([\w-]+)=(.+)$/.exec(setting) ?? []
      if (key === '') throw new Error(`"${setting}": write message_size=10MiB, or messages_per_day=none`)
      return [key, value === 'none' ? null : /^\d+$/.test(value) ? Number(value) : value]
    }),
  )
}

/** Columns as wide as they must be; the first row is the head. */
export function formatColumns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  return rows
    .map(
      row =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}
