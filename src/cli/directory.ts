/** `ptt directory`: what is in force and why, and what a change would do. */

import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { Command } from 'commander'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { Clone } from '../directory/clone.ts'
import { explain } from '../directory/explain.ts'
import { EditError, fetchHead, inPassingClone, type RepositoryOptions } from '../directory/passing-clone.ts'
import { plan } from '../directory/plan.ts'
import { parseRemote } from '../directory/remote.ts'
import { status } from '../directory/status.ts'
import { formatPath, parseReversePath, type ReversePath } from '../smtp/path.ts'
import { formatExplanation, formatPlan, formatStatus } from './directory-format.ts'
import { importCommand } from './directory-import.ts'
import { type ConfigOption, configOption } from './options.ts'
import { shortCommit } from './repository.ts'

interface JsonOption extends ConfigOption {
  readonly json?: true
}

interface ExplainOptions extends JsonOption {
  readonly from: string
}

interface PlanOptions extends JsonOption {
  readonly base?: string
  readonly repository?: string
  readonly domain?: string
}

export function directoryCommand(): Command {
  return new Command('directory')
    .description('what of the repository of users is in force, and why')
    .addCommand(statusCommand())
    .addCommand(explainCommand())
    .addCommand(planCommand())
    .addCommand(importCommand())
    .addCommand(acceptCommand())
    .addHelpText(
      'after',
      `
Examples:
  ptt directory status                                which commit is in force, and what is refused
  ptt directory explain alice --from sales@example.com
  ptt directory plan add-carol                        what a branch would change; for CI`,
    )
}

function statusCommand(): Command {
  return new Command('status')
    .description('which commit is in force, since when, and what is refused and why')
    .option('--json', 'as JSON')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
Reads the clones of the services of this machine, and the repository, as they are; changes nothing.
Exit status: 0 the head of the repository is in force or will be, 1 it is refused or cannot be reached.

Examples:
  ptt directory status
  ptt directory status --json | jq .head.kind`,
    )
    .action(async ({ config: file, json }: JsonOption) => {
      const config = loadConfig(file)
      const options = { ...repositoryOf(config), ...config.directory, clones: clonesOf(config) }
      const found = await status(options)
      print(json, found, formatStatus(found))
      process.exitCode = found.head.kind === 'in force' || found.head.kind === 'waiting' ? 0 : 1
    })
}

function explainCommand(): Command {
  return new Command('explain')
    .description('whether a user may send as somebody: the rule, file, line and commit that decide')
    .argument('<name>', 'alice, of the domain of the configuration, or alice@example.com')
    .requiredOption('--from <address>', 'the reverse-path; <> is the null one')
    .option('--json', 'as JSON')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
Asks the commit that is in force; where no service was started yet, the head of the repository.
Exit status: 0 the user may, 1 may not.

Example:
  ptt directory explain alice --from sales@example.com`,
    )
    .action(async (name: string, { from, config: file, json }: ExplainOptions) => {
      const config = loadConfig(file)
      const reversePath = reversePathOf(from)
      const found = await atCommitInForce(config, (clone, commit) =>
        explain(clone, commit, config.domain, name, reversePath),
      )
      print(json, found, formatExplanation(found, formatPath(reversePath)))
      process.exitCode = found.allowed ? 0 : 1
    })
}

function planCommand(): Command {
  return new Command('plan')
    .description('what a branch would change once it is merged, and what is wrong with it')
    .argument('<branch>', 'a branch of the repository')
    .option(
      '--base <branch>',
      'what it will be merged into (default: the branch of the configuration, or main)',
    )
    .option('--repository <where>', 'another repository than the one of the configuration')
    .option('--domain <domain>', 'with --repository: the domain, so that no configuration is read')
    .option('--json', 'as JSON')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
Exit status, for CI: 0 nothing is wrong, 1 it cannot be in force, 2 nobody knows: no such branch, or out of reach.

Examples:
  ptt directory plan add-carol
  ptt directory plan add-carol --repository . --domain example.com --json`,
    )
    .action(async (branch: string, { json, ...where }: PlanOptions) => {
      try {
        const found = await plan(planned(where), branch)
        print(json, found, formatPlan(found, branch))
        process.exitCode = found.problems.length > 0 ? 1 : 0
      } catch (error) {
        if (!(error instanceof EditError)) throw error
        process.stderr.write(`ptt directory plan: ${error.message}\n`)
        process.exitCode = 2
      }
    })
}

function acceptCommand(): Command {
  return new Command('accept')
    .description('agree to a history that was rewritten on purpose, once')
    .argument('<commit>', 'its head, as the log and ptt directory status name it')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
The services of this machine take it over when they next look at the repository.

Examples:
  ptt directory status                the head that was refused
  ptt directory accept 0123456789ab`,
    )
    .action(async (commit: string, { config: file }: ConfigOption) => {
      const config = loadConfig(file)
      const { branch, repository } = config.directory
      let seen: string | null = null
      const accepted: string[] = []
      for (const [service, folder] of Object.entries(clonesOf(config))) {
        const clone = await Clone.look(resolve(folder), { remote: parseRemote(repository), branch })
        const head = (await clone?.references.resolve('seen'))?.commit
        seen = head ?? seen
        if (clone === null || commit.length < 7 || !head?.startsWith(commit.toLowerCase())) continue
        await clone.references.accept(head)
        accepted.push(service)
      }
      if (accepted.length === 0)
        throw new Error(
          `${commit} is not what the services saw last${seen === null ? '' : `, ${seen}`}: see ptt directory status`,
        )
      console.log(
        `${shortCommit(commit)} is in force for ${accepted.join(', ')} at the next look, unless something else is wrong.`,
      )
    })
}

/** A service that runs on another machine has none here. */
function clonesOf({ submission, signer, relay }: Config): Record<string, string> {
  return { submission: submission.clone, signer: signer.clone, relay: relay.clone }
}

function repositoryOf({ directory, domain }: Config): RepositoryOptions {
  return { repository: directory.repository, branch: directory.branch, domain, temporary: tmpdir() }
}

function planned({ config, base, repository, domain }: Omit<PlanOptions, 'json'>): RepositoryOptions {
  const configured =
    repository !== undefined && domain !== undefined
      ? { repository, branch: 'main', domain, temporary: tmpdir() }
      : repositoryOf(loadConfig(config))
  return {
    ...configured,
    ...(base === undefined ? {} : { branch: base }),
    ...(repository === undefined ? {} : { repository }),
    ...(domain === undefined ? {} : { domain }),
  }
}

/** The clone of the service, or one that is made to look at the repository. */
async function atCommitInForce<Result>(
  config: Config,
  use: (clone: Clone, commit: string) => Promise<Result>,
): Promise<Result> {
  const options = repositoryOf(config)
  const { repository, branch } = options
  const clone = await Clone.look(resolve(config.submission.clone), {
    remote: parseRemote(repository),
    branch,
  })
  const commit = (await clone?.good()) ?? null
  if (clone !== null && commit !== null) return use(clone, commit)
  return inPassingClone(options, async passing => {
    const head = await fetchHead(passing)
    if (head === null) throw new Error(`${repository} is empty`)
    return use(passing, head)
  })
}

function reversePathOf(text: string): ReversePath {
  return parseReversePath(/^<.*>$/.test(text) ? text : `<${text}>`, { utf8: true })
}

function print(json: true | undefined, value: unknown, text: string): void {
  process.stdout.write(json ? `${JSON.stringify(value, null, 2)}\n` : text)
}
