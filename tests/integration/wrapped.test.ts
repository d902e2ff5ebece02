// Wrapped commands over a real broker: what requesters see of them, and what
// becomes of the command when its request is cancelled or fails.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type JobEvent, type MlmClient } from '../../client/index.js';
import { CommandWorkers } from '../../workers/commands/workers.js';
import { silentLog, startWorkers, type WorkerGroup } from '../../workers/index.js';
import { useBrokers } from '../support/brokers.js';
import { configOf, failureOf, yaml } from '../unit/workers/commands-support.js';
import { isAlive } from '../support/pids.js';
import { until } from '../support/until.js';

const closing: (() => Promise<unknown>)[] = [];
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'malamute-test-'));
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  rmSync(folder, { recursive: true, force: true });
});
// The broker is ended last.
const newBroker = useBrokers();

/** A broker, the services of a configuration at it, and a client. */
async function offer(services: string): Promise<{ client: MlmClient; group: WorkerGroup }> {
  const { endpoint } = await newBroker();
  const commands = new CommandWorkers(configOf(`services:\n${services}`).services, silentLog);
  closing.push(() => commands.close());
  const group = await startWorkers(commands.workers, { endpoint, log: silentLog });
  closing.push(() => group.stop());
  const client = await connect(endpoint);
  closing.push(() => client.close());
  return { client, group };
}

/** A command that writes its pid and does not end by itself. */
function hanging(): { command: string; pid: () => Promise<number> } {
  const file = join(folder, 'pid');
  return {
    command: yaml(['sh', '-c', `echo $$ > ${file}.new; mv ${file}.new ${file}; exec sleep 1000`]),
    pid: async () => {
      await until(() => existsSync(file), 'the command');
      return Number(readFileSync(file, 'utf8'));
    },
  };
}

it('what is wrong with a request is said to its requester, at once and in full', async () => {
  const { client } = await offer('  s: {command: [echo, "{{body.width | integer 1 100}}"]}');
  const failure = await failureOf(client.request('s', '', { width: 0 }));
  expect(failure).toMatchObject({ code: 'WORKER_ERROR', workerCode: 'bad-input' });
  expect(failure.message).toContain('body.width must be a whole number from 1 to 100');
  expect(await client.deadLetters('s')).toMatchObject([{ attempts: 1 }]);
});

it('a command that fails is tried again, and what it said is kept', async () => {
  const tries = join(folder, 'tries');
  const script = `echo x >> ${tries}; [ $(wc -l < ${tries}) -ge 3 ] && echo done || { echo not yet >&2; exit 75; }`;
  const { client } = await offer(`  s: {command: ${yaml(['sh', '-c', script])}, output: text}`);
  expect((await client.request('s', '')).text()).toBe('done\n');
  expect(readFileSync(tries, 'utf8')).toBe('x\nx\nx\n');
});

it('large bodies go in and out', async () => {
  const { client } = await offer(
    '  s: {command: [cat]}\n  f: {command: [cp, a, b], input: {files: {a: body}}, output: {files: b}}',
  );
  const body = Buffer.alloc(8 * 1024 * 1024, 'large ');
  for (const service of ['s', 'f']) {
    const [frame] = (await client.request(service, '', body)).content;
    expect(frame?.equals(body)).toBe(true);
  }
});

it('progress and partial results are in the life of a job', async () => {
  const script = `echo '{"progress": 0.5, "note": "half"}' >&2; echo one; echo two`;
  const { client } = await offer(`  s: {command: ${yaml(['sh', '-c', script])}, output: lines}`);
  const job = await client.submit('s', '');
  const events: JobEvent[] = [];
  for await (const event of job.events()) {
    events.push(event);
    if (event.isFinal) break;
  }
  expect(events.find(({ event }) => event === 'progress')?.progress).toEqual({
    fraction: 0.5,
    note: 'half',
  });
  const parts = events.filter(({ event }) => event === 'partial');
  expect(parts.map((part) => part.text())).toEqual(['one', 'two']);
  expect(events.at(-1)?.event).toBe('succeeded');
  expect(events.at(-1)?.text()).toBe('one\ntwo\n');
});

it('a request that is cancelled ends its command', async () => {
  const { command, pid } = hanging();
  const { client } = await offer(`  s: {command: ${command}}`);
  const over = new AbortController();
  const failure = failureOf(client.request('s', '', undefined, { signal: over.signal }));
  const running = await pid();
  over.abort();
  await failure;
  await until(() => !isAlive(running), 'the end of the command');
});

it('as many commands run at the same time as the capacity says', async () => {
  const script = `touch ${folder}/$1.begun; while [ ! -e ${folder}/gate ]; do sleep 0.01; done; ls ${folder}`;
  const { client } = await offer(
    `  s: {command: ${yaml(['sh', '-c', script, 'sh', '{{subject | word}}'])}, capacity: 2, output: text}`,
  );
  const replies = ['a', 'b'].map((subject) => client.request('s', subject));
  await until(
    () => ['a', 'b'].every((name) => existsSync(join(folder, `${name}.begun`))),
    'both commands',
  );
  writeFileSync(join(folder, 'gate'), '');
  for (const reply of await Promise.all(replies))
    expect(reply.text()).toContain('a.begun\nb.begun');
});
