// Clients that do what no decent client does, while others work: whatever they
// try, their neighbours lose nothing, and the broker keeps nothing of them.
import { randomBytes } from 'node:crypto';
import { Socket } from 'node:net';
import fc from 'fast-check';
import { COMMANDS, encode } from '../../protocol/index.js';
import { useBrokers, type RunningBroker } from '../support/brokers.js';
import { useRawClients, type RawClient } from '../support/raw-client.js';
import {
  brief,
  CLOSE,
  confirm,
  credit,
  mail,
  offer,
  open,
  PING,
  read,
  request,
  send,
  write,
} from '../support/v1-commands.js';
import { until } from '../support/until.js';

const start = useBrokers();
const clients = useRawClients();

/** What a hostile client gets out of a broker besides errors is not its neighbours' business. */
const MESSAGES = 400;
/** Much takes long where the machine is busy with other things. */
const PATIENCE_MS = 240_000;

/** How long a decent client waits for one thing before the test fails, ms. */
const WAIT_MS = 60_000;
/** A decent client that was silent for so long says that it is there, ms. */
const BEAT_MS = 100;

/**
 * Decent clients, which keep their sessions while they wait for something, as the protocol
 * asks them to, however long that takes on a machine that is busy.
 */
class Neighbours {
  readonly #clients: readonly RawClient[];
  #beatAtMs = 0;

  constructor(...members: readonly RawClient[]) {
    this.#clients = members;
  }

  /** The next messages that one of them gets, without answers to heartbeats, in brief. */
  async collect(client: RawClient, count: number): Promise<string[]> {
    const words: string[] = [];
    const untilMs = performance.now() + WAIT_MS;
    while (words.length < count) {
      const command = await client.poll(BEAT_MS);
      if (command !== undefined && command.name !== 'CONNECTION PONG') words.push(brief(command));
      await this.#beat();
      if (performance.now() > untilMs) throw new Error('nothing came in time');
    }
    return words;
  }

  async expect(client: RawClient, ...words: string[]): Promise<void> {
    expect(await this.collect(client, words.length)).toEqual(words);
  }

