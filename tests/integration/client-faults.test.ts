// The SDK over real sockets, against a broker that does what the test scripts:
// what no good broker does, and what happens when one comes and goes.
import { connect, type ConnectOptions, type MlmClient } from '../../client/index.js';
import type { MlmError } from '../../client/errors.js';
import { errorReply, ScriptedBroker } from '../support/scripted-broker.js';

const OK = { name: 'OK', statusCode: 200, statusReason: '' } as const;
/** A broker is given up where a test says so, and not where the machine is busy. */
const usual: ConnectOptions = {
  heartbeatMs: 50,
  brokerTimeoutMs: 3_600_000,
  connectTimeoutMs: 60_000,
  closeTimeoutMs: 300,
};

const brokers: ScriptedBroker[] = [];
const clients: MlmClient[] = [];

async function startBroker(endpoint?: string): Promise<ScriptedBroker> {
  const broker = await ScriptedBroker.start(endpoint);
  brokers.push(broker);
  return broker;
}

async function connectTo(endpoint: string, options: ConnectOptions = {}): Promise<MlmClient> {
  const client = await connect(endpoint, { ...usual, ...options });
  clients.push(client);
  return client;
}

/** Resolves at the client's next event of this name. */
function next(client: MlmClient, event: 'connected' | 'disconnected'): Promise<void> {
  return new Promise((resolve) => client.once(event, () => resolve()));
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'resolved',
    (error: unknown) => (error as MlmError).code,
  );
}

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  for (const broker of brokers.splice(0)) broker.stop();
});

describe('a broker that is killed and started again on its port', () => {
  it('gets the declarations, then what was sent meanwhile, in order', async () => {
    const first = await startBroker();
    const { endpoint } = first;
    const client = await connectTo(endpoint);
    await client.offer('svc', { pattern: '^a' }, () => 1);
    await client.stream('s').read({ pattern: 'x' }).ready;
    const lost = next(client, 'disconnected');
    const back = next(client, 'connected');
    first.stop();
    await lost;
    const subjects = ['1', '2', '3'];
    const sends = subjects.map((subject) => client.stream('out').send(subject));
    const second = await startBroker(endpoint);
    await back;
    await Promise.all(sends);
    await second.seen('STREAM SEND', 3);
    const received = second.received.map(({ command }) => command);
    expect(received.filter(({ name }) => name !== 'CONNECTION PING')).toMatchObject([
      { name: 'CONNECTION OPEN', address: client.address },
      { name: 'SERVICE OFFER', address: 'svc', pattern: '^a' },
      { name: 'STREAM READ', stream: 's', pattern: 'x' },
      { name: 'STREAM WRITE', stream: 'out' },
      ...subjects.map((subject) => ({ name: 'STREAM SEND', subject })),
    ]);
  });

  it('has what it sent before its end delivered', async () => {
    const broker = await startBroker();
    const client = await connectTo(broker.endpoint);
    const paused = new Promise<void>((resolve) => client.once('paused', resolve));
    const reader = client.stream('s').read({ bufferMessagesMax: 200 });
    const { peer } = await broker.seen('STREAM READ');
    const count = 500;
    for (let n = 0; n < count; n++) {
      const subject = String(n);
      void broker.send(peer, {
        name: 'STREAM DELIVER',
        address: 's',
        sender: 'w',
        subject,
        content: [],
      });
    }
    await broker.send(peer);
    await paused;
    const lost = next(client, 'disconnected');
    broker.stop(5000);
    await lost;
    expect(reader.lost).toBe(0);
    for (let n = 0; n < count; n++) expect((await reader.next()).value?.subject).toBe(String(n));
  });
});

describe('a broker that falls silent', () => {
  it('is left, and found again when it speaks', async () => {
    const broker = await startBroker();
    const client = await connectTo(broker.endpoint, { brokerTimeoutMs: 300 });
    await client.stream('s').read().ready;
    broker.script = () => [];
    await next(client, 'disconnected');
    // It is asked again a while later.
    broker.script = () => undefined;
    await next(client, 'connected');
    await broker.seen('STREAM READ', 2);
  });

  it('does not hold up close', async () => {
    const broker = await startBroker();
    const client = await connectTo(broker.endpoint);
    broker.script = () => [];
    await client.close();
    expect(client.state).toBe('closed');
  });

  it('does not hold up connect', async () => {
    const broker = await startBroker();
    broker.script = () => [];
    const connecting = connect(broker.endpoint, { connectTimeoutMs: 200 });
    await expect(connecting).rejects.toMatchObject({ code: 'CONNECT_TIMEOUT' });
    await expect(connecting).rejects.toThrow(broker.endpoint);
  });
});

