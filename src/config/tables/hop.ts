/** [hop], and what each service has for its neighbours. */

import * as z from 'zod'
import { type Base, pathFrom } from '../field.ts'

/** The SAN of a hop certificate. */
export function hopName(role: string): string {
  return `${role}.ptt.internal`
}

export function hopTable({ folder }: Base) {
  return z.object({
    ca: pathFrom(folder).prefault('hop/ca.pem').describe('The CA that signed the certificates of all three.'),
  })
}

/** The pair `role` shows its neighbours. */
export function hopPair(role: string, { folder }: Base) {
  return {
    hopCertificate: pathFrom(folder)
      .prefault(`hop/${role}.pem`)
      .describe(`The certificate ${role} shows to its neighbours; its name is ${hopName(role)}.`),
    hopKey: pathFrom(folder)
      .prefault(`hop/${role}.key`)
      .describe('Its private key: readable by the service only.'),
  }
}
