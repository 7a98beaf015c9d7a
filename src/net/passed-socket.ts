/**
 * Sockets that listen already: whoever starts the process opens them and hands them over (systemd's socket activation,
 * sd_listen_fds(3)). Ports below 1024 then need no right of ours, connections that come while a service restarts wait for it,
 * and the service itself needs not even the right to make a socket that listens.
 *
 *   LISTEN_PID       for which process they are: a child of it that has the same environment takes none
 *   LISTEN_FDS       how many there are, from descriptor 3 on
 *   LISTEN_FDNAMES   what each is for, in the same order: here the names that RFC 6335's registry has for the ports
 */

/** TLS from the first octet (RFC 8314 §7.3), STARTTLS (RFC 6409 §3.1), hops. */
export const SOCKET_NAMES = ['submissions', 'submission', 'smtp'] as const
export type SocketName = (typeof SOCKET_NAMES)[number]

const FIRST_DESCRIPTOR = 3

export interface Environment {
  readonly [name: string]: string | undefined
}

/**
 * The descriptor of the socket to be used for `name`, if one was passed. A single one needs no name.
 * @param pids ours; of a worker, whose sockets are its parent's, that one's too
 * @throws Error for sockets that nobody would take connections from
 */
export function passedSocket(
  name: SocketName,
  environment: Environment,
  pids: readonly number[],
): number | undefined {
  const names = passedNames(environment, pids)
  // 587 is a second door: a socket that could be any is the first.
  const at = names.findIndex(each => each === name || (each === null && name !== 'submission'))
  return at < 0 ? undefined : FIRST_DESCRIPTOR + at
}

/** The name of a socket that was passed though it is none of the `wanted` ones: who connects to it would wait for ever. */
export function unwantedSocket(
  wanted: readonly SocketName[],
  environment: Environment,
  pids: readonly number[],
): SocketName | undefined {
  return passedNames(environment, pids).find(name => name !== null && !wanted.includes(name)) ?? undefined
}

/** In the order of the descriptors; `null`: the only one, and without a name that means anything. */
function passedNames(environment: Environment, pids: readonly number[]): (SocketName | null)[] {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES = '' } = environment
  if (LISTEN_FDS === undefined || !pids.includes(Number(LISTEN_PID))) return []
  const count = Number(LISTEN_FDS)
  if (!Number.isSafeInteger(count) || count < 0) throw new Error(`LISTEN_FDS is "${LISTEN_FDS}", no number`)
  const given = LISTEN_FDNAMES.split(':')
  return Array.from({ length: count }, (_, at) => {
    // Without FileDescriptorName= a socket has the name of its unit, and from systemd-socket-activate "unknown".
    const written = given[at] || 'unknown'
    const name = SOCKET_NAMES.find(each => each === written) ?? null
    if (count > 1 && (name === null || given.indexOf(written) !== at)) {
      throw new Error(
        `of ${count} sockets that were passed, "${written}" is the name of one: each needs one of its own, FileDescriptorName= ${SOCKET_NAMES.join(' or ')}`,
      )
    }
    return name
  })
}
