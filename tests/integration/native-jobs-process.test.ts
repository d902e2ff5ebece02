// Jobs and a broker that is killed, as a process from the built files: what was
// accepted is done, and what was done is collected, by clients that were not there.
import { connect, type MlmClient } from '../../client/index.js';
import { startBrokerProcess, type BrokerProcess } from '../support/broker-process.js';
import { PATIENCE_MS, useProcesses } from '../support/processes.js';
import { range } from '../support/sessions.js';
import { until } from '../support/until.js';

const processes = useProcesses();
const clients: MlmClient[] = [];
let data = '';
let broker: BrokerProcess;

async function client(): Promise<MlmClient> {
  const connected = await connect(broker.endpoint, {
    heartbeatMs: 200,
    connectTimeoutMs: PATIENCE_MS,
  });
  clients.push(connected);
  return connected;
}

async function killAndRestart(): Promise<void> {
  await broker.child.stop('SIGKILL');
  broker = await startBrokerProcess(processes, { data, bind: broker.endpoint });
}

beforeEach(async () => {
  data = processes.folder();
  broker = await startBrokerProcess(processes, { data });
});

afterEach(() => Promise.all(clients.splice(0).map((each) => each.close())));

it('submit, go away, come back and collect: through kills of the broker', async () => {
  const submitting = await client();
  const subjects = range(1, 50).map(String);
  const jobs = await Promise.all(subjects.map((subject) => submitting.submit('s', subject)));
  await submitting.close();
  await killAndRestart();

  // Half of them are done, others run, when the broker is killed again.
  const runs = new Map<string, number>();
  let running = 0;
  let stuck = true;
  const working = await client();
  await working.offer('s', { capacity: 10 }, async ({ subject, signal }) => {
    runs.set(subject, (runs.get(subject) ?? 0) + 1);
    if (stuck && Number(subject) > 25) {
      running++;
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      throw signal.reason;
    }
    return `done ${subject}`;
  });
  const waiting = await client();
  const early = jobs.slice(0, 25).map((job) => waiting.job('s', job.id).result());
  await Promise.all(early);
  await until(() => running === 10);
  const results = jobs.map((job) => waiting.job('s', job.id).result());
  stuck = false;
  await killAndRestart();
  const values = (await Promise.all(results)).map((reply) => reply.value());
  expect(values).toEqual(subjects.map((subject) => `done ${subject}`));
  // What was done before the kill was not done again; what ran then was.
  expect(subjects.slice(0, 25).map((subject) => runs.get(subject))).toEqual(Array(25).fill(1));
  expect([...runs.values()].filter((count) => count === 2)).toHaveLength(10);

  await killAndRestart();
  const collecting = await client();
  const collected = await Promise.all(jobs.map((job) => collecting.job('s', job.id).result()));
  expect(collected.map((reply) => reply.value())).toEqual(values);
  const again = await collecting.submit('s', '7', '', { id: jobs[6]!.id });
  expect((await again.result()).value()).toBe('done 7');
  expect(runs.get('7')).toBe(1);
});
