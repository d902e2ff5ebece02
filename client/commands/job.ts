// `mlm job`: submits jobs, and tells what becomes of them. A job is a request
// whose life the broker writes down; how it is read and shown stands in jobs/.
import type { Options } from 'yargs';
import type { JobEvent, MlmClient, SubmitOptions } from '../index.js';
import { lastEvents, historyOf } from './jobs/history.js';
import { detailOf, eventJson, progressText } from './jobs/event-text.js';
import { watchJob, type WatchArguments } from './jobs/watch.js';
import { actionOf, needed } from './shared/actions.js';
import {
  BROKER_OPTIONS,
  milliseconds,
  oneText,
  wholeNumber,
  type BrokerArguments,
} from './shared/arguments.js';
import { BODY, readBody, type BodyArguments } from './shared/body-input.js';
import type { Command, Context } from './shared/command.js';
import { CommandError, unlessInterrupted, usageError } from './shared/failure.js';
import { tellSession } from './shared/follow.js';
import { withClient, type SessionKind } from './shared/session.js';
import { showFields, showTable } from './shared/show.js';
import { readLabels } from './shared/written-labels.js';

interface JobArguments extends BrokerArguments, BodyArguments, WatchArguments {
  readonly action: string;
  readonly service?: string;
  readonly job?: string;
  readonly id?: string;
  readonly priority?: number;
  readonly fresh?: boolean;
  readonly delay?: number;
  readonly deadline?: number;
  readonly key?: string;
  readonly needs?: SubmitOptions['needs'];
  readonly prefers?: SubmitOptions['prefers'];
  readonly watch?: boolean;
  readonly state?: readonly string[];
}

interface Action {
  readonly session: SessionKind;
  readonly run: (client: MlmClient, given: JobArguments, context: Context) => Promise<void>;
}

/** What a job can be doing, as the last thing that happened to it tells. */
type State = Exclude<JobEvent['event'], 'progress' | 'partial'>;

const STATES: readonly State[] = [
  'queued',
  'started',
  'retrying',
  'succeeded',
  'failed',
  'cancelled',
  'expired',
];

const ACTIONS: Readonly<Record<string, Action>> = {
  submit: { session: 'following', run: submit },
  ls: { session: 'once', run: list },
  show: { session: 'once', run: show },
  watch: { session: 'following', run: watch },
  cancel: { session: 'once', run: cancel },
  retry: { session: 'once', run: retry },
};

async function submit(client: MlmClient, given: JobArguments, context: Context): Promise<void> {
  const service = needed(given.service, 'the service');
  const subject = needed(given.job, 'the subject');
  const { signal } = context;
  const body = await readBody(given, signal);
  const { id, priority, key, fresh, needs, prefers } = given;
  const { delay: delayMs, deadline: deadlineMs } = given;
  const terms = { id, priority, key, fresh, needs, prefers, delayMs, deadlineMs, signal };
  const job = await client.submit(service, subject, body, terms);
  if (given.watch !== true) {
    await context.output.line(job.id);
    return;
  }
  context.warn(`submitted the job ${job.id}`);
  await watchJob(job, { raw: given.raw ?? false }, context);
}

async function list(client: MlmClient, given: JobArguments, context: Context): Promise<void> {
  const { service, state } = given;
  const jobs: JobEvent[] = [];
  for await (const event of lastEvents(client, service, context.signal)) {
    if (state === undefined || state.includes(stateOf(event))) jobs.push(event);
  }
  if (given.json === true) {
    const rows = jobs.map((event) => eventJson(event));
    await context.output.line(`[${rows.join(',\n ')}]`);
    return;
  }
  const nowMs = Date.now();
  const rows = jobs.map((event) => ({
    id: event.id,
    service: event.service,
    state: stateOf(event),
    agoMs: Math.max(0, nowMs - event.timeMs),
    attempt: event.attempt ?? null,
    worker: event.worker ?? '',
    told: event.progress === undefined ? (event.reason ?? '') : progressText(event),
  }));
  await showTable(rows, 'no jobs', false, context);
}

/** What a job does of which an event was the last. */
function stateOf({ event }: JobEvent): State {
  return event === 'progress' || event === 'partial' ? 'started' : event;
}

async function show(client: MlmClient, given: JobArguments, context: Context): Promise<void> {
  const name = nameOf(given);
  const events = await historyOf(client, name, context.signal);
  const last = events.at(-1);
  if (last === undefined) throw noJob(name);
  if (given.json === true) {
    await context.output.line(`[${events.map((event) => eventJson(event)).join(',\n ')}]`);
    return;
  }
  const queued = events.find(({ event }) => event === 'queued');
  await showFields(
    {
      ...name,
      state: stateOf(last),
      subject: queued?.subject,
      sender: queued?.sender,
      attempts: events.filter(({ event }) => event === 'started').length,
    },
    false,
    context,
  );
  const rows = events
    .filter((event, at) => event.event !== 'progress' || events[at + 1]?.event !== 'progress')
    .map((event) => ({
      at: new Date(event.timeMs).toISOString(),
      event: event.event,
      told: detailOf(event),
    }));
  await context.output.line('');
  await showTable(rows, '', false, context);
}

