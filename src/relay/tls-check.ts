/** What a delivery to a domain would do now, and why, step by step: for `ptt tls check`. Nothing is sent but EHLO, STARTTLS, QUIT. */

import { formatTlsa } from '../dns/tlsa.ts'
import { silent } from '../observe/event.ts'
import { type Announcements, announcedBy } from './announced.ts'
import { daneOf, withDane } from './dane.ts'
import { addressesOf, type MailHost, route } from './destination.ts'
import type { StsAnswer } from './mta-sts/mta-sts.ts'
import { type Miss, Reach, type Reaching } from './reach/reach.ts'
import { usualSource } from './reach/source.ts'
import { objectionToHost, objectionToMx, type TlsPolicy } from './tls-policy.ts'

export interface Step {
  /** `MX`, `MTA-STS`, `addresses`, `TLSA`, `policy`, `session`, `verdict`. */
  readonly about: string
  /** The host it is of; null: the domain's. */
  readonly host: string | null
  /** `ok`: as good as it can be; `weak`: mail goes, and might be read; `bad`: mail does not go; `unknown`: it waits. */
  readonly state: 'ok' | 'weak' | 'bad' | 'unknown'
  readonly text: string
}

export interface CheckMeans extends Reaching, Announcements {
  readonly hostname: string
}

/** @param domain in lower case with A-labels */
export async function* checkTls(domain: string, means: CheckMeans): AsyncGenerator<Step> {
  const where = await route(domain, means.lookup, [means.hostname], () => 0)
  if (where.kind === 'none') {
    yield {
      about: 'MX',
      host: null,
      state: where.status.startsWith('5') ? 'bad' : 'unknown',
      text: where.diagnostic,
    }
    return
  }
  yield mxStep(where.hosts)
  const { policy, sts } = await announcedBy(domain, means)
  if (sts === null) yield { about: 'tls.toml', host: null, state: 'ok', text: policy.reason }
  else yield stsStep(sts)
  const states: Step['state'][] = []
  for (const host of where.hosts) {
    for await (const step of checkHost(host, domain, policy, means)) {
      if (step.about === 'verdict') states.push(step.state)
      yield step
    }
  }
  yield overall(states)
}

async function* checkHost(
  host: MailHost,
  domain: string,
  policy: TlsPolicy,
  means: CheckMeans,
): AsyncGenerator<Step> {
  const of = (about: string, state: Step['state'], text: string): Step => ({
    about,
    host: host.name,
    state,
    text,
  })
  const found = await addressesOf(host, means.lookup)
  if (found.kind === 'none') {
    yield of('addresses', 'bad', found.diagnostic)
    return yield of(
      'verdict',
      found.status.startsWith('5') ? 'bad' : 'unknown',
      'no mail goes to this host now',
    )
  }
  const alias = found.name === host.name ? '' : ` (an alias of ${found.name})`
  yield of(
    'addresses',
    found.secure ? 'ok' : 'weak',
    `${found.addresses.join(', ')}${alias}${secured(found.secure)}`,
  )
  const dane = await daneOf(host, found, means.lookup, means.smtpPort)
  const records = dane.kind === 'usable' ? `: ${dane.records.map(formatTlsa).join('; ')}` : ''
  yield of('TLSA', STATES[dane.kind], `${dane.reason}${records}`)
  const ofHost = withDane(policy, dane, host)
  const objection =
    'about' in ofHost ? ofHost : (objectionToHost(ofHost, host) ?? objectionToMx(ofHost, host))
  if (objection !== null) {
    yield of('policy', 'bad', objection.diagnostic)
    return yield of('verdict', 'bad', 'no mail goes to this host now')
  }
  if ('about' in ofHost) return
  const clear = ofHost.clearText ? 'clear text where TLS cannot be had' : 'never in clear text'
  yield of('policy', ofHost.clearText ? 'weak' : 'ok', `${ofHost.level}, ${clear}: ${ofHost.reason}`)
  yield* session(host, domain, policy, means, of)
}

async function* session(
  host: MailHost,
  domain: string,
  policy: TlsPolicy,
  means: CheckMeans,
  of: (about: string, state: Step['state'], text: string) => Step,
): AsyncGenerator<Step> {
  const misses: Miss[] = []
  const source = usualSource(means.hostname)
  const way = { hosts: [host], domain, policy, waives: () => false, sts: null, id: '', source }
  const link = await new Reach(way, means, miss => misses.push(miss), silent).next(() => {})
  for (const { remote, verdict } of misses)
    yield of('session', 'bad', `${remote ?? host.name}: ${verdict.diagnostic}`)
  if (link === null) return yield of('verdict', 'bad', 'no mail goes to this host now')
  const { connection, candidate, remote } = link
  const { tls } = connection
  connection.quit()
  const how =
    tls === null
      ? 'clear text'
      : `${tls.version} ${tls.cipher}, certificate for ${tls.peerNames.join(', ') || 'no name'}`
  const verified = candidate.policy.dane !== undefined || tls?.authorized === true
  const why = tls === null || verified ? '' : `, not verified (${tls.authorizationError})`
  yield of('session', verified ? 'ok' : 'weak', `${remote}: ${how}${why}`)
  yield verified
    ? of('verdict', 'ok', 'mail goes, and only this host can read it')
    : of('verdict', 'weak', 'mail goes, and who sits between could read it')
}

function overall(states: readonly Step['state'][]): Step {
  const best = (['ok', 'weak', 'unknown', 'bad'] as const).find(state => states.includes(state)) ?? 'bad'
  const worst = (['bad', 'unknown', 'weak', 'ok'] as const).find(state => states.includes(state)) ?? 'bad'
  if (best === 'bad' || best === 'unknown')
    return { about: 'verdict', host: null, state: best, text: 'mail waits, until one of the hosts will do' }
  const some = worst === best ? '' : '; not every host is as good'
  const text =
    best === 'ok'
      ? `mail goes, to a host that was verified${some}`
      : `mail goes, unprotected from who sits between${some}`
  return { about: 'verdict', host: null, state: best === 'ok' && worst === 'weak' ? 'weak' : best, text }
}

const STATES = { usable: 'ok', unusable: 'weak', none: 'weak', failure: 'unknown' } as const

function mxStep(hosts: readonly MailHost[]): Step {
  const secure = hosts.every(host => host.secure)
  const names = hosts.map(({ name, preference, found }) =>
    found === 'domain' ? `${name} (no MX)` : `${preference} ${name}`,
  )
  return {
    about: 'MX',
    host: null,
    state: secure ? 'ok' : 'weak',
    text: `${names.join(', ')}${secured(secure)}`,
  }
}

function stsStep(sts: StsAnswer): Step {
  if (sts.kind === 'none') {
    const failure = sts.failure === undefined ? '' : `: ${sts.failure.resultType}, ${sts.failure.reason}`
    return { about: 'MTA-STS', host: null, state: 'weak', text: `${sts.reason}${failure}` }
  }
  const until = new Date(sts.untilMs).toISOString()
  const stale = sts.stale === undefined ? '' : `; it could not be looked at again: ${sts.stale.reason}`
  const text = `${sts.mode}, policy ${sts.id} for ${sts.mx.join(', ')}, in force until ${until}${stale}`
  return { about: 'MTA-STS', host: null, state: sts.mode === 'enforce' ? 'ok' : 'weak', text }
}

function secured(secure: boolean): string {
  return secure ? ', authenticated by DNSSEC' : ', not authenticated by DNSSEC'
}
