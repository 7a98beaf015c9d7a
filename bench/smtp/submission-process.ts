/** The process of `submission.ts`: `node submission-process.ts <ptt.toml>`. */

import { loadConfig } from '../../src/config/load.ts'
import { silent } from '../../src/observe/event.ts'
import { startSubmission } from '../../src/submission/service.ts'

const service = await startSubmission(loadConfig(process.argv[2] ?? ''), silent)
process.send?.(service.port)
