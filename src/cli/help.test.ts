import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Command } from 'commander'
import { programFor } from './main.ts'

function helpOf(command: Command): string {
  let said = ''
  command.configureOutput({
    writeOut: text => {
      said += text
    },
  })
  command.outputHelp()
  return said
}

/** A command and all below it. */
function all(command: Command): Command[] {
  return [command, ...command.commands.flatMap(all)]
}

function nameOf(command: Command): string {
  const { parent } = command
  return parent === null ? command.name() : `${nameOf(parent)} ${command.name()}`
}

for (const command of all(await programFor(undefined))) {
  const name = nameOf(command)
  test(`${name} --help has examples of it`, () => {
    const [, examples] = helpOf(command).split(/\n *Examples?:\n/)
    assert.ok(examples, 'there are none')
    assert.match(examples, new RegExp(`\\b${name}( |$)`, 'm'))
  })
}
