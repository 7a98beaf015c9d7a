/** Where the repository of users is, and what to do when git cannot reach it. */

import { resolve } from 'node:path'

/** Where the repository is, in a form that git reads in one way only. */
export interface Remote {
  /** An absolute path or a URL. */
  readonly url: string
  readonly protocol: 'file' | 'https' | 'http' | 'ssh'
}

const SCHEME = /^([a-z][a-z0-9+.-]*):/i
const THIS_MACHINE = new Set(['localhost', '127.0.0.1', '[::1]'])

/** A path, or a file, https or ssh URL; throws what to write instead. */
export function parseRemote(repository: string): Remote {
  const scheme = SCHEME.exec(repository)?.[1]?.toLowerCase()
  if (repository === '' || /[\0\r\n]/.test(repository)) throw new Error('a repository is a path or a URL')
  if (scheme === undefined || /^[./]/.test(repository)) {
    if (/^[^/]+@[^/]+:/.test(repository))
      throw new Error(`"${repository}": write ssh://${repository.replace(':', '/')} instead`)
    return { url: resolve(repository), protocol: 'file' }
  }
  const url = URL.parse(repository)
  // Without the slashes it is a host and a path to git, whatever it is to others.
  if (!url || !repository.startsWith('://', scheme.length))
    throw new Error(`"${repository}" is not a path or a file, https or ssh URL`)
  // In clear only where nobody else reads or writes it.
  const protocol = scheme === 'http' && !THIS_MACHINE.has(url.hostname) ? null : scheme
  // A secret there would be seen in logs and in the list of processes.
  if (url.password !== '' || (url.username !== '' && protocol !== 'ssh'))
    throw new Error('a repository URL holds no secret: use a credential helper of git, or ssh')
  if (url.hostname.startsWith('-') || url.username.startsWith('-'))
    throw new Error(`"${repository}": a host or user name does not start with "-"`)
  if (protocol === 'file' || protocol === 'https' || protocol === 'http' || protocol === 'ssh')
    return { url: repository, protocol }
  throw new Error(`"${repository}": ${scheme} is not supported: write a path or a file, https or ssh URL`)
}

/** git-check-ref-format(1), and no character that means something in a refspec. */
export function isBranch(name: string): boolean {
  return /^[^\0-\x20\x7f~^:?*[\\]+$/.test(name) && !/^[-/.]|\.\.|@\{|\/[/.]|[/.]$|\.lock(\/|$)/.test(name)
}

/** What an operator can do about it; empty when git's own words are all there is to say. */
export function advice(said: string, remote: Remote): string {
  return ADVICE.find(([words]) => words.test(said))?.[1](remote) ?? ''
}

const ADVICE: [words: RegExp, advice: (remote: Remote) => string][] = [
  [/No space left on device/, () => 'the disk of the clone is full, or the one of the repository'],
  [
    /dubious ownership/,
    ({ url }) =>
      `the repository belongs to another user of this machine; as the user that runs ptt: git config --global --add safe.directory ${url.replace(/^file:\/\//, '')}`,
  ],
  [
    /Host key verification failed/,
    () =>
      "put the host's key into ~/.ssh/known_hosts of the user that runs ptt (ssh-keyscan, and compare it)",
  ],
  [
    /Permission denied \(/,
    () =>
      'the host does not take our ssh key: see ~/.ssh of the user that runs ptt, and the keys the host allows',
  ],
  [
    /could not read (Username|Password)|terminal prompts disabled|Authentication failed|returned error: 40[13]/,
    () => 'the host wants credentials: set up a credential helper or ~/.netrc for the user that runs ptt',
  ],
  [
    /not appear to be a git repository|does not exist|not a git repository|repository '.*' not found/,
    ({ url, protocol }) =>
      protocol === 'file'
        ? `make one with: git init --bare ${url.replace(/^file:\/\//, '')}`
        : 'look at the URL in [directory]',
  ],
  [
    /match(es)? target host ?name/,
    () => "the host's certificate is for another host: write the name it is for into the URL in [directory]",
  ],
  [
    /certificate|SSL/i,
    () => "the host's certificate is not trusted: set GIT_SSL_CAINFO or git's http.sslCAInfo to its CA",
  ],
  [
    /refusing to update checked out branch/,
    ({ url }) =>
      `that repository has a working copy of the branch; use a bare one: git clone --bare ${url} users.git`,
  ],
]
