// The roles of this project's own clients: writers and readers of streams,
// requesters and workers, and those that only make the broker hold something.
// Each runs in a process of its own, on the SDK as users have it.
import { context } from 'zeromq';
import type { MlmClient, StreamMessage } from '../../../client/index.js';
import { done, nextLine, nowNs, Progress, ready } from '../load/counting.js';
import type { RoleOptions } from '../load/options.js';
import { Bodies, keepInFlight } from './bodies.js';
import { sdk } from './sdk.js';

type Options = Required<RoleOptions>;

const PATIENCE_MS = 600_000;
/** Sockets of ZeroMQ that one client takes, its observers too, at most. */
const SOCKETS_EACH = 4;

async function open({ endpoint, address }: Options): Promise<MlmClient> {
  const { connect } = await sdk();
  const client = await connect(endpoint, address === '' ? {} : { address });
  if (client.protocol !== 'native') throw new Error('the session is not native');
  return client;
}

/** Publishes `warmup` messages, then `count` more; done when all are accepted. */
export async function publish(options: Options): Promise<void> {
  const client = await open(options);
  const stream = client.stream(options.target);
  const bodies = new Bodies(options.size, options.size > 10_000 ? 128 : undefined);
  let refused = 0;
  client.on('refused', ({ count }) => (refused += count));
  await ready();
  const total = options.warmup + options.count;
  let number = 0;
  const until = async (end: number) => {
    while (number < end) {
      const room = stream.publish('load', bodies.take(number, number + 1 === total));
      number++;
      if (!room) await stream.ready();
    }
    await client.flush();
  };
  await until(options.warmup);
  const firstNs = nowNs();
  await until(total);
  if (refused > 0) throw new Error(`${refused} messages were refused`);
  done({ count: total, firstNs });
  await nextLine();
  await client.close();
}

type Reader = ReturnType<ReturnType<MlmClient['stream']>['read']>;
type Take = (message: StreamMessage) => boolean;

/** Reads a stream in lists, from now until its last message. */
export async function readBatches(options: Options): Promise<void> {
  await readNew(options, inBatches);
}

/** The same, message by message. */
export async function readEach(options: Options): Promise<void> {
  await readNew(options, async (reader, take) => {
    for await (const message of reader) if (take(message)) return;
  });
}

/** Reads everything that a stream holds, in lists. */
export async function replay(options: Options): Promise<void> {
  const client = await open(options);
  const stream = client.stream(options.target);
  const progress = new Progress();
  await ready();
  const firstNs = nowNs();
  await inBatches(stream.read({ from: 'earliest' }), taking(progress));
  await told(progress, firstNs);
  await client.close();
}

async function readNew(
  options: Options,
  loop: (reader: Reader, take: Take) => Promise<void>,
): Promise<void> {
  const client = await open(options);
  const reader = client.stream(options.target).read();
  await reader.ready;
  await ready();
  const progress = new Progress();
  await loop(reader, taking(progress));
  await told(progress, 0);
  await client.close();
}

async function inBatches(reader: Reader, take: Take): Promise<void> {
  for await (const batch of reader.batches()) {
    for (const message of batch) if (take(message)) return;
  }
}

function taking(progress: Progress): Take {
  return (message) => {
    progress.take(message.content[0]!);
    return progress.finished;
  };
}

async function told({ received, disordered }: Progress, firstNs: number): Promise<void> {
  done({ count: received, disordered, firstNs });
  await nextLine();
}

/** Sends to a stream with `window` messages that wait for their acceptance, for `seconds`. */
export async function append(options: Options): Promise<void> {
  const client = await open(options);
  const stream = client.stream(options.target);
  const bodies = new Bodies(options.size);
  await stream.send('load', bodies.take(0, false));
  await ready();
  let disordered = 0;
  let before = 1;
  const flight = await keepInFlight(options.window, options.seconds, async (number) => {
    const { sequence } = await stream.send('load', bodies.take(number, false));
    if (sequence !== before + 1) disordered++;
    before = sequence!;
  });
  const { lastSequence } = await client.streamInfo(options.target);
  if (lastSequence !== before) throw new Error(`LOST: ${lastSequence} stored, ${before} accepted`);
  done({ ...flight, disordered });
  await nextLine();
  await client.close();
}

/** Answers requests with their own bodies. */
export async function work(options: Options): Promise<void> {
  const client = await open(options);
  let count = 0;
  await client.offer(options.target, { capacity: options.window }, (request) => {
    count++;
    return request.content;
  });
  await ready();
  await nextLine(); // released again once the requester is done
  done({ count });
  await nextLine();
  await client.close();
}

/** Makes requests with `window` in flight, for `seconds`. */
export async function request(options: Options): Promise<void> {
  const client = await open(options);
  const bodies = new Bodies(options.size);
  await ready();
  let disordered = 0;
  const flight = await keepInFlight(options.window, options.seconds, async (number) => {
    const reply = await client.request(options.target, 'load', bodies.take(number, false));
    if (reply.content[0]!.readUIntBE(3, 6) !== number) disordered++;
  });
  done({ ...flight, disordered });
  await nextLine();
  await client.close();
}

/** Makes `count` requests that nobody takes. */
export async function wait(options: Options): Promise<void> {
  const { connect } = await sdk();
  const client = await connect(options.endpoint, { bufferMessagesMax: options.count + 1 });
  const bodies = new Bodies(options.size);
  await ready();
  const given = new AbortController();
  for (let number = 0; number < options.count; number++) {
    client
      .request(options.target, 'load', bodies.take(number % 1000, false), {
        timeoutMs: PATIENCE_MS,
        signal: given.signal,
      })
      .catch(() => undefined);
  }
  await client.flush();
  done({ count: options.count });
  await nextLine();
  await client.close();
}

/** Keeps `sessions` clients open that do nothing. */
export async function idle(options: Options): Promise<void> {
  context.maxSockets = SOCKETS_EACH * options.sessions + SOCKETS_EACH;
  const { connect } = await sdk();
  const clients: MlmClient[] = [];
  for (let number = 0; number < options.sessions; number++) {
    clients.push(await connect(options.endpoint, { heartbeatMs: 10_000, brokerTimeoutMs: 60_000 }));
  }
  await ready();
  done({ count: clients.filter(({ state }) => state === 'open').length });
  await nextLine();
  process.exit(0); // closing thousands of sessions is not measured
}

/** Takes the first message of a stream, then none until it is released: then all, to the last. */
export async function sleepAndRead(options: Options): Promise<void> {
  const client = await open(options);
  const reader = client.stream(options.target).read();
  await reader.ready;
  await ready();
  const progress = new Progress();
  for await (const message of reader) {
    if (progress.received === 0) await nextLine();
    progress.take(message.content[0]!);
    if (progress.finished) break;
  }
  done({ count: progress.received, disordered: progress.disordered });
  await nextLine();
  await client.close();
}
