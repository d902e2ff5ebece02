// Those who live through the crashes: writers, cursor readers, a mail pair,
// requesters and workers. Each notes what the broker confirmed to it and what it
// was given; none of them judges. A session that breaks is opened again.
import { PLAIN_REQUEST, SectionWriter } from '../../protocol/index.js';
import { NativeClient, messagesOf } from '../support/native-client.js';

const BODY = Buffer.alloc(100, 'x');
const PAUSE_MS = 20;
const OPEN_MS = 2000;
const PING_MS = 300;
/** Between two batches of a writer: so many messages can still be checked one by one. */
const BATCH_MS = 8;
const BATCH_MAX = 40;

/** What the actors saw. */
export interface Ledger {
  /** Stream messages that were confirmed: `writer/number` to sequence. */
  readonly stored: Map<string, number>;
  /** What each cursor reader was given, by sequence. */
  readonly read: Map<string, Map<number, string>>;
  /** Mail and requests that were accepted. */
  readonly mailAccepted: Set<string>;
  readonly requestsAccepted: Set<string>;
  /** Mail that was confirmed to the broker, and requests likewise. */
  readonly mailDone: Map<string, number>;
  readonly requestsDone: Map<string, number>;
  /** Sessions that were opened. */
  sessions: number;
}

export function newLedger(): Ledger {
  return {
    stored: new Map(),
    read: new Map(),
    mailAccepted: new Set(),
    requestsAccepted: new Set(),
    mailDone: new Map(),
    requestsDone: new Map(),
    sessions: 0,
  };
}

/** The world that the actors live in. */
export interface Stage {
  readonly endpoint: string;
  readonly ledger: Ledger;
  /** False once nobody is to send any more. */
  sending: boolean;
  /** False once everybody is to go home. */
  running: boolean;
  /** Sessions that are open, to be cut when the broker is killed. */
  readonly open: Set<NativeClient>;
}

type Role = (client: NativeClient, stage: Stage) => Promise<void>;

