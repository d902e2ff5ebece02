// The pipeline of the demonstration over real processes that are killed: the worker
// that is in the middle of a step, at every step in turn; and the orchestrator, at
// every step in turn. No program begins its step before the blow has fallen. Each run
// gives the same files as one that nobody disturbed.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JobEvent, MlmClient } from '../../client/index.js';
import { readAnyJobEvent } from '../../client/jobs.js';
import { mapFiles } from '../../workers/pipelines/file-value.js';
import {
  Files,
  followRun,
  requirePipeline,
  submitRun,
  type FileValue,
  type Inputs,
  type RequestedRun,
  type RunState,
} from '../../workers/pipelines/index.js';
import type { Child } from '../support/processes.js';
import { pathWith, studioTests } from '../support/studio.js';
import { MLM, useCommands } from './commands-support.js';
import { until } from '../support/until.js';

const STUDIO = 'workers/examples/studio';
const FILE = `${STUDIO}/studio.yaml`;
const SOURCE = readFileSync(FILE, 'utf8');
const { steps: STEPS } = requirePipeline(FILE, SOURCE);
const SERVICES = [...STEPS.values()].map(({ service }) => service);
const WORKERS = ['studio-1', 'studio-2'];
const TEST_MS = 300_000;

const commands = useCommands();
const studio = studioTests();

interface World {
  readonly client: MlmClient;
  readonly inputs: Inputs;
  /** Starts a worker of all services; with an address that one had before it, has its place at once. */
  readonly work: (address: string) => Promise<void>;
  readonly serve: () => Promise<void>;
  /** Kills a worker or the orchestrator. */
  readonly kill: (address: string) => Promise<void>;
  /** From now on the program of a step waits before it begins. */
  readonly hold: (step: string) => void;
  readonly release: (step: string) => void;
}

const ORCHESTRATOR = 'orchestrator';

/** Which step it is, by the program and its arguments; it waits while there is a file of its name. */
function waitingIn(folder: string): string {
  return `case "$program $*" in
  *caption:*) step=card ;;
  convert*) step=preview ;;
  tesseract*) step=read ;;
  espeak-ng*) step=speak ;;
  ffmpeg*) step=cut ;;
esac
while [ -e ${folder}/$step ]; do sleep 0.05; done`;
}

async function newWorld(): Promise<World> {
  const { endpoint } = await commands.broker();
  const client = await commands.client(endpoint);
  const temporary = commands.folder();
  const held = commands.folder();
  const programs = join(held, 'programs');
  mkdirSync(programs);
  const path = pathWith(programs, waitingIn(held));
  const children = new Map<string, Child>();
  const start = async (address: string, args: readonly string[]): Promise<void> => {
    const own = { MLM_ENDPOINT: endpoint, MLM_ADDRESS: address };
    const env = { ...own, TMPDIR: temporary, PATH: path };
    children.set(address, await commands.start(process.execPath, [MLM, ...args], { env }));
  };
  const world: World = {
    client,
    inputs: makeInputs(temporary),
    work: (address) => start(address, ['work', '--config', `${STUDIO}/workers.yaml`]),
    serve: () => start(ORCHESTRATOR, ['pipeline', 'serve']),
    kill: async (address) => {
      await children.get(address)?.stop('SIGKILL');
    },
    hold: (step) => writeFileSync(join(held, step), ''),
    release: (step) => rmSync(join(held, step)),
  };
  await Promise.all([...WORKERS.map((address) => world.work(address)), world.serve()]);
  await until(async () => {
    const rows = (await client.request('$broker', 'services')).value();
    const workers = new Map(
      (rows as { service: string; workers: number }[]).map((row) => [row.service, row.workers]),
    );
    const areThere = SERVICES.every((service) => workers.get(service) === WORKERS.length);
    return areThere && workers.get('pipelines') === 1;
  }, 'all workers');
  return world;
}

/** A small picture with a word, and a small video of two scenes. */
function makeInputs(folder: string): Inputs {
  const [picture, video] = [join(folder, 'words.png'), join(folder, 'scenes.mp4')];
  const font = ['-font', 'DejaVu-Sans', '-pointsize', '40', '-gravity', 'center'];
  execFileSync('convert', ['-size', '300x90', ...font, 'label:Harbour', picture]);
  const scene = (source: string): string[] => ['-f', 'lavfi', '-i', `${source}s=96x64:d=0.4:r=10`];
  const cut = ['-filter_complex', '[0][1]concat=n=2:v=1[v]', '-map', '[v]', video];
  const quiet = ['-nostdin', '-loglevel', 'error'];
  execFileSync('ffmpeg', [...quiet, ...scene('testsrc='), ...scene('color=blue:'), ...cut]);
  return {
    picture: { name: 'words.png', content: readFileSync(picture) },
    video: { name: 'scenes.mp4', content: readFileSync(video) },
  };
}

