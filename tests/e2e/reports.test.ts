// What users of Malamute reported about brokers and workers that are killed, each
// replayed with real processes under the number that it has in zeromq/malamute.
// The other reports stand in tests/integration/reports.test.ts.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { connect, type MlmClient } from '../../client/index.js';
import { startBrokerProcess } from '../support/broker-process.js';
import { PATIENCE_MS, useProcesses, type Child } from '../support/processes.js';
import { useRawClients } from '../support/raw-client.js';
import { range, take } from '../support/sessions.js';
import { CLOSE, mail } from '../support/v1-commands.js';

const SDK = pathToFileURL(join('dist', 'client', 'index.js')).href;
const processes = useProcesses();
const raw = useRawClients();
const clients = new Set<MlmClient>();

// The hooks that end the processes were added before: these run first.
afterEach(async () => {
  await Promise.all([...clients].map((client) => client.close()));
  clients.clear();
});

async function kill(child: Child): Promise<void> {
  child.signal('SIGKILL');
  expect(await child.ended).toEqual({ code: null, signal: 'SIGKILL' });
}

async function client(endpoint: string, address = ''): Promise<MlmClient> {
  const made = await connect(endpoint, { address, reconnect: false });
  clients.add(made);
  return made;
}

describe('#330: mail to an absent address', () => {
  const subjects = range(1, 200).map((n) => `letter ${n}`);

  it('survives kill -9 of the broker, for a receiver of either kind', async () => {
    const data = join(processes.folder(), 'data');
    const first = await startBrokerProcess(processes, { data });
    const producer = await client(first.endpoint, 'producer');
    const sent = subjects.flatMap((subject) => [
      producer.sendTo('consumer', subject, Buffer.from(`body of ${subject}`)),
      producer.sendTo('native consumer', subject, Buffer.from(`body of ${subject}`)),
    ]);
    await Promise.all(sent);
    await kill(first.child);

    const second = await startBrokerProcess(processes, { data });
    const consumer = await raw.open(second.endpoint, 'consumer');
    for (const subject of subjects) {
      expect(await consumer.next()).toMatchObject({
        name: 'MAILBOX DELIVER',
        sender: 'producer',
        subject,
        content: [Buffer.from(`body of ${subject}`)],
      });
    }
    const native = await client(second.endpoint, 'native consumer');
    const letters = await take(native.mailbox(), subjects.length);
    expect(letters.map(({ subject }) => subject)).toEqual(subjects);
  });

  it('survives a restart, when its sender speaks MLM/1 and saw its session end well', async () => {
    const data = join(processes.folder(), 'data');
    const first = await startBrokerProcess(processes, { data });
    const producer = await raw.open(first.endpoint, 'producer');
    for (const subject of subjects) await producer.send(mail('consumer', subject));
    await producer.ask(CLOSE, 'OK 200');
    await first.child.stop();

    const second = await startBrokerProcess(processes, { data });
    const consumer = await raw.open(second.endpoint, 'consumer');
    await consumer.expect(...subjects);
  });

  it('is not there twice: what was confirmed stays done with', async () => {
    const data = join(processes.folder(), 'data');
    const first = await startBrokerProcess(processes, { data });
    const consumer = await client(first.endpoint, 'consumer');
    for (const n of range(1, 10)) await consumer.sendTo('consumer', `letter ${n}`);
    const letters = await take(consumer.mailbox(), 4);
    for (const letter of letters) await letter.confirm();
    // Accepted after these confirms: they lie in the same commit, or in one before.
    await consumer.sendTo('consumer', 'letter 11');
    await kill(first.child);

    const second = await startBrokerProcess(processes, { data });
    const again = await client(second.endpoint, 'consumer');
    const rest = await take(again.mailbox(), 7);
    expect(rest.map(({ subject }) => subject)).toEqual(range(5, 11).map((n) => `letter ${n}`));
  });
});

describe('#89: two workers, of which one is killed', () => {
  /** A worker that says what it is given; it does it, or goes on for ever. */
  const WORKER = `
    import { connect } from ${JSON.stringify(SDK)};
    const [endpoint, address, does] = process.argv.slice(2);
    const client = await connect(endpoint, { address, heartbeatMs: 100 });
    await client.offer('METRICS', { pattern: 'measurement', capacity: 3 }, async ({ subject, attempt }) => {
      console.log('given', subject, attempt);
      if (does !== 'works') await new Promise(() => setInterval(() => {}, 1000));
      return address;
    });
    console.log('ready');
  `;

  async function startWorker(endpoint: string, address: string, does: 'works' | 'hangs') {
    const file = join(processes.folder(), 'worker.mjs');
    writeFileSync(file, WORKER);
    const args = [file, endpoint, address, does];
    return processes.start(process.execPath, args, { readyLine: /^ready$/ });
  }

  it('the requests that it held, and those that come later, are done by the other', async () => {
    const data = join(processes.folder(), 'data');
    const { endpoint } = await startBrokerProcess(processes, { data, timeout: 2500 });
    const killed = await startWorker(endpoint, 'worker2', 'hangs');
    const producer = await connect(endpoint, { address: 'producer', heartbeatMs: 100 });
    clients.add(producer);
    const patient = { timeoutMs: PATIENCE_MS };
    const ask = (subject: string) =>
      producer.request('METRICS', `measurement.${subject}`, undefined, patient);
    const held = ['power', 'ambiante', 'temperature'].map(ask);
    let taken = 0;
    while (taken++ < held.length) await killed.line(/^given .* 1$/);
    const left = await startWorker(endpoint, 'worker1', 'works');
    await kill(killed);
    const later = ['humidity', 'voltage', 'load'].map(ask);
    for (const reply of await Promise.all([...held, ...later])) {
      expect(reply.value()).toBe('worker1');
    }
    // The broker counted the attempts that were lost with the worker: one, unless somebody stood still.
    for (const subject of ['power', 'ambiante', 'temperature']) {
      expect(left.stdout).toMatch(new RegExp(`^given measurement\\.${subject} [2-5]$`, 'm'));
    }
  });
});