async function watch(client: MlmClient, given: JobArguments, context: Context): Promise<void> {
  const { service, id } = nameOf(given);
  const job = client.job(service, id);
  if ((await job.state()) === undefined) throw noJob(job);
  await watchJob(job, given, context);
}

async function cancel(client: MlmClient, given: JobArguments, { hint }: Context): Promise<void> {
  const { service, id } = nameOf(given);
  const was = await client.job(service, id).cancel();
  hint(was === 'waiting' ? 'cancelled before it began' : 'cancelled; its worker is told');
}

async function retry(client: MlmClient, given: JobArguments, { hint }: Context): Promise<void> {
  const { service, id } = nameOf(given);
  const letters = await client.deadLetters(service);
  const letter = letters.findLast(({ tracker }) => tracker === id);
  if (letter === undefined) {
    const state = await client.job(service, id).state();
    if (state === undefined) throw noJob({ service, id });
    throw new CommandError(
      `the job ${id} is no dead letter: it is ${stateOf(state)}; only what failed is made again`,
    );
  }
  await client.retryDeadLetter(service, letter.letter);
  hint(`the job is in the queue of "${service}" again`);
}

function nameOf({ service, job }: JobArguments): { service: string; id: string } {
  return { service: needed(service, 'the service'), id: needed(job, 'the id of the job') };
}

function noJob({ service, id }: { readonly service: string; readonly id: string }): CommandError {
  return new CommandError(`the service "${service}" has no job ${id}, or none that is remembered`);
}

/** An option that takes labels, `gpu=true`, several times. */
function labels(name: string, describe: string): Options {
  return {
    type: 'string',
    requiresArg: true,
    describe,
    coerce: (given: string | readonly string[] | undefined) => {
      if (given === undefined) return undefined;
      const texts = typeof given === 'string' ? [given] : given;
      return readLabels(name, texts);
    },
  };
}

function statesOf(text: string): string[] {
  const states = text.split(',');
  const unknown = states.find((state) => !STATES.some((known) => known === state));
  if (unknown === undefined) return states;
  throw usageError(`there is no state "${unknown}"; there are ${STATES.join(', ')}`);
}

export const jobCommand: Command<JobArguments> = {
  name: 'job',
  takes: '<action> [service] [job] [body]',
  about: 'Submit jobs, and see what becomes of them',
  details:
    'A job is a request whose life the broker writes down: its result can be collected later, from\n' +
    'anywhere, by its id. "submit" prints the id; "watch" follows a job and prints its result, with\n' +
    'status 1 where it failed; Ctrl-C ends the watching, not the job. "retry" makes a job again that\n' +
    'failed for good.',
  examples: [
    ['submit render page --json \'{"page": 7}\'', 'the id of a new job'],
    ['submit render page --watch --raw - < in.svg > out.png', 'submit it, and wait for the result'],
    ['ls render --state queued,started', 'what is to be done, and by whom'],
    ['show render 0mc1x7f3k000-a01b9f8e2c4d', 'all that happened to it'],
    ['watch render 0mc1x7f3k000-a01b9f8e2c4d', 'how far it is, then its result'],
    ['cancel render 0mc1x7f3k000-a01b9f8e2c4d', 'not wanted any more'],
    ['retry render 0mc1x7f3k000-a01b9f8e2c4d', 'once more, after it failed'],
  ],
  positionals: {
    action: Object.keys(ACTIONS).join(', '),
    service: 'the service',
    job: 'the id of the job; for submit, the subject of the request',
    body: BODY,
  },
  options: {
    json: {
      type: 'boolean',
      describe: 'submit: the body is JSON, sent as MessagePack; else: print JSON',
    },
    id: {
      ...oneText('id'),
      describe: 'submit: the id; one that was there before is not done again',
    },
    priority: {
      ...wholeNumber('priority', 'a whole number', 9),
      describe: 'submit: 1 to 9, the most urgent first; 0 unless said',
    },
    delay: { ...milliseconds('delay'), describe: 'submit: not before this time from now, ms' },
    deadline: { ...milliseconds('deadline'), describe: 'submit: given up after this time, ms' },
    key: { ...oneText('key'), describe: 'submit: those of one key run one at a time, in order' },
    needs: labels('needs', 'submit: only a worker with this label, as gpu=true; several times'),
    prefers: labels('prefers', 'submit: rather a worker with this label; several times'),
    fresh: {
      type: 'boolean',
      describe: 'submit: have it done anew, though the result may be known',
    },
    watch: { type: 'boolean', describe: 'submit: wait for the result, as watch does' },
    raw: { type: 'boolean', describe: 'watch: print the result byte for byte' },
    state: {
      ...oneText('state', statesOf),
      describe: `ls: only jobs in these states, with commas between: ${STATES.join(', ')}`,
    },
    ...BROKER_OPTIONS,
  },
  run: async (given, context) => {
    const action = actionOf(ACTIONS, given.action);
    await withClient('job', given, context, { kind: action.session }, async (client) => {
      if (action.session === 'following') tellSession(client, context);
      // Whatever is waited for: the broker may be away.
      await unlessInterrupted(action.run(client, given, context), context.signal);
    });
  },
};