/** What a run gave: its outputs, with what is in each file in the place of the file. */
async function outputsOf({ client, inputs }: World, onRun?: OnRun): Promise<unknown> {
  const run = await submitRun(client, { file: FILE, source: SOURCE, inputs });
  const [{ phase, reason, outputs }] = await Promise.all([ended(client, run), onRun?.(run)]);
  expect([phase, reason]).toEqual(['succeeded', '']);
  return withContents(client, outputs);
}

async function ended(client: MlmClient, run: RequestedRun): Promise<RunState> {
  const over = new AbortController();
  for await (const { view } of followRun(client, run, over.signal)) {
    if (view.state.isOver) return view.state;
  }
  throw new Error('the run has no end');
}

/** Looks on while a run goes on. */
type OnRun = (run: RequestedRun) => Promise<void>;

async function withContents(client: MlmClient, outputs: unknown): Promise<unknown> {
  const files = new Files(client);
  const contents = new Map<FileValue, string>();
  const found: FileValue[] = [];
  mapFiles(outputs, (file) => found.push(file));
  for (const file of found) {
    const digest = createHash('sha256').update(await files.fetch(file));
    contents.set(file, `${file.name} ${file.bytes} ${digest.digest('hex')}`);
  }
  return mapFiles(outputs, (file) => contents.get(file));
}

/** What happened to the jobs of a run so far, and what happens, until a function is content. */
async function readJobs(
  client: MlmClient,
  { run }: RequestedRun,
  isEnough: (event: JobEvent) => boolean,
): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  const own = new RegExp(`/${run}\\.`);
  for await (const message of client.stream('$jobs').read({ from: 'earliest', own: true })) {
    const event = own.test(message.subject) ? readAnyJobEvent(message) : undefined;
    if (event === undefined) continue;
    events.push(event);
    if (isEnough(event)) break;
  }
  return events;
}

/** `cut` of `studio-4f0c21aa93.cut.0.1` */
function stepOf({ id }: JobEvent): string {
  return id.split('.')[1] ?? '';
}

/**
 * Has a run disturbed at every step in turn, in a world of its own.
 *
 * @param disturb runs it, and gives its outputs; the step is held, for it to release
 */
async function disturbEachStep(
  disturb: (world: World, step: string) => Promise<unknown>,
): Promise<void> {
  const world = await newWorld();
  const undisturbed = await outputsOf(world);
  for (const step of STEPS.keys()) {
    world.hold(step);
    expect([step, await disturb(world, step)]).toEqual([step, undisturbed]);
  }
}

studio(
  'a worker is killed at every step in turn: another one does what it had',
  () =>
    disturbEachStep(async (world, step) => {
      const { client } = world;
      let attempt: number | undefined;
      const outputs = await outputsOf(world, async (run) => {
        const isBegun = (event: JobEvent): boolean =>
          event.event === 'started' && stepOf(event) === step;
        const { worker = '', id } = (await readJobs(client, run, isBegun)).at(-1)!;
        await world.kill(worker);
        await world.work(worker);
        world.release(step);
        const isDone = (event: JobEvent): boolean => event.id === id && event.isFinal;
        attempt = (await readJobs(client, run, isDone)).at(-1)?.attempt;
      });
      expect([step, attempt]).toEqual([step, 2]);
      return outputs;
    }),
  TEST_MS,
);

studio(
  'the orchestrator is killed at every step in turn: the next one goes on, and nothing is done twice',
  () =>
    disturbEachStep(async (world, step) => {
      const { client } = world;
      let run: RequestedRun | undefined;
      const outputs = await outputsOf(world, async (submitted) => {
        run = submitted;
        await untilBegun(client, submitted, step);
        await world.kill(ORCHESTRATOR);
        await world.serve();
        world.release(step);
      });
      await expectDoneOnce(client, run!);
      expect([step, await holdingsOf(client, run!)]).toEqual([step, 2]);
      return outputs;
    }),
  TEST_MS,
);

/** Waits until the log of a run says that a step was begun. */
async function untilBegun(client: MlmClient, run: RequestedRun, step: string): Promise<void> {
  const over = new AbortController();
  for await (const { logged } of followRun(client, run, over.signal)) {
    if (logged.event.event === 'started' && logged.event.step === step) break;
  }
}

/** How many orchestrators had a run, one after the other. */
async function holdingsOf(client: MlmClient, run: RequestedRun): Promise<number> {
  const over = new AbortController();
  let holdings = 0;
  for await (const { logged, view } of followRun(client, run, over.signal)) {
    if (logged.event.event === 'taken') holdings++;
    if (view.state.isOver) break;
  }
  return holdings;
}

/** Each job of a run was begun once, and done; with one line of text, there is one of each step. */
async function expectDoneOnce(client: MlmClient, run: RequestedRun): Promise<void> {
  let done = 0;
  const events = await readJobs(client, run, ({ isFinal }) => isFinal && ++done === STEPS.size);
  const told = events
    .filter(({ event }) => event !== 'progress')
    .map(({ id, event }) => [id, event]);
  const ids = [...new Set(events.map(({ id }) => id))];
  const once = ids.flatMap((id) => ['queued', 'started', 'succeeded'].map((event) => [id, event]));
  expect(told.sort()).toEqual(once.sort());
}
