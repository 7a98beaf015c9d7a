/** Header sections and addresses. */

import { authorsOf, parseAddressList } from '../../src/message/address.ts'
import { formatDate, parseDate } from '../../src/message/date.ts'
import { endOfHeader, fieldBody, fieldsNamed, parseHeader } from '../../src/message/header.ts'
import { mintId } from '../../src/message/id.ts'
import { formatReceived } from '../../src/message/received.ts'
import { headerSection } from '../../src/message/section.ts'
import { mails } from './mail.ts'
import { inTurn, type Operation, type Room, seeded } from './measure.ts'

const NOW_MS = 1_763_720_430_000

export const message: Room = { name: 'message', operations }

function operations(): Operation[] {
  const all = mails(64)
  const headers = all.map(({ header }) => parseHeader(header))
  const bodiesOf = (name: string) => headers.flatMap(header => fieldsNamed(header, name).map(fieldBody))
  const fields = headers.flat()
  const dates = Array.from({ length: 64 }, (_, at) =>
    formatDate(NOW_MS + at * 86_399_000, at % 2 === 0 ? 0 : 60),
  )
  const random = seeded(3)
  const octets = Uint8Array.from({ length: 10 }, () => Math.floor(random() * 256))
  const stamp = {
    from: 'client.example.com',
    address: '192.0.2.7',
    by: 'mail.example.com',
    protocol: 'ESMTPSA',
    id: mintId(NOW_MS, octets),
    dateMs: NOW_MS,
  }
  return [
    { name: 'end of the header section', octets: 4096, run: inTurn(all, each => endOfHeader(each.octets)) },
    { name: 'header section of a message', run: inTurn(all, each => headerSection([each.octets])) },
    {
      name: 'header, parsed',
      octets: mean(all.map(each => each.header.length)),
      run: inTurn(all, each => parseHeader(each.header)),
    },
    { name: 'body of a field', run: inTurn(fields, fieldBody) },
    { name: 'address list From', run: inTurn(bodiesOf('From'), text => parseAddressList(text)) },
    { name: 'address list To', run: inTurn(bodiesOf('To'), text => parseAddressList(text)) },
    { name: 'authors of a header', run: inTurn(headers, authorsOf) },
    { name: 'date, parsed', run: inTurn(dates, parseDate) },
    { name: 'date, written', run: inTurn(fields, () => formatDate(NOW_MS)) },
    { name: 'id, minted', run: () => mintId(NOW_MS, octets) },
    { name: 'Received, written', run: () => formatReceived(stamp) },
  ]
}

function mean(numbers: readonly number[]): number {
  return Math.round(numbers.reduce((sum, number) => sum + number, 0) / numbers.length)
}
