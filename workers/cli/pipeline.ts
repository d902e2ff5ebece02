// `mlm run` and `mlm pipeline`: how they are called. What they do is loaded only when
// they are called, since the other commands need none of it.
import { BROKER_OPTIONS, type BrokerArguments } from '../../client/commands/shared/arguments.js';
import type { Command } from '../../client/commands/shared/command.js';

/** How a run is to be shown. */
export interface ShowArguments {
  readonly out?: string;
  readonly json?: boolean;
}

export interface RunArguments extends BrokerArguments, ShowArguments {
  readonly file: string;
  readonly values?: readonly string[];
  readonly input?: string | readonly string[];
  readonly detach?: boolean;
}

export interface PipelineArguments extends BrokerArguments, ShowArguments {
  readonly action: string;
  readonly what?: string;
  readonly svg?: string;
  readonly capacity?: string;
  readonly detach?: boolean;
}

/** The options of commands that follow a run to its end. */
const SHOW_OPTIONS = {
  out: {
    type: 'string',
    alias: 'o',
    requiresArg: true,
    describe: 'write the results to files of this folder',
  },
  json: { type: 'boolean', describe: 'print what came of it as one JSON object' },
} as const;

export const runCommand: Command<RunArguments> = {
  name: 'run',
  takes: '<file> [values..]',
  about: 'Run a pipeline and show what it gives',
  details:
    'The pipeline is checked first. Where no orchestrator is there ("mlm pipeline serve"), this command\n' +
    'is one for its own run. Ctrl-C cancels the run, and the jobs that it has under way. How far it is\n' +
    'goes to standard error, what it gives to standard output.',
  examples: [
    ['studio.yaml photo.jpg', 'the first input is the file photo.jpg'],
    ['studio.yaml -i photo=@photo.jpg -i voice=en -o made', 'inputs by name, results as files'],
    ['studio.yaml photo.jpg --detach', 'prints the id of the run and leaves it alone'],
  ],
  positionals: {
    file: 'the file of the pipeline',
    values: 'inputs in the order of the pipeline; paths for those that are files',
  },
  options: {
    input: {
      type: 'string',
      alias: 'i',
      requiresArg: true,
      describe: 'an input: name=value, or name=@file for what is in a file; as often as needed',
    },
    ...SHOW_OPTIONS,
    detach: { type: 'boolean', describe: 'print the id of the run and do not wait for it' },
    ...BROKER_OPTIONS,
  },
  run: async (given, context) => (await import('./pipeline-run.js')).run(given, context),
};

export const pipelineCommand: Command<PipelineArguments> = {
  name: 'pipeline',
  takes: '<action> [what]',
  about: 'List, show, draw, cancel and resume runs of pipelines',
  details:
    '"mlm run" begins a run. An orchestrator ("serve") holds runs; when it ends, another one goes on\n' +
    'with them, and what was done is not done again.',
  examples: [
    ['ls', 'all runs'],
    ['show studio.yaml --svg studio.svg', 'check a pipeline and draw it'],
    ['show studio-4f0c21aa93', 'how a run is'],
    ['resume studio-4f0c21aa93', 'try again what failed or was cancelled'],
    ['cancel studio-4f0c21aa93', 'end a run and its jobs'],
    ['serve --capacity 4', 'be an orchestrator, for four runs at a time'],
  ],
  positionals: {
    action: 'ls, show, resume, cancel, serve',
    what: 'a run; for show also the file of a pipeline',
  },
  options: {
    svg: { type: 'string', requiresArg: true, describe: 'draw the steps into this file, for show' },
    capacity: {
      type: 'string',
      requiresArg: true,
      describe: 'runs at the same time, for serve; 16 unless said',
    },
    detach: { type: 'boolean', describe: 'do not wait for the run, for resume' },
    ...SHOW_OPTIONS,
    ...BROKER_OPTIONS,
  },
  run: async (given, context) => (await import('./pipeline-actions.js')).run(given, context),
};