describe('a broker that is not there', () => {
  it('makes connect fail with the endpoint and what to do', async () => {
    // A port that a system gives to nobody who asks for any.
    const endpoint = 'tcp://127.0.0.1:1';
    const connecting = connect(endpoint, { connectTimeoutMs: 200 });
    await expect(connecting).rejects.toMatchObject({ code: 'CONNECT_TIMEOUT' });
    await expect(connecting).rejects.toThrow(endpoint);
  });

  it('may come while connect waits', async () => {
    const early = await startBroker();
    const { endpoint } = early;
    early.stop();
    const connecting = connectTo(endpoint);
    await startBroker(endpoint);
    expect((await connecting).state).toBe('open');
  });

  it('does not hold up close; what waits fails', async () => {
    const broker = await startBroker();
    const client = await connectTo(broker.endpoint);
    const lost = next(client, 'disconnected');
    broker.stop();
    await lost;
    const waiting = codeOf(client.sendTo('a', 'b'));
    await client.close();
    expect(await waiting).toBe('CLOSED');
  });

  it.each(['nonsense', 'tcp://', 'http://127.0.0.1:80', 'tcp://127.0.0.1:65536', ''])(
    'has an endpoint, which "%s" is not',
    async (endpoint) => {
      expect(await codeOf(connect(endpoint))).toBe('INVALID_ARGUMENT');
    },
  );
});

describe('a broker that forgot the session', () => {
  it('answers ERROR 500 to a PING and gets everything again', async () => {
    const broker = await startBroker();
    const client = await connectTo(broker.endpoint);
    await client.stream('s').read({ pattern: 'p' }).ready;
    let forgets = true;
    broker.script = ({ name }) => {
      if (!forgets || name !== 'CONNECTION PING') return undefined;
      forgets = false;
      return [errorReply(500)];
    };
    await next(client, 'connected');
    await broker.seen('STREAM READ', 2);
    expect(broker.commands('CONNECTION OPEN')).toHaveLength(2);
  });
});

describe('a command that is not answered yet', () => {
  it('does not keep deliveries away', async () => {
    const broker = await startBroker();
    const client = await connectTo(broker.endpoint);
    const reader = client.stream('s').read();
    await reader.ready;
    broker.script = ({ name }) => (name === 'SERVICE OFFER' ? [] : undefined);
    let offered = false;
    const offering = client.offer('svc', () => 1).then(() => (offered = true));
    const { peer } = await broker.seen('SERVICE OFFER');
    await broker.send(
      peer,
      { name: 'STREAM DELIVER', address: 's', sender: 'w', subject: 'during', content: [] },
      {
        name: 'MAILBOX DELIVER',
        sender: 'w',
        address: client.address,
        subject: 'mail',
        tracker: '',
        content: [],
      },
    );
    expect((await reader.next()).value?.subject).toBe('during');
    expect((await client.mailbox().next()).value?.subject).toBe('mail');
    expect(offered).toBe(false);
    await broker.send(peer, OK);
    await offering;
  });

  it('is answered in the next session where this one is lost', async () => {
    const broker = await startBroker();
    const client = await connectTo(broker.endpoint);
    broker.script = ({ name }) => (name === 'STREAM READ' ? [] : undefined);
    const reader = client.stream('s').read();
    const { peer } = await broker.seen('STREAM READ');
    broker.script = () => undefined;
    await broker.send(peer, errorReply(500));
    await reader.ready;
    expect(broker.commands('STREAM READ')).toHaveLength(2);
  });

  it('fails where it is refused, and only that', async () => {
    const broker = await startBroker();
    const client = await connectTo(broker.endpoint);
    broker.script = (command) =>
      command.name === 'STREAM READ' && command.stream === 'secret'
        ? [errorReply(300, 'not for you')]
        : undefined;
    const secret = client.stream('secret').read();
    const open = client.stream('open').read();
    await expect(secret.next()).rejects.toMatchObject({ code: 'REFUSED', status: 300 });
    await open.ready;
  });
});

describe('sends without a session', () => {
  it('wait up to the bound and are then refused; those that waited arrive in order', async () => {
    const broker = await startBroker();
    const client = await connectTo(broker.endpoint, { bufferMessagesMax: 50 });
    const lost = next(client, 'disconnected');
    broker.stop();
    await lost;
    const sends = Array.from({ length: 60 }, (_, n) => codeOf(client.stream('s').send(String(n))));
    expect(new Set(await Promise.all(sends.slice(50)))).toEqual(new Set(['BUFFER_FULL']));
    const again = await startBroker(broker.endpoint);
    await again.seen('STREAM SEND', 50);
    const subjects = again.commands('STREAM SEND').map(({ subject }) => subject);
    expect(subjects).toEqual(Array.from({ length: 50 }, (_, n) => String(n)));
    expect(new Set(await Promise.all(sends.slice(0, 50)))).toEqual(new Set(['resolved']));
  });
});
