#!/usr/bin/env node
// The executable `mlm-tail`: the command `mlm tail` by itself.
import { hideBin } from 'yargs/helpers';
import { entry, runProgram } from './shared/program.js';
import { tailCommand } from './tail.js';

await runProgram(
  { name: 'mlm-tail', about: tailCommand.about, commands: entry(tailCommand) },
  hideBin(process.argv),
);
