// All three patterns through our broker, with the Python peer on one side and
// our SDK on the other; and what only a peer that can CONFIRM may see.
import { startBroker, type Broker } from '../../broker/index.js';
import { connect, type MlmClient } from '../../client/index.js';
import { useProcesses } from '../support/processes.js';
import { LinePeer } from './line-peer.js';
import { SCENARIOS, TRACKER_SCENARIOS } from './patterns.js';
import { requirePython, startPython } from './python.js';
import { SdkPeer } from './sdk-peer.js';
import { failureOf } from '../support/failure.js';

const scenarios = Object.entries({ ...SCENARIOS, ...TRACKER_SCENARIOS });
const processes = useProcesses();
let broker: Broker;
let endpoint: string;
let sdk: SdkPeer;

beforeAll(requirePython);

beforeEach(async () => {
  // A peer is not given up because the machine is busy with others.
  broker = await startBroker({ bind: ['tcp://127.0.0.1:*'], timeout: 3_600_000 });
  endpoint = broker.endpoints[0]!;
  sdk = new SdkPeer();
});

afterEach(async () => {
  await sdk.close();
  await broker.stop();
});

async function python(): Promise<LinePeer> {
  return new LinePeer(await startPython(processes.start));
}

describe('Python to SDK', () => {
  it.each(scenarios)('%s', async (_, scenario) => {
    await scenario({ endpoint, one: await python(), other: sdk });
  });
});

describe('SDK to Python', () => {
  it.each(scenarios)('%s', async (_, scenario) => {
    await scenario({ endpoint, one: sdk, other: await python() });
  });
});

describe('confirmations between SDK and Python', () => {
  let client: MlmClient;

  beforeEach(async () => {
    client = await connect(endpoint, { address: 'sdk' });
  });

  afterEach(async () => {
    await client.close();
  });

  it('what the SDK sends, Python confirms or refuses', async () => {
    const receiver = await python();
    await receiver.open(endpoint, 'python');
    const sent = client.sendTo('python', 'good', 'x', { confirm: true, tracker: 'T-1' });
    expect((await receiver.nextMail()).subject).toBe('good');
    await receiver.command('confirm', 'T-1', '200', '');
    await sent;
    // Listened to at once: it may come before Python has said that it is done.
    const refused = failureOf(
      client.sendTo('python', 'bad', 'x', { confirm: true, tracker: 'T-2' }),
    );
    expect((await receiver.nextMail()).subject).toBe('bad');
    await receiver.command('confirm', 'T-2', '300', 'not for me');
    expect(await refused).toMatchObject({ code: 'REFUSED' });
  });

  it('what Python sends, the SDK confirms to the broker; Python, as a C client, is not told', async () => {
    const sender = await python();
    await sender.open(endpoint, 'python');
    await sender.command('mail', 'sdk', 'tracked', 'T-3', '0');
    for await (const mail of client.mailbox()) {
      expect(mail.tracker).toBe('T-3');
      await mail.confirm();
      break;
    }
    await client.sendTo('python', 'barrier', 'x');
    expect((await sender.nextMail()).subject).toBe('barrier');
    expect(broker.counters.confirms).toBe(0);
  });
});

describe('Python to Python', () => {
  it('a CONFIRM reaches the sender of a tracked message', async () => {
    const [sender, receiver] = [await python(), await python()];
    await sender.open(endpoint, 'sender');
    await receiver.open(endpoint, 'receiver');
    await sender.command('mail', 'receiver', 'tracked', 'T-1', '0');
    expect((await receiver.nextMail()).subject).toBe('tracked');
    await receiver.command('confirm', 'T-1', '200', 'read');
    expect(await sender.confirmations.next('confirmation')).toEqual({
      tracker: 'T-1',
      statusCode: 200,
    });
  });

  it('a message that expires unread is confirmed with 408 and not delivered', async () => {
    const [sender, receiver] = [await python(), await python()];
    await sender.open(endpoint, 'sender');
    await sender.command('mail', 'receiver', 'short-lived', 'T-2', '1', '00');
    expect(await sender.confirmations.next('confirmation')).toEqual({
      tracker: 'T-2',
      statusCode: 408,
    });
    await sender.sendTo('receiver', 'lasting', []);
    await receiver.open(endpoint, 'receiver');
    expect((await receiver.nextMail()).subject).toBe('lasting');
  });

  it('a client that grants credit gets no more than it granted', async () => {
    const [sender, receiver] = [await python(), await python()];
    await receiver.open(endpoint, 'receiver');
    await receiver.command('credit', '2');
    await sender.open(endpoint, 'sender');
    for (const n of [1, 2, 3, 4]) await sender.sendTo('receiver', `m${n}`, []);
    // What the sender gets back itself tells that the broker has all that came before.
    await sender.sendTo('sender', 'through', []);
    await sender.nextMail();
    expect((await receiver.nextMail()).subject).toBe('m1');
    expect((await receiver.nextMail()).subject).toBe('m2');
    // The answer to a command of its own comes after all that was delivered before it.
    await receiver.read('unrelated', '');
    expect(receiver.mailWaiting).toBe(0);
    await receiver.command('credit', '5');
    expect((await receiver.nextMail()).subject).toBe('m3');
    expect((await receiver.nextMail()).subject).toBe('m4');
  });
});
