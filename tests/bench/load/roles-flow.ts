// The roles that send within a window and receive until the last message:
// streams, mail, and the sink that stands in for a broker. load.c says what
// each role does; these do the same in Node.
import { Pull, Push, Router } from 'zeromq';
import { COMMANDS, encode, encodeHeader } from '../../../protocol/index.js';
import { bodyOf, done, isLast, nowNs, Progress, ready, sayReady } from './counting.js';
import type { RoleOptions } from './options.js';
import { PATIENCE_MS, Session } from './session.js';

type Options = Required<RoleOptions>;

const IDLE_PER_SESSION = 1000;

/** The sender's side of the window: how far the receivers are. */
class Acknowledged {
  readonly #socket = new Pull({ receiveTimeout: PATIENCE_MS });
  #total = 0;

  async bind(endpoint: string): Promise<void> {
    await this.#socket.bind(endpoint);
  }

  /** Resolves when `least` are acknowledged; false where that stalls. */
  async reach(least: number): Promise<boolean> {
    while (this.#total < least) {
      const [octets] = await this.#socket.receive().catch(() => []);
      if (octets === undefined) return false;
      this.#total = Math.max(this.#total, Number(octets.readBigUInt64LE()));
    }
    return true;
  }

  close(): void {
    this.#socket.close();
  }
}

/** The receiver's side of the window. */
class Acknowledger {
  readonly #socket = new Push({ linger: PATIENCE_MS, reconnectInterval: 1 });
  readonly #step: number;
  #told = 0;

  constructor(options: Options) {
    this.#socket.connect(options.acks);
    this.#step = Math.max(1, Math.floor(options.window / 10));
  }

  /** Tells the sender of `total`, in steps of a tenth of the window and at the end. */
  async tell(total: number, final: boolean): Promise<void> {
    if (!final && total - this.#told < this.#step) return;
    this.#told = total;
    const octets = Buffer.alloc(8);
    octets.writeBigUInt64LE(BigInt(total));
    await this.#socket.send(octets);
  }

  close(): void {
    this.#socket.close();
  }
}

async function sendWithinWindow(options: Options, session: Session, headers: Buffer[]) {
  const acks = new Acknowledged();
  await acks.bind(options.acks);
  await ready();
  let count = 0;
  const sendNext = async (last: boolean) => {
    const header = headers[count % headers.length]!;
    await session.send([header, bodyOf(count++, last, options.size)]);
  };
  const beginNs = nowNs();
  while (count < options.warmup) await sendNext(false);
  let stalled = !(await acks.reach(count));
  const firstNs = nowNs();
  const deadlineNs = firstNs + options.seconds * 1e9;
  for (let last = false; !last && !stalled;) {
    stalled = !(await acks.reach(count - options.window + 1));
    if (options.count > 0) last = count + 1 === options.count;
    else last = count % 16 === 15 && nowNs() > deadlineNs;
    await sendNext(last);
  }
  stalled ||= !(await acks.reach(count));
  done({ count, stalled, firstNs, warmupNs: firstNs - beginNs });
  await session.close();
  acks.close();
}

export async function write(options: Options): Promise<void> {
  const session = await Session.open(options.endpoint, options.address);
  await session.call({ name: 'STREAM WRITE', stream: options.target });
  const headers = Array.from({ length: options.subjects }, (_, at) =>
    encodeHeader({ name: 'STREAM SEND', subject: `load.${at}` }),
  );
  await sendWithinWindow(options, session, headers);
}

export async function send(options: Options): Promise<void> {
  const session = await Session.open(options.endpoint, options.address);
  const header = encodeHeader({
    name: 'MAILBOX SEND',
    address: options.target,
    subject: 'load',
    tracker: '',
    timeout: 0,
  });
  await sendWithinWindow(options, session, [header]);
}

async function receiveUntilLast(options: Options, sessions: Session[]): Promise<void> {
  const acks = new Acknowledger(options);
  const all = sessions.map(() => new Progress());
  await ready();
  const received = async (session: Session, progress: Progress): Promise<boolean> => {
    while (!progress.finished) {
      const message = await session.receive();
      if (message === undefined) return false;
      progress.take(message.body);
      const least = Math.min(...all.map((each) => each.received));
      await acks.tell(
        least,
        all.every((each) => each.finished),
      );
    }
    return true;
  };
  const complete = await Promise.all(sessions.map((session, at) => received(session, all[at]!)));
  done({
    count: all.reduce((sum, progress) => sum + progress.received, 0),
    disordered: all.reduce((sum, progress) => sum + progress.disordered, 0),
    stalled: complete.includes(false),
  });
  for (const session of sessions) await session.close();
  acks.close();
}

export async function read(options: Options): Promise<void> {
  const readers: Session[] = [];
  for (let at = 0; at < options.sessions; at++) {
    const session = await Session.open(options.endpoint, `${options.address}.${at}`);
    await session.call({ name: 'STREAM READ', stream: options.target, pattern: '^load' });
    readers.push(session);
  }
  const idle: Session[] = [];
  for (let at = 0; at < options.idle; at++) {
    if (at % IDLE_PER_SESSION === 0) idle.push(await Session.open(options.endpoint, ''));
    const pattern = `^idle${at}.[a-z]+$`;
    await idle.at(-1)!.call({ name: 'STREAM READ', stream: options.target, pattern });
  }
  await receiveUntilLast(options, readers);
  for (const session of idle) await session.close();
}

export async function receive(options: Options): Promise<void> {
  const session = await Session.open(options.endpoint, options.address);
  await receiveUntilLast(options, [session]);
}

export async function sink(options: Options): Promise<void> {
  const router = new Router({ receiveTimeout: PATIENCE_MS });
  await router.bind(options.endpoint);
  const acks = new Acknowledger(options);
  const ok = encode({ name: 'OK', statusCode: 200, statusReason: '' });
  const answered: number[] = [COMMANDS['CONNECTION OPEN'].id, COMMANDS['STREAM WRITE'].id];
  sayReady();
  let count = 0;
  for (let last = false; !last;) {
    const [peer, header, body] = await router.receive();
    if (answered.includes(header![2]!)) await router.send([peer!, ...ok]);
    if (header![2] !== COMMANDS['STREAM SEND'].id) continue;
    count++;
    last = isLast(body!);
    await acks.tell(count, last);
  }
  done({ count });
  router.close();
  acks.close();
}
