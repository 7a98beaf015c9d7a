/** What LISTEN_FDS and its companions say (sd_listen_fds(3)). */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { passedSocket, SOCKET_NAMES, unwantedSocket } from './passed-socket.ts'

const ours = [100]

const cases: [
  name: string,
  environment: Record<string, string>,
  submissions: unknown,
  submission: unknown,
  smtp: unknown,
][] = [
  ['none', {}, undefined, undefined, undefined],
  ['for another process', { LISTEN_PID: '99', LISTEN_FDS: '1' }, undefined, undefined, undefined],
  ['without a process', { LISTEN_FDS: '1' }, undefined, undefined, undefined],
  ['one without a name', { LISTEN_PID: '100', LISTEN_FDS: '1' }, 3, undefined, 3],
  [
    'one with its unit’s name',
    { LISTEN_PID: '100', LISTEN_FDS: '1', LISTEN_FDNAMES: 'ptt.socket' },
    3,
    undefined,
    3,
  ],
  [
    'one for STARTTLS',
    { LISTEN_PID: '100', LISTEN_FDS: '1', LISTEN_FDNAMES: 'submission' },
    undefined,
    3,
    undefined,
  ],
  ['two', { LISTEN_PID: '100', LISTEN_FDS: '2', LISTEN_FDNAMES: 'submission:submissions' }, 4, 3, undefined],
]

for (const [name, environment, ...expected] of cases) {
  test(`passed sockets: ${name}`, () => {
    assert.deepEqual(
      SOCKET_NAMES.map(each => passedSocket(each, environment, ours)),
      expected,
    )
  })
}

test('passed sockets: those of its parent are a worker’s', () => {
  assert.equal(passedSocket('smtp', { LISTEN_PID: '99', LISTEN_FDS: '1' }, [100, 99]), 3)
})

const wrong: [fds: string, names: string | undefined, error: RegExp][] = [
  ['2', undefined, /of 2 sockets .* "unknown"/],
  ['2', 'submissions', /"unknown"/],
  ['2', 'submissions:submissions', /"submissions" is the name of one: each needs one of its own/],
  ['2', 'submissions:imaps', /"imaps"/],
  ['-1', undefined, /LISTEN_FDS is "-1"/],
  ['many', undefined, /LISTEN_FDS is "many"/],
]

for (const [fds, names, error] of wrong) {
  test(`passed sockets: ${fds} named ${names}`, () => {
    const environment = { LISTEN_PID: '100', LISTEN_FDS: fds, LISTEN_FDNAMES: names }
    assert.throws(() => passedSocket('submissions', environment, ours), error)
  })
}

test('passed sockets: one that is for nothing', () => {
  const passed = (names: string) => ({
    LISTEN_PID: '100',
    LISTEN_FDS: String(names.split(':').length),
    LISTEN_FDNAMES: names,
  })
  assert.equal(unwantedSocket(['submissions'], passed('submission:submissions'), ours), 'submission')
  assert.equal(
    unwantedSocket(['submissions', 'submission'], passed('submission:submissions'), ours),
    undefined,
  )
  assert.equal(unwantedSocket(['smtp'], passed('ptt-relay.socket'), ours), undefined)
  assert.equal(unwantedSocket([], passed('smtp'), [101]), undefined)
})
