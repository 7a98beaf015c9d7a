/** [limits]: how long the parts of SMTP may be, RFC 5321 §4.5.3.1. */

import * as z from 'zod'
import { text } from '../field.ts'
import * as kind from '../value.ts'

/** RFC 5321 §4.5.3.1.3 and §4.5.3.1.4: a command line of 512 octets holds a path of 256, and what stands around it. */
const COMMAND_AROUND_PATH_OCTETS = 512 - 256

/** Of submission, but the last, which is of the relay. The hops take whatever can be set here. */
export function limitsTable() {
  return z
    .object({
      localPartOctets: octets(64, 256, '1', 'local-parts').describe(
        'The local-part of an address (RFC 5321 §4.5.3.1.1). Many servers take no more than 64 B.',
      ),
      domainOctets: octets(255, 512, '2', 'domains').describe(
        'The domain of an address, as it is written (RFC 5321 §4.5.3.1.2). In DNS, as A-labels, it has 255 octets at most.',
      ),
      pathOctets: octets(256, 1024, '3', 'paths').describe(
        'The address with its < and > (RFC 5321 §4.5.3.1.3).',
      ),
      commandLineOctets: octets(512, 16_384, '4', 'command lines').describe(
        'A command, before what extensions add to it (RFC 5321 §4.5.3.1.4).',
      ),
      textLineOctets: octets(1000, 1_048_576, '6', 'lines of text').describe(
        'A line of a message (RFC 5321 §4.5.3.1.6). Longer ones are broken by some servers, and the signature with them.',
      ),
      replyLineOctets: octets(512, 65_536, '5', 'reply lines', 4096).describe(
        "A line of another mail server's reply, for the relay (RFC 5321 §4.5.3.1.5). One that says more is not understood.",
      ),
    })
    .superRefine(({ pathOctets, commandLineOctets }, context) => {
      const least = pathOctets + COMMAND_AROUND_PATH_OCTETS
      if (commandLineOctets >= least) return
      context.addIssue({
        code: 'custom',
        path: ['commandLineOctets'],
        message: `${commandLineOctets} B cannot hold a path of ${pathOctets} B and the command around it: write "${least} B" or more`,
      })
    })
}

/** @param section of RFC 5321 §4.5.3.1 that says `least` */
function octets(least: number, most: number, section: string, what: string, usual = least) {
  return text({
    noun: `a size of ${least} B to ${most} B`,
    write: `RFC 5321 §4.5.3.1.${section} has everybody take ${what} of ${least} octets, so write "${least} B" or more`,
    parse(written) {
      const size = kind.size.parse(written)
      return size !== undefined && size >= least && size <= most ? size : undefined
    },
  }).prefault(`${usual} B`)
}
