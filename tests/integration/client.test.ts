// The SDK and this project's broker, over real sockets, in native sessions and on
// MLM/1: every verb between two clients, a broker that goes and comes back, readers
// that do not keep up.
import { startBroker, type Broker } from '../../broker/index.js';
import { connect, type ConnectOptions, type MlmClient, type Sent } from '../../client/index.js';
import type { MlmError } from '../../client/errors.js';
import { onceFree } from '../support/scripted-broker.js';
import { untilPasses } from '../support/until.js';

const brokers: Broker[] = [];
const clients: MlmClient[] = [];

async function start(endpoint = 'tcp://127.0.0.1:*'): Promise<Broker> {
  const broker = await onceFree(() => startBroker({ bind: [endpoint], ephemeral: true }));
  brokers.push(broker);
  return broker;
}

function endpointOf(broker: Broker): string {
  const [endpoint] = broker.endpoints;
  if (endpoint === undefined) throw new Error('the broker listens nowhere');
  return endpoint;
}

/** What the clients of a test speak. */
let protocol: 'auto' | 'v1' = 'auto';

async function connectTo(broker: Broker, options: ConnectOptions = {}): Promise<MlmClient> {
  const client = await connect(endpointOf(broker), { protocol, ...options });
  clients.push(client);
  return client;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'resolved',
    (error: unknown) => (error as MlmError).code,
  );
}

/** Takes `count` messages of a reader. */
async function take<T>(reader: AsyncIterator<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  while (taken.length < count) {
    const next = await reader.next();
    if (next.done === true) break;
    taken.push(next.value);
  }
  return taken;
}

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await Promise.all(brokers.splice(0).map((broker) => broker.stop()));
});

