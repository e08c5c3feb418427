#!/usr/bin/env node
/** The command `omendb-server`; see command.ts. */

import { runCommand } from './core.js'

void runCommand(process.argv.slice(2))
