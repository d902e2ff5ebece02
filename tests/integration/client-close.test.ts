// A client that is closed while there is no session, over real sockets: what waits
// goes out in one more session, or is told to be lost.
import { connect, type ConnectOptions, type MlmClient } from '../../client/index.js';
import { ScriptedBroker } from '../support/scripted-broker.js';
import { failureOf, next, range, take, World } from '../support/sessions.js';

/** Long enough for a broker to come back. */
const patient: ConnectOptions = { heartbeatMs: 50, closeTimeoutMs: 60_000 };

describe('on MLM/1', () => {
  const brokers: ScriptedBroker[] = [];
  const clients: MlmClient[] = [];

  afterEach(async () => {
    for (const broker of brokers.splice(0)) broker.stop();
    await Promise.all(clients.splice(0).map((client) => client.close()));
  });

  async function startBroker(endpoint?: string): Promise<ScriptedBroker> {
    const broker = await ScriptedBroker.start(endpoint);
    brokers.push(broker);
    return broker;
  }

  async function connectTo(endpoint: string, options: ConnectOptions): Promise<MlmClient> {
    const client = await connect(endpoint, options);
    clients.push(client);
    return client;
  }

  it('what waits goes to the broker that comes back, and nothing is declared to it', async () => {
    const first = await startBroker();
    const client = await connectTo(first.endpoint, patient);
    await client.stream('read').read().ready;
    const lost = next(client, 'disconnected');
    first.stop();
    await lost;
    const sends = ['1', '2'].map((subject) => client.stream('s').send(subject));
    client.stream('s').publish('3');
    const closing = client.close();
    expect(client.state).toBe('closing');
    const second = await startBroker(first.endpoint);
    await closing;
    await Promise.all(sends);
    const names = second.received.map(({ command }) => command.name);
    expect(names.filter((name) => name !== 'CONNECTION PING')).toEqual([
      'CONNECTION OPEN',
      'STREAM WRITE',
      ...new Array<string>(3).fill('STREAM SEND'),
      'CONNECTION CLOSE',
    ]);
    expect(second.commands('STREAM SEND').map(({ subject }) => subject)).toEqual(['1', '2', '3']);
  });

  it('what no broker came for is told', async () => {
    const broker = await startBroker();
    const client = await connectTo(broker.endpoint, { heartbeatMs: 50, closeTimeoutMs: 200 });
    const lost = next(client, 'disconnected');
    broker.stop();
    await lost;
    const refused: number[] = [];
    client.on('refused', ({ count }) => refused.push(count));
    const sent = failureOf(client.stream('s').send('x'));
    client.stream('s').publish('y');
    await client.close();
    const { code, message } = await sent;
    expect(code).toBe('CLOSED');
    expect(message).toContain('the broker did not take 2 messages');
    expect(refused).toEqual([1]);
  });

  it('a session that is being renewed is waited for', async () => {
    const broker = await startBroker();
    const client = await connectTo(broker.endpoint, patient);
    const offer = await client.offer('svc', () => 1);
    let held = true;
    broker.script = ({ name }) => (held && name === 'CONNECTION CLOSE' ? [] : undefined);
    const stopped = offer.stop();
    const { peer } = await broker.seen('CONNECTION CLOSE');
    const sent = client.stream('s').send('x');
    const closing = client.close();
    held = false;
    await broker.send(peer, { name: 'OK', statusCode: 200, statusReason: '' });
    await Promise.all([closing, stopped, sent]);
    expect(broker.commands('STREAM SEND')).toHaveLength(1);
    expect(broker.commands('SERVICE OFFER')).toHaveLength(1);
  });
});

describe('in a native session', () => {
  const world = new World();
  afterEach(() => world.close());

  it('what waits goes to the broker that comes back, once and in order', async () => {
    const data = await world.directory();
    const first = await world.broker({ data });
    const client = await world.client({ ...patient, address: 'leaving' });
    await client.offer('svc', () => 1);
    const mail = client.mailbox();
    const lost = next(client, 'disconnected');
    await first.stop();
    await lost;
    const sends = range(1, 50).map((n) => client.stream('s').send(String(n)));
    for (const n of range(51, 100)) client.stream('s').publish(String(n));
    const mailed = client.sendTo('absent', 'later');
    const closing = client.close();
    await world.broker({ data });
    await closing;
    await Promise.all([...sends, mailed]);
    expect((await mail.next()).done).toBe(true);

    const other = await world.client();
    const messages = await take(other.stream('s').read({ from: 'earliest' }), 100);
    expect(messages.map(({ subject }) => subject)).toEqual(range(1, 100).map(String));
    const rows = (await other.request('$broker', 'clients')).value() as { address: string }[];
    expect(rows.map(({ address }) => address)).toEqual([other.address]);
    expect((await other.request('$broker', 'services')).value()).toEqual([]);
  });

  it('what no broker came for is told', async () => {
    const broker = await world.broker();
    const client = await world.client({ closeTimeoutMs: 200 });
    const lost = next(client, 'disconnected');
    await broker.stop();
    await lost;
    const refused: [string, number, string][] = [];
    client.on('refused', ({ stream, count, error }) => refused.push([stream, count, error.code]));
    const sent = failureOf(client.stream('s').send('x'));
    for (let n = 0; n < 3; n++) client.stream('t').publish('y');
    await client.close();
    expect((await sent).message).toContain('the broker did not take 4 messages');
    expect(refused).toEqual([['t', 3, 'CLOSED']]);
  });
});
