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
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES = '' } = environment
  if (LISTEN_FDS === undefined || !pids.includes(Number(LISTEN_PID))) return undefined
  const count = Number(LISTEN_FDS)
  if (!Number.isSafeInteger(count) || count < 0) throw new Error(`LISTEN_FDS is "${LISTEN_FDS}", no number`)
  const names = LISTEN_FDNAMES === '' ? [] : LISTEN_FDNAMES.split(':')
  // Without FileDescriptorName= a socket has the name of its unit, and from systemd-socket-activate "unknown".
  if (count === 1 && !isSocketName(names[0])) return name === 'submission' ? undefined : FIRST_DESCRIPTOR
  const wrong = Array.from({ length: count }, (_, at) => names[at] ?? 'unknown').find(
    (each, at) => !isSocketName(each) || names.indexOf(each) !== at,
  )
  if (wrong !== undefined) {
    throw new Error(
      `of ${count} sockets that were passed, "${wrong}" is the name of one: each needs one of its own, FileDescriptorName= ${SOCKET_NAMES.join(' or ')}`,
    )
  }
  const at = names.indexOf(name)
  return at < 0 || at >= count ? undefined : FIRST_DESCRIPTOR + at
}

function isSocketName(name: string | undefined): name is SocketName {
  return SOCKET_NAMES.some(each => each === name)
}
