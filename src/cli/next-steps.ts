/** What `ptt init` says at its end: what is left to do, ready to be pasted. */

import { dirname, relative } from 'node:path'
import { nearPath } from '../config/load.ts'
import type { Deployment } from './init.ts'

export function nextSteps({ file, config, tsigKey, authorityKey, user }: Deployment): string {
  const { domain, submission, signer, hop, postmaster } = config
  const near = (path: string) => relative(dirname(file), path)
  const option = nearPath(file) === 'ptt.toml' ? '' : ` -c ${nearPath(file)}`
  return `
1. Let the signer publish its DKIM keys, and replace them in time. On the primary DNS server of ${signer.zone}, for BIND:

${indent(bindSnippet(signer.zone, tsigKey, domain))}

   or for Knot:

${indent(knotSnippet(signer.zone, tsigKey, domain))}

   and write the server's address as "primary" below [signer] in ptt.toml.

2. Publish what other mail servers look for, for the address of this machine:

   ${submission.hostname}.  A  192.0.2.1
   ${domain}.  TXT  "v=spf1 a:${submission.hostname} -all"
   _dmarc.${domain}.  TXT  "v=DMARC1; p=none; rua=mailto:${postmaster}"
   _submissions._tcp.${domain}.  SRV  0 1 465 ${submission.hostname}.

   and have the reverse of the address point to ${submission.hostname}.

3. ${near(submission.certificate)} is good for a trial: mail programs must be told to trust ${near(hop.ca)}. Put a certificate
   of a public CA for ${submission.hostname} in its place, and its key in ${near(submission.key)}; or write [certificate] in ptt.toml,
   and \`ptt up\` gets one and the next ones (docs/certificates.md).

4. Keep ${near(authorityKey)} safe, away from the services if you can: only \`ptt init --renew-hops\` needs it.

5. ptt config check${option} && ptt up${option}
${user === undefined ? `\nThere is no user yet: ptt user add --help tells how to make one.\n` : ''}`
}

/** Allows the key one type below one name: where the public keys of the domain are. */
export function bindSnippet(zone: string, key: Deployment['tsigKey'], domain: string): string {
  return `key "${key.name}" {
    algorithm ${key.algorithm};
    secret "${Buffer.from(key.secret).toString('base64')}";
};
zone "${zone}" {
    # beside what is there already:
    update-policy { grant ${key.name} subdomain _domainkey.${domain} TXT; };
};`
}

export function knotSnippet(zone: string, key: Deployment['tsigKey'], domain: string): string {
  return `key:
  - id: ${key.name}
    algorithm: ${key.algorithm}
    secret: ${Buffer.from(key.secret).toString('base64')}
acl:
  - id: ptt
    key: ${key.name}
    action: update
    update-type: TXT
    update-owner: name
    update-owner-match: sub-or-equal
    update-owner-name: _domainkey.${domain}.
zone:
  - domain: ${zone}
    # beside what is there already:
    acl: ptt`
}

function indent(text: string): string {
  return text.replace(/^/gm, '   ')
}
