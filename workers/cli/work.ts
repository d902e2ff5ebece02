// `mlm work`: offers commands as services. This file says how it is called; what
// it does stands in run-work.ts, which is loaded only where it is called.
import { BROKER_OPTIONS, type BrokerArguments } from '../../client/commands/shared/arguments.js';
import type { Command } from '../../client/commands/shared/command.js';
import { usageError } from '../../client/commands/shared/failure.js';
import { JSON_OPTION } from '../../client/commands/shared/show.js';

export interface WorkArguments extends BrokerArguments {
  readonly service?: string;
  readonly command?: readonly string[];
  readonly config?: string;
  readonly check?: boolean;
  readonly json?: boolean;
  readonly address?: string;
  readonly drain?: string;
  readonly pattern?: string;
  readonly capacity?: string;
  readonly label?: readonly string[];
  readonly cache?: string;
  readonly cacheAge?: string;
  readonly input?: string;
  readonly inputFile?: readonly string[];
  readonly output?: string;
  readonly outputFile?: readonly string[];
  readonly outputMax?: string;
  readonly progress?: string;
  readonly timeLimit?: string;
  readonly memoryLimit?: string;
  readonly grace?: string;
  readonly folder?: string;
  readonly env?: readonly string[];
  readonly exitCode?: readonly string[];
  readonly persistent?: boolean;
  readonly startLimit?: string;
  readonly readyLabel?: readonly string[];
}

type CommandOption = Command<WorkArguments>['options'][string];

/** An option that is given once. */
function text(name: string, describe: string): CommandOption {
  const coerce = (given: unknown): unknown => {
    if (Array.isArray(given)) throw usageError(`--${name}: give it once`);
    return given;
  };
  return { type: 'string', requiresArg: true, coerce, describe };
}

/** An option that may be given several times. */
function texts(describe: string): CommandOption {
  const coerce = (given: unknown): unknown =>
    given === undefined || Array.isArray(given) ? given : [given];
  return { type: 'string', requiresArg: true, coerce, describe };
}

export const workCommand: Command<WorkArguments> = {
  name: 'work',
  takes: '[service] [command..]',
  about: 'Offer commands as services',
  details:
    'It runs a command for each request: those of a configuration, or the one behind --. The body of\n' +
    'a request is its standard input and its standard output the reply, unless said. Arguments may\n' +
    'have {{subject}}, {{body}}, {{body.FIELD}} and {{folder}} in them; ./ is this folder.\n' +
    'SIGTERM and Ctrl-C let what runs finish.',
  examples: [
    ['upper -- tr a-z A-Z', 'a service that makes text large'],
    ['words --output json -- wc -w', 'one whose reply is a number'],
    ['speak --output-file out.wav -- espeak-ng --stdin -w out.wav', 'one that makes a file'],
    ['--config workers.yaml', 'all services of a configuration'],
    ['--config workers.yaml --check', 'what would be offered, and what is wrong'],
  ],
  positionals: { service: 'the service', command: 'the program, then its arguments' },
  options: {
    config: { ...text('config', 'a file of services: workers.yaml'), alias: 'c' },
    check: { type: 'boolean', describe: 'show what would be offered, and offer nothing' },
    json: { ...JSON_OPTION, describe: 'with --check: print JSON' },
    input: text('input', 'standard input: json, text, binary, body.FIELD, frame N, none'),
    'input-file': texts('a file for the command, NAME=SOURCE, as picture.png=body.picture'),
    output: text('output', 'the reply: binary, text, json, lines, jsonl or none'),
    'output-file': texts('a file that is the reply, by its name or with * in it'),
    'output-max': text('output-max', 'the largest reply, as 1MiB; 64MiB unless said'),
    progress: text('progress', 'where it is told: stderr (unless said), stdout, percent, none'),
    pattern: text('pattern', 'the subjects to take, a regular expression; all unless said'),
    capacity: text('capacity', 'how many requests at the same time; 1 unless said'),
    label: texts('what this worker says of itself, NAME=VALUE'),
    cache: text('cache', 'keep results under this version, and use them again'),
    'cache-age': text('cache-age', 'with --cache: how old they may be, as 1h; any age unless said'),
    'time-limit': text('time-limit', 'how long a request may take, as 90s or 5min'),
    'memory-limit': text('memory-limit', 'how much memory a process may take, as 4GiB (Linux)'),
    grace: text('grace', 'how long the command may take to end after SIGTERM; 5s unless said'),
    folder: text('folder', 'where the command runs; a folder of each request unless said'),
    env: texts('a variable of the command: NAME passes it on, NAME=VALUE sets it'),
    'exit-code': texts('what a status means, STATUS=MEANING, as 3=bad-input'),
    persistent: { type: 'boolean', describe: 'keep one process, and feed it JSON lines' },
    'start-limit': text('start-limit', 'with --persistent: wait so long for {"ready": true}'),
    'ready-label': texts('with --start-limit: what it says of itself while it is ready'),
    address: text('address', 'the address of this process [MLM_ADDRESS]'),
    drain: text('drain', 'how long to let requests finish at the end; 7s unless said'),
    ...BROKER_OPTIONS,
  },
  run: async (given, context) => (await import('./run-work.js')).runWork(given, context),
};
