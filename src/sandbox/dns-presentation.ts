/** RDATA as text, as a master file has it (RFC 1035 §5.1): what zones are written in and kept as. */

import { isIPv4, isIPv6 } from 'node:net'
import type { ResourceRecord } from '../dns/message.ts'
import { canonicalName } from '../dns/name.ts'
import { type KnownData, type RecordType, txtStrings, txtText } from '../dns/rdata.ts'

type Parsers = { readonly [T in RecordType]: (text: string) => KnownData[T] }
type Formatters = { readonly [T in RecordType]: (data: KnownData[T]) => string }

const PARSERS: Parsers = {
  A: text => checked(text, isIPv4(text)),
  AAAA: text => checked(text, isIPv6(text)),
  CNAME: canonicalName,
  NS: canonicalName,
  PTR: canonicalName,
  TXT: txtStrings,
  MX: text => {
    const [preference = '', exchange = ''] = words(text, 2)
    return { preference: number(preference), exchange: canonicalName(exchange) }
  },
  SRV: text => {
    const [priority = '', weight = '', port = '', target = ''] = words(text, 4)
    return {
      priority: number(priority),
      weight: number(weight),
      port: number(port),
      target: canonicalName(target),
    }
  },
  TLSA: text => {
    const [usage = '', selector = '', matchingType = '', certificate = ''] = words(text, 4)
    return {
      usage: number(usage),
      selector: number(selector),
      matchingType: number(matchingType),
      certificate: Buffer.from(checked(certificate, /^(?:[0-9a-f]{2})+$/i.test(certificate)), 'hex'),
    }
  },
  CAA: text => {
    const [, flags = '', tag = '', value = ''] = /^(\d{1,3})\s+([a-z0-9]+)\s+"(.*)"$/is.exec(text) ?? []
    checked(text, tag !== '' && number(flags) < 256)
    return { flags: number(flags), tag, value }
  },
  SOA: text => {
    const [mname = '', rname = '', ...numbers] = words(text, 7)
    const [serial = 0, refresh = 0, retry = 0, expire = 0, minimum = 0] = numbers.map(number)
    return {
      mname: canonicalName(mname),
      rname: canonicalName(rname),
      serial,
      refresh,
      retry,
      expire,
      minimum,
    }
  },
}

const FORMATTERS: Formatters = {
  A: text => text,
  AAAA: text => text,
  CNAME: text => text,
  NS: text => text,
  PTR: text => text,
  TXT: txtText,
  MX: mx => `${mx.preference} ${mx.exchange}`,
  SRV: srv => `${srv.priority} ${srv.weight} ${srv.port} ${srv.target}`,
  TLSA: tlsa => {
    const certificate = Buffer.from(tlsa.certificate).toString('hex')
    return `${tlsa.usage} ${tlsa.selector} ${tlsa.matchingType} ${certificate}`
  },
  CAA: caa => `${caa.flags} ${caa.tag} "${caa.value}"`,
  SOA: soa =>
    [soa.mname, soa.rname, soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum].map(String).join(' '),
}

/** @throws RangeError, NameError */
export function parseData<T extends RecordType>(type: T, text: string): KnownData[T] {
  return PARSERS[type](text)
}

/** `null`: empty, or of a type that is not in the table. */
export function formatData(record: ResourceRecord): { type: RecordType; data: string } | null {
  const { type, data } = record
  if (data === null || !Object.hasOwn(FORMATTERS, type)) return null
  const format = FORMATTERS[type as RecordType] as (data: unknown) => string
  return { type: type as RecordType, data: format(data) }
}

function words(text: string, count: number): string[] {
  const found = text.trim().split(/\s+/)
  checked(text, found.length === count)
  return found
}

function number(text: string): number {
  return Number(checked(text, /^[0-9]{1,10}$/.test(text)))
}

function checked(text: string, isGood: boolean): string {
  if (!isGood) throw new RangeError(`'${text}' is not the data of such a record`)
  return text
}
