// The crash run: everybody at full speed while the broker is killed again and
// again at random moments; then a quiet end, and the books are checked. What was
// confirmed must be there; nothing may be there twice; nothing may be stuck.
import { join } from 'node:path';
import { PLAIN_REQUEST } from '../../protocol/index.js';
import { startChild, type Child } from '../support/processes.js';
import { messagesOf, NativeClient, type StreamMessage } from '../support/native-client.js';
import {
  insistentWriter,
  mailReceiver,
  mailSender,
  newLedger,
  pause,
  play,
  reader,
  requester,
  worker,
  writer,
  type Ledger,
  type Stage,
} from './actors.js';

export interface CrashOptions {
  /** How long the broker is killed again and again. */
  readonly seconds: number;
  /** A folder for the data and the ready file. */
  readonly folder: string;
  /** Also stops the broker's process for longer than its timeout (SIGSTOP), now and then. */
  readonly pauses: boolean;
}

export interface CrashReport {
  readonly kills: number;
  readonly pauses: number;
  readonly ledger: Ledger;
  /** The stream as it lies in the log at the end. */
  readonly log: readonly StreamMessage[];
  /** What is left in the queue of the service and in the mailbox. */
  readonly left: { requests: number; mail: number };
}

const TIMEOUT_MS = 2000;
const QUIET_MS_MAX = 60_000;

export async function crash({
  seconds,
  folder,
  pauses: withPauses,
}: CrashOptions): Promise<CrashReport> {
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  const endpoint = `tcp://127.0.0.1:${port}`;
  const ledger = newLedger();
  const stage: Stage = { endpoint, ledger, sending: true, running: true, open: new Set() };
  let broker = await startBroker(endpoint, folder);
  const actors = [
    ...[1, 2, 3].map((n) => play(stage, `writer-${n}`, writer(`w${n}`))),
    ...[1, 2].map((n) => play(stage, `insistent-${n}`, insistentWriter(`i${n}`))),
    ...[1, 2].map((n) => play(stage, `reader-${n}`, reader(`c${n}`))),
    ...[1, 2].map((n) => play(stage, `mailer-${n}`, mailSender(`m${n}`))),
    play(stage, 'box', mailReceiver),
    ...[1, 2].map((n) => play(stage, `requester-${n}`, requester(`r${n}`))),
    ...[1, 2, 3].map((n) => play(stage, `worker-${n}`, worker)),
  ];
  let kills = 0;
  let pauses = 0;
  try {
    const endsAt = Date.now() + seconds * 1000;
    while (Date.now() < endsAt) {
      await pause(200 + Math.random() * 1500);
      if (withPauses && kills % 10 === 9) {
        pauses++;
        await freeze(broker);
      }
      broker.signal('SIGKILL');
      await broker.ended;
      kills++;
      for (const client of [...stage.open]) client.close();
      broker = await startBroker(endpoint, folder);
    }
    stage.sending = false;
    const left = await untilQuiet(endpoint);
    const log = await readLog(endpoint);
    await untilRead(ledger, log);
    return { kills, pauses, ledger, log, left };
  } finally {
    stage.sending = false;
    stage.running = false;
    for (const client of [...stage.open]) client.close();
    await Promise.all(actors);
    await broker.stop();
  }
}

function startBroker(endpoint: string, folder: string): Promise<Child> {
  const readyFile = join(folder, `ready-${Date.now()}.json`);
  const words = ['dist/broker/main.js', '--bind', endpoint, '--data', join(folder, 'data')];
  words.push(
    '--ready-file',
    readyFile,
    '--timeout',
    String(TIMEOUT_MS),
    '--log-level',
    'warn',
    '--stream-bytes-max',
    '10000000000',
  );
  return startChild(process.execPath, words, { readyFile });
}

/** Stops the process for longer than the timeout of its clients. */
async function freeze(broker: Child): Promise<void> {
  broker.signal('SIGSTOP');
  await pause(TIMEOUT_MS * 1.5);
  broker.signal('SIGCONT');
  await pause(500);
}

/** Waits until the queues are empty, or long enough to say that they never will be. */
async function untilQuiet(endpoint: string): Promise<CrashReport['left']> {
  const endsAt = Date.now() + QUIET_MS_MAX;
  for (;;) {
    const left = await leftOver(endpoint);
    if ((left.requests === 0 && left.mail === 0) || Date.now() > endsAt) return left;
    await pause(200);
  }
}

async function leftOver(endpoint: string): Promise<CrashReport['left']> {
  const client = await NativeClient.open(endpoint, `asker-${Math.random()}`);
  try {
    const services = await view<{ requests: number }>(client, 'services.json');
    const mailboxes = await view<{ messages: number }>(client, 'mailboxes.json');
    return {
      requests: services.reduce((sum, { requests }) => sum + requests, 0),
      mail: mailboxes.reduce((sum, { messages }) => sum + messages, 0),
    };
  } finally {
    client.close();
  }
}

async function view<Row>(client: NativeClient, subject: string): Promise<Row[]> {
  await client.send({ ...PLAIN_REQUEST, address: '$broker', subject });
  const { content } = await client.next('MAILBOX DELIVER', (mail) => mail.subject === subject);
  return JSON.parse(Buffer.concat([...content]).toString()) as Row[];
}

/** The whole stream, from the log. */
async function readLog(endpoint: string): Promise<StreamMessage[]> {
  const client = await NativeClient.open(endpoint, 'auditor');
  try {
    const { lastSequence } = await client.ask<{ lastSequence: number }>('stream.info', {
      stream: 'events',
    });
    await client.ask('read', { stream: 'events', from: 'earliest', credit: 2 ** 31 });
    const messages: StreamMessage[] = [];
    while ((messages.at(-1)?.sequence ?? 0) < lastSequence) {
      messages.push(...messagesOf((await client.next('STREAM DELIVER')).sections));
    }
    return messages;
  } finally {
    client.close();
  }
}

/** Waits until every cursor reader has come to the end of the log. */
async function untilRead(ledger: Ledger, log: readonly StreamMessage[]): Promise<void> {
  const last = log.at(-1)?.sequence ?? 0;
  const endsAt = Date.now() + QUIET_MS_MAX;
  while ([...ledger.read.values()].some((seen) => !seen.has(last)) && Date.now() < endsAt)
    await pause(100);
}