/** Plays a role in one session after another, until the stage closes. */
export async function play(stage: Stage, address: string, role: Role): Promise<void> {
  while (stage.running) {
    let client: NativeClient | undefined;
    let ping: NodeJS.Timeout | undefined;
    try {
      client = await NativeClient.open(stage.endpoint, address, OPEN_MS);
      stage.open.add(client);
      stage.ledger.sessions++;
      const session = client;
      ping = setInterval(() => void session.send({ name: 'PING' }).catch(() => undefined), PING_MS);
      await role(client, stage);
    } catch {
      // The session is over: the next one goes on.
    } finally {
      clearInterval(ping);
      client?.close();
      if (client !== undefined) stage.open.delete(client);
    }
    await pause(PAUSE_MS);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Writes numbered messages; each number once, whether or not it was confirmed. */
export function writer(name: string): Role {
  let number = 0;
  return async (client, stage) => {
    const { ledger } = stage;
    const { handle } = await client.ask<{ handle: number }>('write', { stream: 'events' });
    const numbers = new Map<number, string>();
    while (stage.sending) {
      const batch = Array.from({ length: 1 + (number % BATCH_MAX) }, (): [string, Buffer] => [
        `${name}/${++number}`,
        BODY,
      ]);
      let sending = await client.sendToStream(handle, batch);
      for (const [subject] of batch) numbers.set(sending++, subject);
      // One batch is on its way while the next one is confirmed.
      if (numbers.size > 2 * BATCH_MAX) {
        const stored = await client.next('STORED');
        for (let at = 0; at < stored.count; at++) {
          ledger.stored.set(numbers.get(stored.first + at) ?? '', stored.sequence + at);
          numbers.delete(stored.first + at);
        }
      }
      await pause(BATCH_MS);
    }
  };
}

/**
 * Writes numbered messages, each with an id: what was not confirmed when a session broke is sent
 * again in the next one, and yet no number may lie in the log twice.
 */
export function insistentWriter(name: string): Role {
  let number = 0;
  let unconfirmed: string[] = [];
  return async (client, stage) => {
    const { handle } = await client.ask<{ handle: number }>('write', { stream: 'events' });
    const sent: string[] = [];
    const send = async (subjects: readonly string[]): Promise<void> => {
      sent.push(...subjects);
      await client.send(
        ...subjects.map((id) => {
          const section = new SectionWriter(client.address);
          section.append(id, BODY);
          const sections = section.take() as Buffer;
          return { name: 'STREAM SEND ONCE', handle, id, sections } as const;
        }),
      );
    };
    await send(unconfirmed);
    while (stage.sending || unconfirmed.length > 0) {
      while (unconfirmed.length > 2 * BATCH_MAX || (!stage.sending && unconfirmed.length > 0)) {
        const { first, count, sequence } = await client.next('STORED');
        for (let at = 0; at < count; at++) {
          stage.ledger.stored.set(sent[first + at - 1] ?? '', sequence + at);
        }
        const settled = new Set(sent.slice(first - 1, first + count - 1));
        unconfirmed = unconfirmed.filter((subject) => !settled.has(subject));
      }
      if (!stage.sending) break;
      const batch = Array.from({ length: 1 + (number % BATCH_MAX) }, () => `${name}/${++number}`);
      unconfirmed.push(...batch);
      await send(batch);
      await pause(BATCH_MS);
    }
  };
}

/** Reads with a cursor and confirms now and then. */
export function reader(cursor: string): Role {
  return async (client, stage) => {
    const { ledger } = stage;
    const seen = ledger.read.get(cursor) ?? new Map<number, string>();
    ledger.read.set(cursor, seen);
    const given = { stream: 'events', cursor, from: 'earliest', credit: 5000 };
    const { handle } = await client.ask<{ handle: number }>('read', given);
    while (stage.running) {
      const messages = messagesOf((await client.next('STREAM DELIVER')).sections);
      for (const { sequence, subject } of messages) seen.set(sequence, subject);
      const sequence = messages.at(-1)?.sequence ?? 0;
      await client.send(
        { name: 'CONFIRM CURSOR', handle, sequence },
        { name: 'CREDIT', handle, amount: messages.length },
      );
    }
  };
}

export function mailSender(name: string): Role {
  let number = 0;
  return async (client, stage) => {
    const { ledger } = stage;
    while (stage.sending) {
      const subject = `${name}/${++number}`;
      await client.send({
        name: 'MAILBOX SEND',
        address: 'box',
        subject,
        tracker: '',
        timeout: 0,
        content: [BODY],
      });
      client.sendings++;
      await client.settled();
      ledger.mailAccepted.add(subject);
    }
  };
}

export const mailReceiver: Role = async (client, stage) => {
  const { ledger } = stage;
  await client.send({ name: 'CREDIT', handle: 0, amount: 100 });
  while (stage.running) {
    const { delivery, epoch, subject } = await client.next('MAILBOX DELIVER');
    ledger.mailDone.set(subject, (ledger.mailDone.get(subject) ?? 0) + 1);
    await client.send(
      { name: 'CONFIRM DELIVERY', delivery, epoch, statusCode: 200, statusReason: '' },
      { name: 'CREDIT', handle: 0, amount: 1 },
    );
  }
};

export function requester(name: string): Role {
  let number = 0;
  return async (client, stage) => {
    const { ledger } = stage;
    while (stage.sending) {
      const subject = `${name}/${++number}`;
      await client.send({
        ...PLAIN_REQUEST,
        address: 'work',
        subject,
        priority: number % 10,
        content: [BODY],
      });
      client.sendings++;
      await client.settled();
      ledger.requestsAccepted.add(subject);
    }
  };
}

/** Does requests; gives one in fifty up, so that it is tried again. */
export const worker: Role = async (client, stage) => {
  const { ledger } = stage;
  await client.ask('offer', { service: 'work', capacity: 4 });
  let count = 0;
  while (stage.running) {
    const { delivery, epoch, subject } = await client.next('SERVICE DELIVER');
    const fails = ++count % 50 === 0;
    if (!fails) ledger.requestsDone.set(subject, (ledger.requestsDone.get(subject) ?? 0) + 1);
    const statusCode = fails ? 503 : 200;
    await client.send({ name: 'CONFIRM DELIVERY', delivery, epoch, statusCode, statusReason: '' });
  }
};
