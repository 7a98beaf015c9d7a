/** `ptt image`: a service as an operating system of its own. */

import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Argument, Command } from 'commander'
import type { BuildOptions, Built } from '../image/build.ts'
import { SERVICES, type Service } from '../image/settings.ts'
import { bootCommand } from './image-boot.ts'
import { print } from './print.ts'
import { version } from './version.ts'

export function imageCommand(): Command {
  return new Command('image')
    .description('build a service as an image that boots: a kernel, init, Node and the service')
    .addCommand(buildCommand())
    .addCommand(bootCommand(), { hidden: true })
    .addHelpText(
      'after',
      `
Examples:
  ptt image build relay                  the kernel, the initramfs and disks that boot, in ./image
  ptt image build signer --output /srv`,
    )
}

interface Options {
  readonly output: string
  readonly cache: string
  readonly disks: boolean
  readonly vmlinux: boolean
}

function buildCommand(): Command {
  return new Command('build')
    .description('build the image of one service')
    .addArgument(new Argument('<service>', 'which').choices(SERVICES))
    .option('-o, --output <dir>', 'where the files go', 'image')
    .option('--cache <dir>', 'where Debian packages are kept between builds', cacheFolder())
    .option('--no-disks', 'the kernel and the initramfs only')
    .option('--vmlinux', 'the kernel as an ELF file too, 50 MB: what Firecracker takes', false)
    .addHelpText(
      'after',
      `
Made of Debian packages, which apt fetches and nothing installs. The same packages give the same octets.

Examples:
  ptt image build relay
  ptt image build submission -o /srv/images`,
    )
    .action(async (service: Service, { output, cache, ...more }: Options) => {
      const built = await build({ service, output: resolve(output), cache: resolve(cache), ...more })
      await print(
        `${[built.kernel, ...(built.vmlinux === undefined ? [] : [built.vmlinux]), built.initrd, ...built.disks, built.sbom].join('\n')}\n`,
      )
    })
}

/** With the bundle that ptt was installed with, or one that is made of the sources. */
export async function build(
  options: Omit<BuildOptions, 'bundle' | 'init' | 'node' | 'version'> & { readonly bundle?: string },
): Promise<Built> {
  const root = join(import.meta.dirname, '../..')
  const init = join(root, 'image/init')
  if (!existsSync(init))
    throw new Error(
      'this ptt has no sources of init beside it: build images from a clone, or with ptt as npm installs it',
    )
  // A machine that boots has this file too, and builds nothing.
  const { buildImage } = await import('../image/build.ts')
  const make = (bundle: string) =>
    buildImage({ ...options, bundle, init, node: process.execPath, version: version() })
  const script = join(root, 'scripts/build-bundle.mjs')
  if (options.bundle !== undefined) return make(options.bundle)
  if (!existsSync(script)) return make(join(root, 'dist/bundle'))
  mkdirSync(options.cache, { recursive: true })
  // Of its own: two builds at a time may share the cache.
  const bundle = mkdtempSync(join(options.cache, 'bundle-'))
  try {
    await (await import(pathToFileURL(script).href)).buildBundle(bundle)
    return make(bundle)
  } finally {
    rmSync(bundle, { recursive: true, force: true })
  }
}

function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'ptt-image')
}
