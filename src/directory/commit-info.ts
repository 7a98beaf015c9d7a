/** Who made a commit, when, and what it says of itself. */

import type { Clone } from './clone.ts'

export interface CommitInfo {
  readonly commit: string
  readonly author: string
  readonly committedSeconds: number
  readonly subject: string
}

const FORMAT = '--format=%H%x00%an <%ae>%x00%ct%x00%s'

export async function commitInfo(clone: Clone, commit: string): Promise<CommitInfo> {
  return parseInfo(await clone.run(['log', '-1', FORMAT, commit]))
}

/** The commit that a line is from, as far back as there is history. */
export async function commitOfLine(
  clone: Clone,
  commit: string,
  file: string,
  line: number,
): Promise<CommitInfo> {
  const blame = await clone.run(['blame', '--porcelain', '-L', `${line},${line}`, commit, '--', file])
  return commitInfo(clone, /^[0-9a-f]{40,64}/.exec(blame.toString('latin1'))?.[0] ?? commit)
}

/** Author and subject are whatever their writer wanted, and end on a terminal: without what could play tricks there. */
export function parseInfo(output: Buffer): CommitInfo {
  const [commit = '', author = '', seconds, subject = ''] = output.toString().trimEnd().split('\0')
  const shown = (text: string) => text.replace(/[\p{Cc}\u{202a}-\u{202e}\u{2066}-\u{2069}]/gu, '?')
  return { commit, author: shown(author), committedSeconds: Number(seconds), subject: shown(subject) }
}
