// One client in a process of its own, over the SDK as users install it: it plays
// one role until it is killed. What it was given and what was confirmed to it
// goes into its journal, line by line, before it confirms anything itself: what
// it confirmed and did not write down would be lost for the books. It loads
// nothing of this project but the SDK, from the URL that it is given.
import { openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import type * as Sdk from '../../client/index.js';
import type { MlmClient, StreamMessage } from '../../client/index.js';

export type RoleName =
  'writer' | 'reader' | 'slowReader' | 'mailer' | 'receiver' | 'requester' | 'worker';

/** What the command line carries, as JSON. */
export interface ChildOptions {
  readonly role: RoleName;
  /** The address; also the cursor of a reader. */
  readonly address: string;
  /** Rises with each process of this address. */
  readonly life: number;
  readonly endpoint: string;
  readonly journal: string;
  readonly sdk: string;
}

const BODY = Buffer.alloc(100, 'x');
const AT_ONCE = 16;
const PAUSE_MS = 20;
const GATHER_MS = 300;
const WORK_MS_MAX = 10;
const LONG_WORK_MS = 500;
/** Longer than any run. */
const PATIENCE_MS = 86_400_000;
/** Shorter than the broker is ever stopped for, so that it is given up now and then. */
const BROKER_TIMEOUT_MS = 1000;

const options = JSON.parse(process.argv[2] ?? '{}') as ChildOptions;
const { connect, RequestFailure } = (await import(options.sdk)) as typeof Sdk;
const journal = openSync(options.journal, 'a');
const name = `${options.address}.${options.life}`;
let sending = true;
let numbers = 0;

/** Written when it returns, whatever becomes of this process. */
function note(...lines: string[]): void {
  if (lines.length > 0) writeSync(journal, lines.map((line) => `${line}\n`).join(''));
}

function fault(error: unknown): void {
  note(`fault ${String(error).replaceAll('\n', ' ')}`);
}

function newSubjects(): string[] {
  return Array.from({ length: 1 + (numbers % AT_ONCE) }, () => `${name}/${++numbers}`);
}

const roles: Record<RoleName, (client: MlmClient) => Promise<void>> = {
  /** With ids: what the SDK sends again after a lost session must not be there twice. */
  async writer(client) {
    const stream = client.stream('events');
    while (sending) {
      const subjects = newSubjects();
      const sent = await Promise.all(subjects.map((id) => stream.send(id, BODY, { id })));
      note(...subjects.map((subject, at) => `stored ${subject} ${sent[at]?.sequence}`));
      await pause(PAUSE_MS);
    }
  },

  /** Asking for the next list confirms the one before it. */
  async reader(client) {
    const cursor = options.address;
    const reader = client.stream('events').read({ cursor, from: 'earliest', credit: 2000 });
    for await (const batch of reader.batches()) {
      note(`read ${batch[0]?.sequence} ${batch.map(({ subject }) => subject).join(' ')}`);
    }
  },

  /** Confirms by hand, one message in ten, and falls behind now and then. */
  async slowReader(client) {
    const cursor = options.address;
    const confirm = 'manual';
    let last: StreamMessage | undefined;
    const timer = setInterval(() => {
      if (!sending) last?.confirm();
    }, PAUSE_MS);
    for await (const message of client
      .stream('events')
      .read({ cursor, from: 'earliest', confirm, credit: 500 })) {
      note(`read ${message.sequence} ${message.subject}`);
      last = message;
      if ((message.sequence ?? 0) % 10 === 0) message.confirm();
      if (sending && Math.random() < 0.001) await pause(GATHER_MS);
    }
    clearInterval(timer);
  },

  async mailer(client) {
    while (sending) {
      const subjects = newSubjects();
      await Promise.all(subjects.map((subject) => client.sendTo('receiver', subject, BODY)));
      note(...subjects.map((subject) => `mailed ${subject}`));
      await pause(PAUSE_MS);
    }
  },

  /** Asking for the next mail confirms the one before it. Lets mail gather now and then. */
  async receiver(client) {
    for await (const { subject } of client.mailbox()) {
      note(`received ${subject}`);
      if (Math.random() < 0.005) await pause(GATHER_MS);
    }
  },

  async requester(client) {
    void discardOldReplies(client).catch(fault);
    while (sending) {
      const subjects = newSubjects();
      const replies = subjects.map((subject, at) =>
        client.request('work', subject, BODY, {
          timeoutMs: PATIENCE_MS,
          priority: at % 10,
          delayMs: at % 4 === 3 ? PAUSE_MS * at : 0,
        }),
      );
      const accepted = client.flush().then(() => {
        note(...subjects.map((subject) => `requested ${subject}`));
      });
      const answered = replies.map(async (reply) => note(`answered ${(await reply).subject}`));
      await Promise.all([accepted, ...answered]);
    }
  },

  async worker(client) {
    await client.offer('work', { capacity: 4 }, async ({ subject }) => {
      await pause(Math.random() < 0.05 ? LONG_WORK_MS : Math.random() * WORK_MS_MAX);
      if (Math.random() < 0.005) throw new RequestFailure('not-ready', 'not now');
      note(`handled ${subject}`);
      return BODY;
    });
  },
};

/** Replies to requests of an earlier life come as mail. */
async function discardOldReplies(client: MlmClient): Promise<void> {
  const mailbox = client.mailbox();
  while ((await mailbox.next()).done !== true);
}

/** The broker may be away when this process is born. */
async function connected(): Promise<MlmClient> {
  const { endpoint, address } = options;
  for (;;) {
    try {
      return await connect(endpoint, {
        address,
        connectTimeoutMs: 2 * BROKER_TIMEOUT_MS,
        heartbeatMs: BROKER_TIMEOUT_MS / 5,
        brokerTimeoutMs: BROKER_TIMEOUT_MS,
      });
    } catch (error) {
      if ((error as Partial<Sdk.MlmError>).code !== 'CONNECT_TIMEOUT') throw error;
    }
  }
}

/** The first line says that nothing more is to be sent; the end of the input, that all is over. */
createInterface({ input: process.stdin })
  .once('line', () => (sending = false))
  .once('close', () => process.exit(0));

try {
  const client = await connected();
  client.on('error', fault);
  await roles[options.role](client);
  note('finished');
} catch (error) {
  fault(error);
}
