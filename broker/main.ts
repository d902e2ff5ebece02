#!/usr/bin/env node
// The executable `mlm-broker`; everything it does stands in command.ts.
import { main } from './command.js';

await main(process.argv);