  async #beat(): Promise<void> {
    if (performance.now() < this.#beatAtMs + BEAT_MS) return;
    this.#beatAtMs = performance.now();
    for (const client of this.#clients) await client.send(PING);
  }
}

/**
 * Decent clients that use everything while something happens, and lose nothing: a stream, mail,
 * requests and heartbeats, all of them in order.
 */
async function whileNeighboursWork(
  { endpoint }: RunningBroker,
  something: () => Promise<void>,
): Promise<void> {
  const writer = await clients.open(endpoint, 'decent-writer');
  const reader = await clients.open(endpoint, 'decent-reader');
  const worker = await clients.open(endpoint, 'decent-worker');
  await reader.ask(read('decent', '^n'), 'OK 200');
  await worker.ask(offer('decent', ''), 'OK 200');
  await writer.ask(write('decent'), 'OK 200');
  const neighbours = new Neighbours(writer, reader, worker);
  const state = { over: false };
  const happening = something().finally(() => (state.over = true));
  const work = (async () => {
    for (let n = 0; n < MESSAGES || !state.over; n++) {
      await writer.send(
        send(`n${n}`),
        mail('decent-reader', `m${n}`),
        request('decent', `r${n}`, { tracker: `t${n}` }),
      );
      expect((await neighbours.collect(reader, 2)).sort()).toEqual([`m${n}`, `n${n}`]);
      await neighbours.expect(worker, `r${n}`);
      await worker.send(confirm(`t${n}`));
      await neighbours.expect(writer, `CONFIRM t${n} 200`);
    }
  })();
  await Promise.all([happening, work]);
  // Nothing else came for them meanwhile.
  for (const client of [writer, reader, worker]) {
    await client.send(CLOSE);
    await neighbours.expect(client, 'OK 200');
  }
  for (const client of [writer, reader, worker]) client.close();
}

/** Sends without waiting for the socket to take it, as fast as it will. */
async function hurl(client: RawClient, frames: Buffer[], times: number): Promise<void> {
  for (let n = 0; n < times; n++) {
    await client.sendFrames(frames);
    // The hostile client shares this process: others must get their turn.
    if (n % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

async function expectNothingLeft({ broker, endpoint }: RunningBroker): Promise<void> {
  const looker = await clients.open(endpoint, '');
  await until(async () => {
    const stats = await looker.view<Record<string, number>>('stats');
    const streams = await looker.view<{ writers: number; readers: number }[]>('streams');
    const unused = streams.every(({ writers, readers }) => writers === 0 && readers === 0);
    return stats['sessions'] === 1 && stats['services'] === 0 && unused;
  }, 'nobody is left in any table');
  expect(broker.counters.sessionsOpened).toBeGreaterThan(0);
  await looker.leave();
}

describe('neighbours are not disturbed by', () => {
  it(
    'random octets',
    async () => {
      const running = await start({ timeout: 1000 });
      const hostile = clients.connect(running.endpoint);
      await whileNeighboursWork(running, async () => {
        for (let n = 0; n < 2000; n++) {
          const frames = Array.from({ length: 1 + (n % 4) }, () => randomBytes(n % 300));
          if (n % 3 === 0)
            frames[0] = Buffer.concat([Buffer.from('aaa8', 'hex'), randomBytes(n % 40)]);
          await hostile.sendFrames(frames);
        }
        const { counters } = running.broker;
        await until(() => counters.protocolErrors > 1000, 'the broker has got most of them');
      });
      hostile.close();
      await expectNothingLeft(running);
    },
    PATIENCE_MS,
  );

  it(
    'sound commands at random, in any order',
    async () => {
      const running = await start({ timeout: 1000, 'streams-max': 50, 'services-max': 50 });
      const text = fc.constantFrom('', '$broker', 'decent', 'a', '[', '(a*)*b', 'x'.repeat(255));
      const anything = fc.oneof(
        text.map((name) => open(name)),
        text.map((name) => write(name)),
        fc
          .tuple(text, text)
          .map(([name, pattern]) => read(`hostile ${name}`.slice(0, 255), pattern)),
        fc.tuple(text, text).map(([name, pattern]) => offer(`h ${name}`.slice(0, 255), pattern)),
        text.map((subject) => send(subject)),
        fc
          .tuple(text, text)
          .map(([to, tracker]) => mail(`h ${to}`.slice(0, 255), 'x', { tracker })),
        fc.tuple(text, text).map(([to, subject]) => request(to === 'decent' ? 'h' : to, subject)),
        text.map((tracker) => confirm(tracker, 999)),
        fc.nat(0xffff).map((amount) => credit(amount)),
        fc.constantFrom(PING, CLOSE),
      );
      const commands = fc.sample(anything, { numRuns: 5000, seed: 42 });
      const hostile = clients.connect(running.endpoint);
      await whileNeighboursWork(running, async () => {
        for (const [n, command] of commands.entries()) {
          if (n % 3 === 0) await hostile.send(open('hostile'));
          await hostile.send(command);
          while ((await hostile.poll(0)) !== undefined);
        }
        const { counters } = running.broker;
        await until(() => counters.invalidCommands > 100, 'the broker has got many of them');
        await hostile.send(CLOSE);
      });
      hostile.close();
      await until(async () => {
        const looker = await clients.open(running.endpoint, '');
        const { sessions } = await looker.view<{ sessions: number }>('stats');
        await looker.leave();
        return sessions === 1;
      }, 'its session is over');
    },
    PATIENCE_MS,
  );

  it(
    'commands that only a broker may send',
    async () => {
      const running = await start();
      const hostile = await clients.open(running.endpoint, 'hostile');
      await whileNeighboursWork(running, async () => {
        for (const { id } of Object.values(COMMANDS)) {
          await hostile.sendFrames([
            Buffer.concat([Buffer.from([0xaa, 0xa8, id]), Buffer.alloc(600)]),
          ]);
          while ((await hostile.poll(20)) !== undefined);
          await hostile.send(CLOSE, open('hostile'));
          await hostile.collect(2);
        }
      });
    },
    PATIENCE_MS,
  );

  it(
    'messages of thousands of frames, and frames beyond the limit',
    async () => {
      const running = await start({ 'message-bytes-max': 100_000, timeout: 3000 });
      const hostile = await clients.open(running.endpoint, 'hostile');
      await hostile.ask(write('h'), 'OK 200');
      await hostile.ask(read('h'), 'OK 200');
      const header = encode(send('x'))[0]!;
      await whileNeighboursWork(running, async () => {
        for (let n = 0; n < 10; n++) {
          await hostile.sendFrames([header, ...new Array<Buffer>(10_000).fill(Buffer.alloc(1))]);
          await hostile.sendFrames([header, ...new Array<Buffer>(20).fill(Buffer.alloc(100_000))]);
          await hostile.send(
            mail('nobody', 'x', { tracker: 't', content: [Buffer.alloc(100_001)] }),
          );
          await hostile.expect('CONFIRM t 300');
        }
        // Such a frame costs its sender the connection.
        await hostile.sendFrames([header, Buffer.alloc(5_000_000)]);
        await until(() => running.broker.counters.sessionsExpired > 0, 'it was cut off');
      });
      expect(running.broker.counters.refused).toBe(20);
    },
    PATIENCE_MS,
  );

  it(
    'tens of thousands of answers that nobody reads',
    async () => {
      const running = await start({ timeout: 2000 });
      const { counters } = running.broker;
      const hostile = await clients.open(running.endpoint, 'hostile', { receiveHighWaterMark: 1 });
      const refused = encode(mail('', 'x', { tracker: 't'.repeat(255) }));
      await whileNeighboursWork(running, async () => {
        await hurl(hostile, refused, 40_000);
        // The sockets between hold some of what was sent, and of the answers.
        while (counters.repliesDropped === 0) await hurl(hostile, refused, 100);
        // An answer that does not fit any more costs the session.
        while (counters.invalidCommands === 0) await hurl(hostile, encode(PING), 100);
        await hurl(hostile, encode(PING), 3000);
      });
      hostile.close();
      await expectNothingLeft(running);
    },
    PATIENCE_MS,
  );

  it(
    'views without end that nobody reads',
    async () => {
      const running = await start({ timeout: 1000 });
      const hostile = await clients.open(running.endpoint, 'hostile', { receiveHighWaterMark: 10 });
      await whileNeighboursWork(running, async () => {
        await hurl(hostile, encode(request('$broker', 'stats.json')), 5000);
      });
      hostile.close();
      await expectNothingLeft(running);
    },
    PATIENCE_MS,
  );

  it(
    'ten thousand subscriptions, and subjects that nobody has seen before',
    async () => {
      const running = await start({ timeout: 5000 });
      const hostile = await clients.open(running.endpoint, 'hostile');
      await whileNeighboursWork(running, async () => {
        for (let n = 0; n < 10_000; n++) {
          await hostile.send(read('hostile', `^h${n}.*[a-z]$`));
          if (n % 50 === 49) await hostile.collect(50);
        }
        await hostile.ask(read('hostile', 'one more'), 'ERROR 300');
        await hostile.ask(open('hostile'), 'OK 200');
        for (let n = 0; n < 1000; n++) await hostile.send(read(`hostile${n}`, `^h${n}`));
        await hostile.collect(1000);
        await hostile.ask(write('hostile7'), 'OK 200');
        for (let n = 0; n < 500; n++) await hostile.send(send(`h7${n}`));
        await hostile.barrier();
      });
      await hostile.leave();
      await expectNothingLeft(running);
    },
    PATIENCE_MS,
  );

  it(
    'evil regular expressions',
    async () => {
      const running = await start({ timeout: 5000 });
      const patterns = [
        '(a+)+$',
        '(a|a)*b',
        '(x+x+)+y',
        '(((((.*)*)*)*)*)*x',
        '(a?){500}a{500}',
        '(.*)*'.repeat(40),
        '(.?){1000}'.repeat(20),
        '('.repeat(127),
        'a{1000}{1000}',
        '\\pL{1000}',
        '[ab]*a[ab]{200}$',
      ];
      await whileNeighboursWork(running, async () => {
        for (const [n, pattern] of patterns.entries()) {
          const hostile = await clients.open(running.endpoint, `hostile${n}`);
          const other = await clients.open(running.endpoint, `other${n}`);
          await hostile.send(read('h', pattern));
          const answer = brief(await hostile.next());
          expect(['OK 200', 'ERROR 300']).toContain(answer);
          if (answer === 'OK 200') await hostile.ask(offer('h', pattern), 'OK 200');
          await other.ask(write('h'), 'OK 200');
          for (let round = 0; round < 5; round++) {
            const subject = `${'ab'.repeat(120)}${round}`;
            await other.send(send(subject), request('h', subject), send('a'.repeat(255)));
          }
          await other.barrier();
          hostile.close();
          other.close();
        }
      });
    },
    PATIENCE_MS,
  );

  it(
    'bad patterns and reserved names',
    async () => {
      const running = await start();
      const hostile = await clients.open(running.endpoint, 'hostile');
      await whileNeighboursWork(running, async () => {
        for (let round = 0; round < 50; round++) {
          for (const command of [
            read('s', '['),
            offer('s', '('),
            read('$s'),
            write('$s'),
            offer('$broker'),
          ]) {
            await hostile.ask(command, 'ERROR 300');
            await hostile.ask(open('$hostile'), 'ERROR 300');
            await hostile.ask(open('hostile'), 'OK 200');
          }
        }
      });
      await hostile.leave();
      await expectNothingLeft(running);
    },
    PATIENCE_MS,
  );

  it(
    'clients that fight for one address',
    async () => {
      const running = await start();
      const fighters = [1, 2, 3, 4].map(() => clients.connect(running.endpoint));
      await whileNeighboursWork(running, async () => {
        for (let round = 0; round < 200; round++) {
          for (const fighter of fighters) {
            await fighter.send(open('throne'));
            // Its older session ended when another one came, or it is still open: an error.
            const answer = brief(await fighter.next());
            if (answer !== 'OK 200') await fighter.ask(open('throne'), 'OK 200');
          }
        }
      });
      for (const fighter of fighters) fighter.close();
      const last = await clients.open(running.endpoint, 'throne');
      await last.leave();
      const looker = await clients.open(running.endpoint, '');
      expect(await looker.view('stats')).toMatchObject({ sessions: 1 });
    },
    PATIENCE_MS,
  );

  it(
    'peers that speak no ZeroMQ at all',
    async () => {
      const running = await start();
      const port = Number(running.endpoint.split(':').at(-1));
      const sockets: Socket[] = [];
      await whileNeighboursWork(running, async () => {
        for (let n = 0; n < 50; n++) {
          const socket = new Socket();
          socket.on('error', () => undefined);
          sockets.push(socket);
          await new Promise<void>((resolve) => {
            socket.connect(port, '127.0.0.1', resolve);
            socket.once('error', () => resolve());
          });
          socket.write(n % 2 === 0 ? 'GET / HTTP/1.1\r\n\r\n' : randomBytes(1000));
        }
      });
      for (const socket of sockets) socket.destroy();
      await expectNothingLeft(running);
    },
    PATIENCE_MS,
  );
});