describe.each(['auto', 'v1'] as const)('sessions (%s):', (spoken) => {
  beforeEach(() => {
    protocol = spoken;
  });

  describe('streams', () => {
    it('bring each reader what its pattern matches, in order, values and frames', async () => {
      const broker = await start();
      const [writer, reading] = [await connectTo(broker), await connectTo(broker)];
      const all = reading.stream('weather').read();
      const temp = reading.stream('weather').read({ pattern: '^temp' });
      await Promise.all([all.ready, temp.ready]);
      const weather = writer.stream('weather');
      await weather.send('temp.moscow', { celsius: 4 });
      await weather.send('rain.moscow', [Buffer.from('a'), Buffer.alloc(0), Buffer.from([255])]);
      await weather.send('temp.madrid', Buffer.from('raw'));
      await weather.send('none');
      const [first, second, third, fourth] = await take(all, 4);
      expect(first).toMatchObject({ stream: 'weather', sender: writer.address });
      expect(first?.value()).toEqual({ celsius: 4 });
      expect(second?.content).toEqual([Buffer.from('a'), Buffer.alloc(0), Buffer.from([255])]);
      expect(third?.text()).toBe('raw');
      expect(fourth?.content).toEqual([]);
      const subjects = (await take(temp, 2)).map(({ subject }) => subject);
      expect(subjects).toEqual(['temp.moscow', 'temp.madrid']);
    });

    it('written in turn by one client keep their messages apart and in order', async () => {
      const broker = await start();
      const [writer, reading] = [await connectTo(broker), await connectTo(broker)];
      const names = ['one', 'two', 'three'];
      const readers = names.map((name) => reading.stream(name).read());
      await Promise.all(readers.map(({ ready }) => ready));
      const sends: Promise<Sent>[] = [];
      for (let n = 0; n < 300; n++) {
        sends.push(writer.stream(names[n % 3] as string).send(String(n)));
      }
      await Promise.all(sends);
      for (const [index, reader] of readers.entries()) {
        const subjects = (await take(reader, 100)).map(({ subject }) => Number(subject));
        expect(subjects).toEqual(Array.from({ length: 100 }, (_, n) => n * 3 + index));
      }
    });

    it('do not stop for readers that come and go', async () => {
      const broker = await start();
      const [writer, reading] = [await connectTo(broker), await connectTo(broker)];
      const staying = reading.stream('s').read();
      await staying.ready;
      for (let n = 0; n < 20; n++) {
        const passing = reading.stream('s').read({ pattern: `^${n}$` });
        await passing.ready;
        await writer.stream('s').send(String(n));
        expect((await take(passing, 1))[0]?.subject).toBe(String(n));
        await passing.cancel();
      }
      const subjects = (await take(staying, 20)).map(({ subject }) => subject);
      expect(subjects).toEqual(Array.from({ length: 20 }, (_, n) => String(n)));
      await staying.cancel();
      const again = reading.stream('s').read();
      await again.ready;
      await writer.stream('s').send('after');
      expect((await take(again, 1))[0]?.subject).toBe('after');
    });

    it('wait for a slow reader: nothing is lost while it sleeps', async () => {
      const broker = await start();
      const [writer, reading] = [await connectTo(broker), await connectTo(broker)];
      const paused = new Promise<void>((resolve) => reading.once('paused', resolve));
      const reader = reading.stream('s').read({ bufferMessagesMax: 100 });
      await reader.ready;
      const count = 10_000;
      const body = Buffer.alloc(100);
      for (let n = 0; n < count; n++) {
        const sent = writer.stream('s').send(String(n), body);
        if (n % 100 === 0) await sent;
      }
      if (protocol === 'v1') await paused;
      let expected = 0;
      for await (const { subject } of reader) {
        if (Number(subject) !== expected) throw new Error(`${subject} came for ${expected}`);
        if (++expected === count) break;
      }
      expect(reader.lost).toBe(0);
    });
  });

  describe('mail', () => {
    it('reaches a mailbox, at once or when its owner connects', async () => {
      const broker = await start();
      const sender = await connectTo(broker, { address: 'sender' });
      await sender.sendTo('owner', 'early', { n: 1 });
      const owner = await connectTo(broker, { address: 'owner' });
      await sender.sendTo('owner', 'later', 'text', { tracker: 'T' });
      const [early, later] = await take(owner.mailbox(), 2);
      expect([early?.subject, early?.sender, early?.value()]).toEqual([
        'early',
        'sender',
        { n: 1 },
      ]);
      expect([later?.subject, later?.tracker, later?.value()]).toEqual(['later', 'T', 'text']);
    });

    it('is confirmed or refused by its receiver, or expires', async () => {
      const broker = await start();
      const [sender, owner] = [await connectTo(broker), await connectTo(broker, { address: 'o' })];
      const answering = (async () => {
        for await (const mail of owner.mailbox()) {
          if (mail.subject === 'good') await mail.confirm();
          else await mail.reject('not good');
          if (mail.subject === 'bad') break;
        }
      })();
      await sender.sendTo('o', 'good', 1, { confirm: true });
      const bad = sender.sendTo('o', 'bad', 1, { confirm: true });
      await expect(bad).rejects.toMatchObject({ code: 'REFUSED', status: 300 });
      await expect(bad).rejects.toThrow('not good');
      await answering;
      const nobody = sender.sendTo('nobody', 'x', 1, { tracker: 'T', timeoutMs: 50 });
      const confirmed = new Promise((resolve) => sender.once('confirm', resolve));
      await nobody;
      expect(await confirmed).toMatchObject({ tracker: 'T', status: 408 });
    });

    it('may come from the anonymous', async () => {
      const broker = await start();
      const anonymous = await connectTo(broker, { address: '' });
      const owner = await connectTo(broker);
      await anonymous.sendTo(owner.address, 'hello');
      expect((await take(owner.mailbox(), 1))[0]).toMatchObject({ subject: 'hello', sender: '' });
    });
  });

  describe('services', () => {
    it('answer with values, frames, nothing, or an error', async () => {
      const broker = await start();
      const [asking, working] = [await connectTo(broker), await connectTo(broker)];
      await working.offer('work', { concurrency: 4 }, (request) => {
        if (request.subject === 'frames') return [Buffer.from('a'), Buffer.from('b')];
        if (request.subject === 'nothing') return undefined;
        if (request.subject === 'fail') throw new RangeError('too much');
        return { got: request.value(), from: request.sender };
      });
      const reply = await asking.request('work', 'value', [1, 2]);
      expect(reply.value()).toEqual({ got: [1, 2], from: asking.address });
      expect(reply.sender).toBe(working.address);
      const frames = await asking.request('work', 'frames');
      expect(frames.content.join()).toBe('a,b');
      expect((await asking.request('work', 'nothing')).value()).toBeUndefined();
      await expect(asking.request('work', 'fail')).rejects.toMatchObject({
        code: 'WORKER_ERROR',
        workerCode: 'RangeError',
      });
    });

    it('share many requests among workers, each answered with its own reply', async () => {
      const broker = await start();
      const asking = await connectTo(broker);
      const counts = [0, 0];
      for (const index of [0, 1]) {
        const worker = await connectTo(broker);
        await worker.offer('double', { concurrency: 8 }, (request) => {
          counts[index] = (counts[index] ?? 0) + 1;
          return Number(request.value()) * 2;
        });
      }
      const numbers = Array.from({ length: 400 }, (_, n) => n);
      const replies = await Promise.all(numbers.map((n) => asking.request('double', 'n', n)));
      expect(replies.map((reply) => reply.value())).toEqual(numbers.map((n) => n * 2));
      expect(Math.min(...counts)).toBeGreaterThan(0);
    });

    it('that nobody offers expire; patterns decide who is asked', async () => {
      const broker = await start();
      const [asking, working] = [await connectTo(broker), await connectTo(broker)];
      await working.offer('work', { pattern: '^a' }, () => 1);
      expect(await codeOf(asking.request('work', 'a'))).toBe('resolved');
      await untilPasses(async () => {
        // TIMEOUT where this process stood still when the broker was to say so.
        expect(await codeOf(asking.request('work', 'b', 1, { timeoutMs: 500 }))).toBe('EXPIRED');
      });
    });

    it('stop on one worker and go on at another', async () => {
      const broker = await start();
      const [asking, one, two] = [
        await connectTo(broker),
        await connectTo(broker),
        await connectTo(broker),
      ];
      const offer = await one.offer('work', { concurrency: 100 }, () => 'one');
      await two.offer('work', { concurrency: 100 }, () => 'two');
      await offer.stop();
      const asked = Array.from({ length: 20 }, () => asking.request('work', 'x'));
      const replies = (await Promise.all(asked)).map((reply) => reply.value());
      expect(new Set(replies)).toEqual(new Set(['two']));
      expect(one.state).not.toBe('closed');
      await one.sendTo(asking.address, 'still here');
      expect((await take(asking.mailbox(), 1))[0]?.subject).toBe('still here');
    });

    it('may be asked for by a reader in its loop, however much waits for it', async () => {
      const broker = await start();
      const [writer, reading, working] = [
        await connectTo(broker),
        await connectTo(broker),
        await connectTo(broker),
      ];
      await working.offer('echo', { concurrency: 4 }, (request) => request);
      const reader = reading.stream('s').read({ bufferMessagesMax: 500 });
      await reader.ready;
      await Promise.all(Array.from({ length: 1500 }, (_, n) => writer.stream('s').send(String(n))));
      let handled = 0;
      for await (const { subject } of reader) {
        const reply = await reading.request('echo', subject, subject);
        expect(reply.value()).toBe(subject);
        if (++handled === 50) break;
      }
    });
  });

  describe('a broker that is restarted on its port', () => {
    it('has its readers, workers and what was sent meanwhile back', async () => {
      const first = await start();
      const options = { heartbeatMs: 100 };
      const [a, b] = [await connectTo(first, options), await connectTo(first, options)];
      const reader = b.stream('s').read();
      await reader.ready;
      await b.offer('work', () => 'done');
      const lost = [a, b].map(
        (client) => new Promise<void>((ok) => client.once('disconnected', () => ok())),
      );
      const back = [a, b].map((client) => new Promise<void>((ok) => client.once('connected', ok)));
      await first.stop();
      await Promise.all(lost);
      const asking = a.request('work', 'x');
      await start(endpointOf(first));
      await Promise.all(back);
      await b.ping();
      expect((await asking).value()).toBe('done');
      await a.stream('s').send('again');
      expect((await take(reader, 1))[0]?.subject).toBe('again');
    });
  });

  describe('an address that is taken over', () => {
    it('is held by one of its clients at a time, and the broker survives the quarrel', async () => {
      const broker = await start();
      const older = await connectTo(broker, { address: 'same', heartbeatMs: 50 });
      const lost = new Promise<void>((ok) => older.once('disconnected', () => ok()));
      const newer = await connectTo(broker, { address: 'same' });
      const other = await connectTo(broker);
      await other.sendTo('same', 'x');
      const mailboxes = [older, newer].map((client) => take(client.mailbox(), 1));
      expect((await Promise.race(mailboxes))[0]?.subject).toBe('x');
      await lost;
    });
  });

  describe('close', () => {
    it('leaves nothing that was sent behind', async () => {
      const broker = await start();
      const reading = await connectTo(broker);
      const writer = await connectTo(broker, { closeTimeoutMs: 60_000 });
      const reader = reading.stream('s').read({ bufferMessagesMax: 10_000 });
      await reader.ready;
      const sends = Array.from({ length: 5000 }, (_, n) => writer.stream('s').send(String(n)));
      await Promise.all([writer.close(), ...sends]);
      const subjects = (await take(reader, 5000)).map(({ subject }) => Number(subject));
      expect(subjects).toEqual(Array.from({ length: 5000 }, (_, n) => n));
    });
  });
});
