// A job that kills every worker that touches it, among others that are harmless:
// real worker processes, started again whenever one dies, as a supervisor would. It
// ends in the dead letters, with what became of each attempt; the others are done.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { JobEvent, JobHandle, MlmClient } from '../../client/index.js';
import type { Child } from '../support/processes.js';
import { MLM, useCommands } from './commands-support.js';
import { until } from '../support/until.js';

const supervisors = new Set<Supervisor>();
// Before all processes are ended: none is to be started again.
afterEach(async () => {
  await Promise.all([...supervisors].map((supervisor) => supervisor.stop()));
  supervisors.clear();
});
const commands = useCommands();
const RUNTIME = pathToFileURL(join(process.cwd(), 'dist', 'workers', 'index.js')).href;
const ATTEMPTS_MAX = 5;
const JOBS = 24;
const POISON = 'poison';
const TEST_MS = 200_000;

/** Doubles a number after a moment; the poison kills it. */
const WORKER = `
import { createWorkerLog, defineWorker, runWorkers } from '${RUNTIME}';
const double = defineWorker({
  service: 'double',
  handle: async ({ subject, body }) => {
    if (subject === '${POISON}') process.kill(process.pid, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 50));
    return body.value() * 2;
  },
});
await runWorkers([double], { log: createWorkerLog({ level: 'error' }) });
`;

/** Processes that are started again when they were killed, each at its own address. */
class Supervisor {
  /** Addresses of those that were killed, in their order. */
  readonly killed: string[] = [];
  readonly #args: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  readonly #children = new Map<string, Child>();
  readonly #loops: Promise<void>[] = [];
  #stopping = false;

  constructor(args: readonly string[], env: Readonly<Record<string, string>>) {
    this.#args = args;
    this.#env = env;
    supervisors.add(this);
  }

  keep(address: string): void {
    this.#loops.push(this.#keep(address));
  }

  async #keep(address: string): Promise<void> {
    while (!this.#stopping) {
      const env = { ...this.#env, MLM_ADDRESS: address };
      const child = await commands.start(process.execPath, this.#args, { env });
      this.#children.set(address, child);
      const { signal } = await child.ended;
      if (signal === 'SIGKILL') this.killed.push(address);
    }
  }

  /** Ends them. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#children.values()].map((child) => child.stop()));
    await Promise.all(this.#loops);
  }
}

/** Submits numbers, with the poison in their middle. */
async function submitAll(client: MlmClient): Promise<Submitted> {
  const submit = (at: number): Promise<JobHandle> =>
    client.submit('double', String(at), at, { id: `n${at}` });
  const numbers = Array.from({ length: JOBS }, (_, at) => at);
  const before = await Promise.all(numbers.slice(0, JOBS / 2).map(submit));
  const poison = await client.submit('double', POISON, 0, { id: POISON });
  const after = await Promise.all(numbers.slice(JOBS / 2).map(submit));
  return { jobs: [...before, ...after], poison };
}

interface Submitted {
  readonly jobs: readonly JobHandle[];
  readonly poison: JobHandle;
}

/** Two workers have them done, all but the poison. */
async function expectOnlyPoisonDead(
  client: MlmClient,
  { jobs, poison }: Submitted,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const supervisor = new Supervisor(args, env);
  for (const address of ['w1', 'w2']) supervisor.keep(address);
  const results = await Promise.all(jobs.map(async (job) => (await job.result()).value()));
  expect(results).toEqual(jobs.map((_, at) => at * 2));
  await expect(poison.result()).rejects.toMatchObject({ code: 'WORKER_ERROR' });
  const { killed } = supervisor;
  await until(() => killed.length === ATTEMPTS_MAX, 'the last death');
  await expectBuried(client, poison, killed);
}

/** A job's history, to its end. */
async function historyOf(job: JobHandle): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  for await (const event of job.events()) events.push(event);
  return events;
}

/** The poison is a dead letter that tells what became of it, each attempt by the worker that it killed. */
async function expectBuried(
  client: MlmClient,
  poison: JobHandle,
  killed: readonly string[],
): Promise<void> {
  const events = await historyOf(poison);
  const attempts = Array.from({ length: ATTEMPTS_MAX }, (_, at) => at + 1);
  const reason = 'the session of the worker ended';
  expect(events.map(({ event, attempt, worker }) => [event, attempt, worker])).toEqual([
    ['queued', undefined, undefined],
    ...attempts.flatMap((attempt) => {
      const by = killed[attempt - 1];
      const end = attempt < ATTEMPTS_MAX ? 'retrying' : 'failed';
      return [
        ['started', attempt, by],
        [end, attempt, by],
      ];
    }),
  ]);
  expect(events.at(-1)?.reason).toBe(`${ATTEMPTS_MAX} attempts failed; the last one: ${reason}`);
  expect(await client.deadLetters('double')).toMatchObject([
    {
      subject: POISON,
      attempts: ATTEMPTS_MAX,
      failures: killed.map((worker) => ({ worker, reason })),
    },
  ]);
}

it(
  'ends in the dead letters, and the others are done',
  async () => {
    const { endpoint } = await commands.broker();
    const client = await commands.client(endpoint);
    const script = join(commands.folder(), 'worker.mjs');
    writeFileSync(script, WORKER);
    // Nobody is there yet: all of it waits.
    const submitted = await submitAll(client);
    await expectOnlyPoisonDead(client, submitted, [script], { MLM_ENDPOINT: endpoint });
  },
  TEST_MS,
);

it(
  'ends so as a command, too, that kills the worker around it',
  async () => {
    const { endpoint } = await commands.broker();
    const client = await commands.client(endpoint);
    const env = { MLM_ENDPOINT: endpoint, TMPDIR: commands.folder() };
    const command = `if [ "$1" = ${POISON} ]; then kill -9 $PPID; fi; echo $(( $(cat) * 2 ))`;
    const options = ['double', '--input', 'json', '--output', 'json'];
    const args = [MLM, 'work', ...options, '--', 'sh', '-c', command, 'sh', '{{subject}}'];
    const submitted = await submitAll(client);
    await expectOnlyPoisonDead(client, submitted, args, env);
  },
  TEST_MS,
);

it(
  'requests wait for workers, which come and go, stopped or killed',
  async () => {
    const { endpoint } = await commands.broker();
    const client = await commands.client(endpoint);
    const env = { MLM_ENDPOINT: endpoint, MLM_ADDRESS: 'w', TMPDIR: commands.folder() };
    const args = [MLM, 'work', 'upper', '--', 'sh', '-c', 'sleep 0.1; exec tr a-z A-Z'];
    let replies = 0;
    const asked: Promise<string>[] = [];
    const ask = async (word: string): Promise<string> => {
      const reply = await client.request('upper', '', Buffer.from(word), { timeoutMs: TEST_MS });
      replies++;
      return reply.text();
    };
    const words = (round: string): string[] => [1, 2, 3, 4].map((each) => `${round} ${each}`);
    const rounds = ['SIGTERM', 'SIGKILL', 'SIGINT', 'SIGKILL'] as const;
    for (const signal of rounds) {
      // Nobody is there when they are asked for.
      asked.push(...words(signal).map(ask));
      const before = replies;
      const worker = await commands.start(process.execPath, args, { env });
      await until(() => replies > before, 'some replies');
      await worker.stop(signal);
    }
    await commands.start(process.execPath, args, { env });
    const wanted = rounds.flatMap(words).map((word) => word.toUpperCase());
    expect(await Promise.all(asked)).toEqual(wanted);
  },
  TEST_MS,
);
