/** The options that several commands have. */

import { Option } from 'commander'

export interface ConfigOption {
  readonly config: string
}

/** `-c, --config FILE`: each command that reads the configuration has it. */
export function configOption(): Option {
  return new Option('-c, --config <file>', 'the configuration').env('PTT_CONFIG').default('ptt.toml')
}

export function verboseOption(): Option {
  return new Option('-v, --verbose', 'log connections and other details too')
}
