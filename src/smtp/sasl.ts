/**
 * SASL (RFC 4422) as SMTP carries it (RFC 4954 §4): the mechanisms there are, by name. Each is a file of `sasl/`.
 */

import { externalServer } from './sasl/external.ts'
import { loginClient, loginServer } from './sasl/login.ts'
import type {
  ClientContext,
  ClientCredentials,
  ClientMechanism,
  ServerContext,
  ServerMechanism,
} from './sasl/mechanism.ts'
import { oauthbearerServer, xoauth2Server } from './sasl/oauth.ts'
import { plainClient, plainServer } from './sasl/plain.ts'
import { ScramClient } from './sasl/scram-client.ts'
import { ScramServer } from './sasl/scram-server.ts'

export { decodeBase64, encodeBase64 } from './sasl/base64.ts'
export type {
  ChannelBinding,
  ClientContext,
  ClientCredentials,
  ClientMechanism,
  Credentials,
  PasswordCredentials,
  SaslOptions,
  ServerContext,
  ServerMechanism,
  ServerStep,
} from './sasl/mechanism.ts'
export type { ScramClientCrypto, ScramCrypto, ScramHash, ScramKeys, ScramVerifier } from './sasl/scram.ts'

type ServerFactory = (context: ServerContext) => ServerMechanism
type ClientFactory = (credentials: ClientCredentials, context: ClientContext) => ClientMechanism

/** By name in upper case, as AUTH and EHLO have it. */
export const SERVER_MECHANISMS: ReadonlyMap<string, ServerFactory> = new Map<string, ServerFactory>([
  ['SCRAM-SHA-256-PLUS', context => new ScramServer('SHA-256', 'plus', context)],
  ['SCRAM-SHA-256', context => new ScramServer('SHA-256', 'plain', context)],
  ['SCRAM-SHA-1-PLUS', context => new ScramServer('SHA-1', 'plus', context)],
  ['SCRAM-SHA-1', context => new ScramServer('SHA-1', 'plain', context)],
  ['OAUTHBEARER', oauthbearerServer],
  ['XOAUTH2', xoauth2Server],
  ['EXTERNAL', externalServer],
  ['PLAIN', plainServer],
  ['LOGIN', loginServer],
])

export const CLIENT_MECHANISMS: ReadonlyMap<string, ClientFactory> = new Map<string, ClientFactory>([
  ['SCRAM-SHA-256-PLUS', (shown, context) => new ScramClient('SHA-256', 'plus', shown, context)],
  ['SCRAM-SHA-256', (shown, context) => new ScramClient('SHA-256', 'plain', shown, context)],
  ['PLAIN', plainClient],
  ['LOGIN', loginClient],
])
