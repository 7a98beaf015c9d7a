/** What is inside an image, as CycloneDX 1.5 (ECMA-424): ptt, Node, the npm packages of the bundle, and Debian's packages. */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { Package } from './debian.ts'

/** A line of the bundle's packages.json. */
export interface BundledPackage {
  readonly name: string
  readonly version: string
  readonly license: string
}

export interface Contents {
  readonly service: string
  readonly version: string
  /** Of Node, without its v. */
  readonly nodeVersion: string
  readonly bundled: readonly BundledPackage[]
  readonly packages: readonly Package[]
  /** The files of the image. */
  readonly files: readonly string[]
}

interface Component {
  readonly type: 'application' | 'library' | 'operating-system' | 'file'
  readonly name: string
  readonly version?: string
  readonly 'bom-ref'?: string
  readonly purl?: string
  readonly licenses?: readonly unknown[]
  readonly hashes?: readonly { readonly alg: 'SHA-256'; readonly content: string }[]
}

/** The same contents give the same text: there is no time in it, and no number made for the occasion. */
export function formatSbom(contents: Contents): string {
  const { service, version, nodeVersion, bundled, packages, files } = contents
  const ours: Component = {
    type: 'application',
    name: 'ptt',
    version,
    'bom-ref': `pkg:npm/ptt@${version}`,
    purl: `pkg:npm/ptt@${version}`,
    licenses: [{ license: { id: 'MIT' } }],
  }
  const components: Component[] = [
    ours,
    component('application', 'node', nodeVersion, `pkg:generic/node@${nodeVersion}`),
    ...bundled
      .filter(({ name }) => name !== 'ptt')
      .map(({ name, version, license }) => ({
        ...component('library', name, version, `pkg:npm/${name.replace('@', '%40')}@${version}`),
        licenses: [{ expression: license }],
      })),
    ...packages.map(debian => ({
      ...component(
        debian.name.startsWith('linux-image') ? 'operating-system' : 'library',
        debian.name,
        debian.version,
        purlOf(debian),
      ),
      hashes: [{ alg: 'SHA-256' as const, content: debian.sha256 }],
    })),
    ...files.map(
      (path): Component => ({
        type: 'file',
        name: basename(path),
        hashes: [{ alg: 'SHA-256', content: createHash('sha256').update(readFileSync(path)).digest('hex') }],
      }),
    ),
  ]
  const sbom = {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: { component: { type: 'operating-system', name: `ptt-${service}`, version } },
    components,
  }
  return `${JSON.stringify(sbom, null, 2)}\n`
}

function component(type: Component['type'], name: string, version: string, purl: string): Component {
  return { type, name, version, 'bom-ref': purl, purl }
}

/** Package URLs have no + and : of their own (purl-spec). */
function purlOf({ name, version, architecture }: Package): string {
  return `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${architecture}`
}
