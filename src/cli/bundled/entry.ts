/** Where ptt begins when it is one script (scripts/build-bundle.mjs). */

import { main } from '../main.ts'

void main(process.argv)
