/** What a peer needs that this machine does not have, in words that say how to get it. */

import { which } from '../../test/peers/need.ts'

/** What every peer runs in (contained.ts): only root can make it. */
const CONTAINER = { setpriv: 'util-linux', unshare: 'util-linux', perl: 'perl-base' } as const

/** @param programs by name, the Debian packages that have each */
export function missingPrograms(programs: Readonly<Record<string, string>>): string | null {
  if (process.getuid?.() !== 0) return 'only root can start it'
  const missing = Object.entries({ ...CONTAINER, ...programs }).filter(([program]) => which(program) === null)
  if (missing.length === 0) return null
  const names = missing.map(([program]) => program).join(', ')
  const packages = [...new Set(missing.map(([, packaged]) => packaged))].join(' ')
  return `no ${names}: apt-get install --no-install-recommends ${packages}`
}
