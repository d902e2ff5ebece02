// A broker whose process stands still (SIGSTOP) for longer than any client waits
// for it, as on a machine that swaps, sleeps or is moved: the clients give it up,
// knock again and again, and when it goes on everything goes on, with nothing lost.
import { join } from 'node:path';
import { connect, type ConnectOptions, type MlmClient } from '../../client/index.js';
import { startBrokerProcess } from '../support/broker-process.js';
import { useProcesses } from '../support/processes.js';
import { range, take } from '../support/sessions.js';
import { until } from '../support/until.js';

const TEST_MS = 120_000;
/** How long the broker waits for a client, and a client for the broker. */
const TIMEOUT_MS = 3000;
const BROKER_TIMEOUT_MS = 3000;
/** How often each client has knocked in vain before the broker goes on. */
const KNOCKS = 2;

const clients: MlmClient[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
});
// The broker is ended last.
const processes = useProcesses();

async function open(endpoint: string, options: ConnectOptions): Promise<MlmClient> {
  const client = await connect(endpoint, {
    heartbeatMs: BROKER_TIMEOUT_MS / 5,
    brokerTimeoutMs: BROKER_TIMEOUT_MS,
    connectTimeoutMs: BROKER_TIMEOUT_MS,
    ...options,
  });
  clients.push(client);
  return client;
}

/** Resolves when a client has given the broker up and knocked again, in vain. */
function knocked(client: MlmClient): Promise<void> {
  let knocks = 0;
  return new Promise((resolve) => {
    client.on('reconnecting', () => {
      if (++knocks === KNOCKS) resolve();
    });
  });
}

it(
  'goes on where it was when its process does, with everything that clients sent meanwhile',
  async () => {
    const { child, endpoint } = await startBrokerProcess(processes, {
      data: join(processes.folder(), 'data'),
      timeout: TIMEOUT_MS,
    });
    const writer = await open(endpoint, { address: 'writer' });
    const reader = await open(endpoint, { address: 'reader' });
    const owner = await open(endpoint, { address: 'owner' });
    const worker = await open(endpoint, { address: 'worker' });
    const asker = await open(endpoint, { address: 'asker' });
    const old = await open(endpoint, { address: 'old', protocol: 'v1' });

    const read = reader.stream('s').read({ cursor: 'c', from: 'earliest' });
    const mail = owner.mailbox();
    const oldMail = old.mailbox();
    const attempts: string[] = [];
    let release: (() => void) | undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    await worker.offer('svc', { capacity: 2 }, async ({ subject, attempt, signal }) => {
      attempts.push(`${subject} ${attempt}`);
      if (attempt === 1 && subject === 'held') {
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      }
      await released;
      return Buffer.from(subject);
    });
    const sendAll = (numbers: number[]): Promise<unknown> =>
      Promise.all(
        numbers.map((n) =>
          Promise.all([
            writer.stream('s').send(`${n}`, undefined, { id: `${n}` }),
            writer.sendTo('owner', `${n}`),
          ]),
        ),
      );
    const held = asker.request('svc', 'held', undefined, { timeoutMs: TEST_MS });
    await until(() => attempts.length === 1);
    await sendAll(range(1, 10));

    const givenUp = Promise.all(clients.map(knocked));
    child.signal('SIGSTOP');
    const sent = sendAll(range(11, 20));
    const asked = asker.request('svc', 'asked', undefined, { timeoutMs: TEST_MS });
    await givenUp;
    expect(clients.map(({ state }) => state)).not.toContain('open');
    child.signal('SIGCONT');
    release?.();

    await sent;
    expect((await held).text()).toBe('held');
    expect((await asked).text()).toBe('asked');
    // What the worker held was given again, counted. What was on its way to the broker when it
    // stood still was sent again, and may have come twice: it had no id.
    expect(attempts).toEqual(expect.arrayContaining(['held 1', 'asked 1', 'held 2']));
    expect((await take(read, 20)).map(({ subject }) => Number(subject))).toEqual(range(1, 20));
    expect((await writer.streamInfo('s')).lastSequence).toBe(20);
    const subjects = new Set<number>();
    while (subjects.size < 20) subjects.add(Number((await take(mail, 1))[0]!.subject));
    expect([...subjects]).toEqual(range(1, 20));
    // Who has not come back yet is there as the ghost of a session that it opened in vain.
    await until(() => clients.every(({ state }) => state === 'open'), 'everybody is back');
    await expectNobodyTwice(asker);
    // Mail to a client of MLM/1 counts as delivered when a socket took it, be it one that the
    // client had left; in the session that is left it comes.
    await writer.sendTo('old', 'after');
    expect((await take(oldMail, 1))[0]).toMatchObject({ subject: 'after', sender: 'writer' });
    expect(child.exit).toBeUndefined();
  },
  TEST_MS,
);

/** Of all the sessions that knocked, one is left of each client. */
async function expectNobodyTwice(asker: MlmClient): Promise<void> {
  const expected = clients.map(({ address }) => address).sort();
  await until(async () => {
    const reply = await asker.request('$broker', 'clients');
    const rows = reply.value() as { address: string }[];
    const addresses = rows.map(({ address }) => address).sort();
    return JSON.stringify(addresses) === JSON.stringify(expected);
  });
}
