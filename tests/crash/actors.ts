// Those in this process who live through the crashes of the broker: writers, a
// cursor reader, mail, requests and workers, on the bare wire and without the
// SDK, so that nothing but the broker repeats a message. Each notes what the
// broker confirmed to it and what it was given; none of them judges. A session
// that breaks is opened again.
import { setTimeout as pause } from 'node:timers/promises';
import {
  PLAIN_REQUEST,
  SectionWriter,
  type NativeClientCommandName,
  type NativeCommand,
} from '../../protocol/index.js';
import { NativeClient, messagesOf } from '../support/native-client.js';
import { count, newReadLife, noteRead, type Ledger } from './ledger.js';

const BODY = Buffer.alloc(100, 'x');
const PAUSE_MS = 20;
const GATHER_MS = 300;
const OPEN_MS = 2000;
const PING_MS = 300;
const BATCH_MAX = 40;
const JOBS_AT_ONCE = 10;

/** The world that the actors live in. */
export interface Stage {
  readonly endpoint: string;
  readonly ledger: Ledger;
  /** How long a writer waits between two batches, ms. */
  readonly batchMs: number;
  /** False once nobody is to send any more. */
  sending: boolean;
  /** False once everybody is to go home. */
  running: boolean;
  /** Sessions that are open, to be cut when the broker is killed. */
  readonly open: Set<NativeClient>;
}

type Role = (client: NativeClient, stage: Stage) => Promise<void>;

/** Plays a role in one session after another, until it is done or the stage closes. */
export async function play(stage: Stage, address: string, role: Role): Promise<void> {
  while (isOpen(stage)) {
    let client: NativeClient | undefined;
    let ping: NodeJS.Timeout | undefined;
    try {
      client = await NativeClient.open(stage.endpoint, address, OPEN_MS);
      // Whoever sends all home does not know of sessions that are just being opened.
      if (!isOpen(stage)) return;
      stage.open.add(client);
      stage.ledger.sessions++;
      const session = client;
      ping = setInterval(() => void session.send({ name: 'PING' }).catch(() => undefined), PING_MS);
      await role(client, stage);
      return;
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

const isOpen = ({ running }: Stage): boolean => running;

/** Writes numbered messages; each number once, whether or not it was confirmed. */
export function writer(name: string): Role {
  let number = 0;
  return async (client, stage) => {
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
          stage.ledger.stored.set(numbers.get(stored.first + at) ?? '', stored.sequence + at);
          numbers.delete(stored.first + at);
        }
      }
      await pause(stage.batchMs);
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
      await pause(stage.batchMs);
    }
  };
}

/** Reads with a cursor and confirms now and then. */
export function reader(cursor: string): Role {
  return async (client, { ledger }) => {
    const given = { stream: 'events', cursor, from: 'earliest', credit: 5000 };
    const { handle } = await client.ask<{ handle: number }>('read', given);
    const life = newReadLife(ledger, cursor);
    for (;;) {
      const messages = messagesOf((await client.next('STREAM DELIVER')).sections);
      const [first, last] = [messages[0]!.sequence, messages.at(-1)!.sequence];
      noteRead(
        ledger,
        life,
        first,
        messages.map(({ subject }) => subject),
      );
      await client.send(
        { name: 'CONFIRM CURSOR', handle, sequence: last },
        { name: 'CREDIT', handle, amount: messages.length },
      );
    }
  };
}

type Sending = NativeCommand<NativeClientCommandName & ('MAILBOX SEND' | 'SERVICE SEND')>;

/** Sends one message after the other; each is noted when it was accepted. */
function sender(
  name: string,
  accepted: (ledger: Ledger) => Set<string>,
  commandOf: (subject: string, number: number) => Sending,
): Role {
  let number = 0;
  return async (client, stage) => {
    while (stage.sending) {
      const subject = `${name}/${++number}`;
      await client.send(commandOf(subject, number));
      client.sendings++;
      await client.settled();
      accepted(stage.ledger).add(subject);
    }
  };
}

export function mailSender(name: string): Role {
  const mail = { name: 'MAILBOX SEND', address: 'box', tracker: '', timeout: 0 } as const;
  return sender(
    name,
    ({ mailAccepted }) => mailAccepted,
    (subject) => ({ ...mail, subject, content: [BODY] }),
  );
}

/** To be played without an address: nobody is to be sent replies. */
export function requester(name: string): Role {
  return sender(
    name,
    ({ requestsAccepted }) => requestsAccepted,
    (subject, number) => ({
      ...PLAIN_REQUEST,
      address: 'work',
      subject,
      priority: number % 10,
      delay: number % 5 === 0 ? PAUSE_MS : 0,
      content: [BODY],
    }),
  );
}

/**
 * Makes jobs, several at a time; those that were not accepted when the session broke are made again
 * under their ids, and yet must not be done twice.
 */
export function jobMaker(name: string): Role {
  let number = 0;
  let unaccepted: string[] = [];
  const jobOf = (id: string): Sending => ({
    ...PLAIN_REQUEST,
    address: 'work',
    subject: id,
    tracker: id,
    job: 1,
    content: [BODY],
  });
  return async (client, stage) => {
    while (stage.sending || unaccepted.length > 0) {
      while (stage.sending && unaccepted.length < JOBS_AT_ONCE)
        unaccepted.push(`${name}/${++number}`);
      client.sendings += unaccepted.length;
      await client.send(...unaccepted.map(jobOf));
      await client.settled();
      for (const id of unaccepted) stage.ledger.jobsAccepted.add(id);
      unaccepted = [];
      await pause(PAUSE_MS);
    }
  };
}

/** Lets mail gather now and then, here and with the broker. */
export const mailReceiver: Role = async (client, { ledger }) => {
  await client.send({ name: 'CREDIT', handle: 0, amount: 100 });
  for (let number = 1; ; number++) {
    if (number % 200 === 0) await pause(GATHER_MS);
    const { delivery, epoch, subject } = await client.next('MAILBOX DELIVER');
    count(ledger.mailDone, subject);
    await client.send(
      { name: 'CONFIRM DELIVERY', delivery, epoch, statusCode: 200, statusReason: '' },
      { name: 'CREDIT', handle: 0, amount: 1 },
    );
  }
};

/** Does requests; gives one in 200 up, so that it is tried again. */
export const worker: Role = async (client, { ledger }) => {
  await client.ask('offer', { service: 'work', capacity: 4 });
  for (let number = 1; ; number++) {
    const { delivery, epoch, subject } = await client.next('SERVICE DELIVER');
    if (number % 200 === 0) {
      const later = { statusCode: 503, statusReason: 'not now' };
      await client.send({ name: 'CONFIRM DELIVERY', delivery, epoch, ...later });
    } else {
      count(ledger.requestsDone, subject);
      await client.send({ name: 'REPLY', delivery, epoch, content: [BODY] });
    }
  }
};
