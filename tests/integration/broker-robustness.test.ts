// Much at once: a reader that sleeps, readers that come late, a flood that
// nobody reads, clients by the thousand. Nothing is lost inside the bounds, what
// is beyond them is counted, and the broker is as empty afterwards as before.
import { useBrokers } from '../support/brokers.js';
import { useRawClients, type RawClient } from '../support/raw-client.js';
import { encode } from '../../protocol/index.js';
import {
  brief,
  CLOSE,
  mail,
  offer,
  open,
  PING,
  read,
  request,
  send,
  write,
} from '../support/v1-commands.js';
import { until, untilPasses } from '../support/until.js';

const start = useBrokers();
const clients = useRawClients();
const MIB = 1024 * 1024;
/** Much takes long where the machine is busy with other things. */
const PATIENCE_MS = 240_000;
/** These clients send no heartbeats: nobody is given up for that, however long it takes, ms. */
const NEVER_MS = 3_600_000;

interface ClientRow {
  address: string;
  outbox: number;
}

interface MailboxRow {
  mailbox: string;
  messages: number;
}

interface StreamRow {
  stream: string;
  lastSequence: number;
  bytes: number;
  readers: number;
  behind: number;
}

/** A stream message with a number in its body, as frames: there are many of them. */
function numbered(subject: string, n: number, bytes: number): Buffer[] {
  const body = Buffer.alloc(bytes);
  body.writeUInt32BE(n, 0);
  return [...encode(send(subject)), body];
}

/** The number of the next stream message. */
async function nextNumber(reader: RawClient): Promise<number> {
  const [, body] = await reader.socket.receive();
  return body!.readUInt32BE(0);
}

/** The number of the last message of all. */
const END = 0xffff_ffff;

/** Reads so many messages of a stream; they must be in order, each one `step` more than the last. */
async function readInOrder(
  reader: RawClient,
  from: number,
  count: number,
  step = 1,
): Promise<void> {
  for (let n = from; n < from + count * step; n += step) {
    const number = await nextNumber(reader);
    if (number !== n) throw new Error(`${number} came where ${n} was due`);
  }
}

