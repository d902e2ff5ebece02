#!/usr/bin/env node
// The executable `mlm`: the list of all commands, and the one file of the
// project that may reach into every room. What a command does stands in its own
// file; the broker's is loaded only where it is called.
import { hideBin } from 'yargs/helpers';
import type { brokerCommand as broker } from '../../broker/command.js';
import { pipelineCommand, runCommand } from '../../workers/cli/pipeline.js';
import { workCommand } from '../../workers/cli/work.js';
import { cursorCommand } from './cursor.js';
import { deadCommand } from './dead.js';
import { inboxCommand } from './inbox.js';
import { jobCommand } from './job.js';
import { listCommand } from './ls.js';
import { mailCommand } from './mail.js';
import { pingCommand } from './ping.js';
import { replayCommand } from './replay.js';
import { requestCommand } from './request.js';
import { sendCommand } from './send.js';
import { entry, runProgram } from './shared/program.js';
import { statsCommand } from './stats.js';
import { streamCommand } from './stream.js';
import { tailCommand } from './tail.js';
import { topCommand } from './top.js';

type BrokerCommand = typeof broker;

const loadBroker = async (): Promise<BrokerCommand> =>
  (await import('../../broker/command.js')).brokerCommand;

/** `mlm broker`, without what it needs until it is called. */
const brokerCommand: BrokerCommand = {
  command: 'broker',
  describe: 'Start a broker',
  builder: async (parser) => {
    const { builder } = await loadBroker();
    return typeof builder === 'function' ? builder(parser) : parser;
  },
  handler: async (given) => (await loadBroker()).handler(given),
};

await runProgram(
  {
    name: 'mlm',
    about: 'Malamute messaging from a terminal: streams, mail and services of a broker.',
    examples: [
      ['$0 broker', 'start a broker on tcp://127.0.0.1:9999'],
      ['$0 tail greetings', 'follow a stream, in another terminal'],
      ['$0 send greetings hello.world "it works"', 'send to it, in a third'],
    ],
    commands: [
      entry(tailCommand),
      entry(replayCommand),
      entry(sendCommand),
      entry(mailCommand),
      entry(inboxCommand),
      entry(requestCommand),
      entry(jobCommand),
      entry(runCommand),
      entry(pipelineCommand),
      entry(workCommand),
      entry(listCommand),
      entry(statsCommand),
      entry(topCommand),
      entry(streamCommand),
      entry(cursorCommand),
      entry(deadCommand),
      entry(pingCommand),
    ],
    others: { broker: brokerCommand },
  },
  hideBin(process.argv),
);
