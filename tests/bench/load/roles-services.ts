// The roles that answer one another (services, ping-pong) and those that fill
// the broker's memory. load.c says what each role does; these do the same in
// Node.
import { encode, encodeHeader } from '../../../protocol/index.js';
import { COMMANDS } from '../../../protocol/index.js';
import { bodyOf, done, isLast, nextLine, nowNs, Progress, ready } from './counting.js';
import type { RoleOptions } from './options.js';
import { Session, stringField } from './session.js';

type Options = Required<RoleOptions>;

const ADDRESS_FIELD = 0;
const TRACKER_FIELD = 3;

function sendHeader(name: 'MAILBOX SEND' | 'SERVICE SEND', address: string, tracker = ''): Buffer {
  return encodeHeader({ name, address, subject: 'load', tracker, timeout: 0 });
}

export async function request(options: Options): Promise<void> {
  const session = await Session.open(options.endpoint, options.address);
  const header = sendHeader('SERVICE SEND', options.target);
  const replies = new Progress();
  await ready();
  const firstNs = nowNs();
  const deadlineNs = firstNs + options.seconds * 1e9;
  let sent = 0;
  let stalled = false;
  for (let last = false; !replies.finished && !stalled;) {
    while (!last && sent - replies.received < options.window) {
      last = sent % 16 === 15 && nowNs() > deadlineNs;
      await session.send([header, bodyOf(sent++, last, options.size)]);
    }
    const reply = await session.receive();
    if (reply === undefined) stalled = true;
    else replies.take(reply.body);
  }
  const { received: count, disordered } = replies;
  done({ count, disordered, stalled, firstNs, sent });
  await session.close();
}

/** Answers every message with mail to its sender, until the last one. */
async function echo(session: Session): Promise<void> {
  await ready();
  let count = 0;
  let stalled = false;
  for (let last = false; !last && !stalled;) {
    const message = await session.receive();
    if (message === undefined) {
      stalled = true;
      continue;
    }
    const sender = stringField(message.header, ADDRESS_FIELD);
    const tracker = stringField(message.header, TRACKER_FIELD);
    await session.send([sendHeader('MAILBOX SEND', sender, tracker), message.body]);
    count++;
    last = isLast(message.body);
  }
  done({ count, stalled });
  await session.close();
}

export async function work(options: Options): Promise<void> {
  const session = await Session.open(options.endpoint, options.address);
  await session.call({ name: 'SERVICE OFFER', address: options.target, pattern: '^load' });
  await echo(session);
}

export async function pong(options: Options): Promise<void> {
  await echo(await Session.open(options.endpoint, options.address));
}

export async function ping(options: Options): Promise<void> {
  const session = await Session.open(options.endpoint, options.address);
  const header = sendHeader('MAILBOX SEND', options.target);
  const pongs = new Progress();
  const timesNs: number[] = [];
  await ready();
  const firstNs = nowNs();
  let startNs = firstNs;
  let stalled = false;
  while (!pongs.finished && !stalled) {
    const last = startNs > firstNs + options.seconds * 1e9;
    await session.send([header, bodyOf(pongs.received, last, options.size)]);
    const message = await session.receive();
    if (message === undefined) {
      stalled = true;
      continue;
    }
    pongs.take(message.body);
    const endNs = nowNs();
    timesNs.push(endNs - startNs);
    startNs = endNs;
  }
  const { received: count, disordered } = pongs;
  timesNs.sort((a, b) => a - b);
  const p50Us = timesNs[Math.floor(count / 2)]! / 1000;
  const p99Us = timesNs[Math.floor((count * 99) / 100)]! / 1000;
  done({ count, disordered, stalled, firstNs, p50Us, p99Us });
  await session.close();
}

/** Sends at full speed, then waits for a PONG: the broker has read it all. */
async function flood(options: Options, session: Session, header: Buffer): Promise<void> {
  await ready();
  const firstNs = nowNs();
  for (let at = 0; at < options.count; at++) {
    await session.send([header, bodyOf(at, at + 1 === options.count, options.size)]);
  }
  await session.send(encode({ name: 'CONNECTION PING' }));
  const pong = await session.receiveAny();
  done({ count: options.count, stalled: pong === undefined, firstNs });
  await nextLine();
  await session.close();
}

export async function floodStream(options: Options): Promise<void> {
  const session = await Session.open(options.endpoint, options.address);
  await session.call({ name: 'STREAM WRITE', stream: options.target });
  await flood(options, session, encodeHeader({ name: 'STREAM SEND', subject: 'load' }));
}

export async function floodService(options: Options): Promise<void> {
  const session = await Session.open(options.endpoint, options.address);
  await flood(options, session, sendHeader('SERVICE SEND', options.target));
}

export async function drain(options: Options): Promise<void> {
  const session = await Session.open(options.endpoint, options.address);
  const progress = new Progress();
  await ready();
  const firstNs = nowNs();
  const offer = encode({ name: 'SERVICE OFFER', address: options.target, pattern: '^load' });
  await session.send(offer);
  let stalled = false;
  while (!progress.finished && !stalled) {
    const message = await session.receive();
    if (message === undefined) stalled = true;
    else if (message.number !== COMMANDS.OK.id) progress.take(message.body);
  }
  const { received: count, disordered } = progress;
  done({ count, disordered, stalled, firstNs });
  await session.close();
}

export async function sleep(options: Options): Promise<void> {
  const session = await Session.open(options.endpoint, options.address);
  await session.call({ name: 'STREAM READ', stream: options.target, pattern: '' });
  await ready();
  done({ count: 0 });
  await nextLine();
  await session.close();
}

export async function churn(options: Options): Promise<void> {
  await ready();
  const firstNs = nowNs();
  let count = 0;
  for (; count < options.count; count += options.batch) {
    const opening = Array.from({ length: options.batch }, (_, at) =>
      Session.open(options.endpoint, `churn.${count + at}`),
    );
    const sessions = await Promise.all(opening);
    await Promise.all(
      sessions.map(async (session, at) => {
        const vanish = at % 10 === 0;
        if (!vanish) await session.call({ name: 'CONNECTION CLOSE' });
        await session.close(true);
      }),
    );
  }
  done({ count, firstNs });
}