/** Asks now and then whether a bound holds, until it is told to stop. */
async function watch(look: () => Promise<void>, done: Promise<unknown>): Promise<void> {
  const state = { over: false };
  void done.finally(() => (state.over = true));
  while (!state.over) {
    await look();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

it(
  'a reader that sleeps through 200,000 messages gets them all, in order',
  async () => {
    const { broker, endpoint } = await start({ timeout: NEVER_MS });
    const count = 200_000;
    const sleeper = await clients.open(endpoint, 'sleeper', { receiveHighWaterMark: 10 });
    await sleeper.ask(read('s'), 'OK 200');
    const awake = await clients.open(endpoint, 'awake');
    await awake.ask(read('s', '^tenth$'), 'OK 200');
    const writer = await clients.open(endpoint, 'writer');
    await writer.ask(write('s'), 'OK 200');
    const looker = await clients.open(endpoint, 'looker');
    const rssBefore = process.memoryUsage().rss;

    const writing = (async () => {
      for (let n = 0; n < count; n++) {
        await writer.sendFrames(numbered(n % 10 === 0 ? 'tenth' : 'other', n, 100));
      }
      await writer.barrier();
    })();
    const reading = readInOrder(awake, 0, count / 10, 10);
    const all = Promise.all([writing, reading]);
    await watch(async () => {
      const rows = await looker.view<ClientRow[]>('clients');
      for (const { outbox } of rows) expect(outbox).toBeLessThanOrEqual(1000 + 10);
      const [stream] = await looker.view<StreamRow[]>('streams');
      expect(stream!.bytes).toBeLessThanOrEqual(64 * MIB);
    }, all);
    await all;

    // The other reader has all that it wants; that nothing more of the log does is seen then.
    await untilPasses(async () => {
      const [stream] = await looker.view<StreamRow[]>('streams');
      expect(stream).toMatchObject({ lastSequence: count, readers: 2, behind: 1 });
    });
    await readInOrder(sleeper, 0, count);
    await until(async () => {
      const [row] = await looker.view<StreamRow[]>('streams');
      return row?.behind === 0;
    }, 'the reader is live again');
    await writer.sendFrames(numbered('tenth', count, 100));
    await readInOrder(sleeper, count, 1);
    await readInOrder(awake, count, 1);
    expect(broker.counters).toMatchObject({ streamMessages: count + 1, streamGaps: 0 });
    // Logs and outboxes take some 30 MB here; a copy for each reader would take far more.
    expect(process.memoryUsage().rss - rssBefore).toBeLessThan(600 * MIB);
  },
  PATIENCE_MS,
);

it(
  'a reader that sleeps past the retention gets the end of the log, and the gap is counted',
  async () => {
    const { broker, endpoint } = await start({ timeout: NEVER_MS, 'stream-bytes-max': 4 * MIB });
    const count = 60_000;
    const sleeper = await clients.open(endpoint, 'sleeper', { receiveHighWaterMark: 10 });
    await sleeper.ask(read('s'), 'OK 200');
    const writer = await clients.open(endpoint, 'writer');
    await writer.ask(write('s'), 'OK 200');
    for (let n = 0; n < count; n++) await writer.sendFrames(numbered('x', n, 500));
    await writer.barrier();
    const [stream] = await writer.view<StreamRow[]>('streams');
    expect(stream).toMatchObject({ lastSequence: count, behind: 1 });
    expect(stream!.bytes).toBeLessThanOrEqual(4 * MIB);
    const gotten: number[] = [];
    while (gotten.at(-1) !== count - 1) gotten.push(await nextNumber(sleeper));
    const { streamGaps } = broker.counters;
    expect(streamGaps).toBeGreaterThan(0);
    expect(gotten.length).toBe(count - streamGaps);
    // One gap, and order on both sides of it.
    const jumps = gotten.filter((number, at) => number !== (gotten[at - 1] ?? -1) + 1);
    expect(jumps).toHaveLength(1);
    expect(jumps[0]).toBe(gotten.indexOf(jumps[0]!) + streamGaps);
  },
  PATIENCE_MS,
);

it(
  'readers that join in the middle get everything from there on',
  async () => {
    const { endpoint } = await start({ timeout: NEVER_MS });
    const writer = await clients.open(endpoint, 'writer');
    await writer.ask(write('s'), 'OK 200');
    let joined = 0;
    const join = async (address: string): Promise<{ first: number; end: number }> => {
      const reader = await clients.open(endpoint, address);
      await reader.ask(read('s'), 'OK 200');
      const first = await nextNumber(reader);
      joined++;
      for (let due = first + 1; ; due++) {
        const number = await nextNumber(reader);
        if (number === END) return { first, end: due };
        if (number !== due) throw new Error(`${number} came where ${due} was due`);
      }
    };
    const readers: ReturnType<typeof join>[] = [];
    let n = 0;
    // It writes on until the last one has come.
    for (; n < 40_000 || joined < 10; n++) {
      if (n % 4000 === 1000 && readers.length < 10) {
        await writer.barrier();
        readers.push(join(`reader${n}`));
      }
      await writer.sendFrames(numbered('x', n, 20));
      if (n % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await writer.sendFrames(numbered('x', END, 20));
    const taken = await Promise.all(readers);
    expect(taken).toHaveLength(10);
    for (const [at, { first, end }] of taken.entries()) {
      // None joined before it had been asked to, and each got all from there on.
      expect(first).toBeGreaterThanOrEqual(at * 4000 + 1000);
      expect(end).toBe(n);
    }
  },
  PATIENCE_MS,
);

it(
  'a flood of mail that nobody reads stops at its limit, is counted, and leaves others alone',
  async () => {
    const limit = 20_000;
    const { broker, endpoint } = await start({
      timeout: NEVER_MS,
      'mailbox-messages-max': limit,
      'service-messages-max': limit,
    });
    const flooder = await clients.open(endpoint, 'flooder');
    const asker = await clients.open(endpoint, 'asker');
    const worker = await clients.open(endpoint, 'worker');
    await worker.ask(offer('svc'), 'OK 200');
    const flood = (async () => {
      for (let n = 0; n < 2 * limit; n++) {
        await flooder.send(mail('nobody', 'x'), request('none', 'x'));
      }
      for (const tracker of ['t1', 't2']) {
        await flooder.ask(mail('nobody', 'x', { tracker }), `CONFIRM ${tracker} 300`);
      }
    })();
    let served = 0;
    const state = { over: false };
    const flooding = flood.finally(() => (state.over = true));
    while (!state.over || served <= 10) {
      await asker.send(request('svc', 'x', { tracker: 't' }));
      await worker.expect('x');
      await worker.send(mail('asker', 'done'));
      await asker.expect('done');
      served++;
    }
    await flooding;
    expect(broker.counters).toMatchObject({
      refused: 2 * limit + 2,
      mailboxMessages: limit + served,
      serviceRequests: limit + served,
    });
    expect(await asker.view('mailboxes')).toContainEqual(
      expect.objectContaining({ mailbox: 'nobody', messages: limit }),
    );
    // The mailbox is there for its owner as before.
    const owner = await clients.open(endpoint, 'nobody');
    await owner.expect(...new Array<string>(limit).fill('x'));
    const taker = await clients.open(endpoint, 'taker');
    await taker.ask(offer('none'), 'OK 200');
    await taker.expect(...new Array<string>(limit).fill('x'));
    await taker.barrier();
    expect(await asker.view('services')).toContainEqual(
      expect.objectContaining({ service: 'none', requests: 0, bytes: 0 }),
    );
  },
  PATIENCE_MS,
);

it(
  'clients that come and go by the thousand, politely or not, leave nothing',
  async () => {
    // Whoever vanished is given up after that; guests of one round keep their sessions through it.
    const { broker, endpoint } = await start({ timeout: 5000 });
    const rounds = 25;
    const atOnce = 100;
    let lingering: RawClient[] = [];
    for (let round = 0; round < rounds; round++) {
      const guests = await Promise.all(
        Array.from({ length: atOnce }, (_, n) => clients.open(endpoint, `guest${n}`)),
      );
      for (const guest of lingering) guest.close();
      lingering = guests.filter((_, n) => n % 3 === 2);
      await Promise.all(
        guests.map(async (guest, n) => {
          // Each uses something.
          await guest.send(
            read(`stream${n % 7}`, `p${n}`),
            write(`stream${n % 5}`),
            offer(`service${n % 11}`, `p${n % 3}`),
            send('p1'),
            mail(`guest${n}`, 'for the owner', { tracker: `t${n}` }),
            mail('nobody', 'for the owner'),
            request(`service${n % 13}`, 'p1', { timeout: 400 }),
          );
          if (n % 3 === 0) guest.close();
          else if (n % 3 === 1) {
            await guest.send(PING, CLOSE);
            while (brief(await guest.next()) !== 'CONNECTION PONG');
            guest.close();
          } else {
            // It is still there when the next one of this address takes it over.
            await guest.send(PING);
          }
        }),
      );
    }
    for (const guest of lingering) guest.close();
    expect(broker.counters.sessionsOpened).toBe(rounds * atOnce);
    const looker = await clients.open(endpoint, 'looker');
    await until(async () => {
      const { sessions, services } = await looker.view<Record<string, number>>('stats');
      // Streams that were sent to stay, for those who read them later; nobody is in them.
      const streams = await looker.view<{ writers: number; readers: number }[]>('streams');
      const unused = streams.every(({ writers, readers }) => writers === 0 && readers === 0);
      return sessions === 1 && services === 0 && unused;
    }, 'nobody is left of them');
    // Mail that had no owner, or whose owner vanished before it came, waits for the next one.
    for (const { mailbox, messages } of await looker.view<MailboxRow[]>('mailboxes')) {
      const heir = await clients.open(endpoint, mailbox);
      await heir.expect(...new Array<string>(messages).fill('for the owner'));
      await heir.leave();
      // There may be many of them, and it keeps its session meanwhile.
      await looker.barrier();
    }
    expect(await looker.view('mailboxes')).toEqual([]);
    expect(await looker.view('clients')).toMatchObject([{ address: 'looker', outbox: 0 }]);
    // Whoever comes now finds an empty house.
    const newcomer = await clients.open(endpoint, 'guest1');
    await newcomer.ask(read('stream1'), 'OK 200');
    await newcomer.barrier();
    await newcomer.ask(CLOSE, 'OK 200');
    await newcomer.ask(open('guest1'), 'OK 200');
  },
  PATIENCE_MS,
);
