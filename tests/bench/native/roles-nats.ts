// The roles of NATS clients (nats.js): core publish and subscribe, JetStream
// publish and replay, requests to a queue group. They check what ours check;
// whatever the library offers as its fastest way is what they use.
import { connect, StorageType, type JsMsg, type NatsConnection } from 'nats';
import { done, nextLine, nowNs, Progress, ready } from '../load/counting.js';
import type { RoleOptions } from '../load/options.js';
import { Bodies, keepInFlight, numberIn } from './bodies.js';

type Options = Required<RoleOptions>;

/** Messages between two flushes of a publisher. */
const FLUSH_EVERY = 2048;
const STREAM_MB = 1_000_000_000;

function open({ endpoint }: Options): Promise<NatsConnection> {
  return connect({ servers: endpoint });
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Publishes so that two flushes at most are under way: what was published is with the server. */
class Publisher {
  readonly #connection: NatsConnection;
  readonly #subject: string;
  #flushed: Promise<void> = Promise.resolve();
  #count = 0;

  constructor(connection: NatsConnection, subject: string) {
    this.#connection = connection;
    this.#subject = subject;
  }

  /** @returns a promise to wait for, now and then */
  publish(body: Uint8Array): Promise<void> | undefined {
    this.#connection.publish(this.#subject, body);
    if (++this.#count % FLUSH_EVERY !== 0) return undefined;
    const before = this.#flushed;
    this.#flushed = this.#connection.flush();
    return before;
  }

  async flush(): Promise<void> {
    await this.#flushed;
    await this.#connection.flush();
  }
}

/**
 * Publishes `warmup` messages, then `count` more. The server drops what a slow
 * subscriber leaves: no more than `window` are on their way.
 */
export async function publish(options: Options): Promise<void> {
  const connection = await open(options);
  const bodies = new Bodies(options.size);
  const publisher = new Publisher(connection, options.target);
  let acknowledged = 0;
  let onAcknowledged = (): void => undefined;
  connection.subscribe(`${options.target}.acks`, {
    callback: (_error, message) => {
      acknowledged = Number(message.string());
      onAcknowledged();
    },
  });
  await connection.flush();
  await ready();
  const total = options.warmup + options.count;
  let number = 0;
  const until = async (end: number) => {
    while (number < end) {
      const flushed = publisher.publish(bodies.take(number, number + 1 === total));
      number++;
      if (flushed === undefined) continue;
      await flushed;
      while (number - acknowledged > options.window) {
        await new Promise<void>((resolve) => (onAcknowledged = resolve));
      }
    }
    await publisher.flush();
  };
  await until(options.warmup);
  const firstNs = nowNs();
  await until(total);
  done({ count: total, firstNs });
  await nextLine();
  await connection.close();
}

/** Takes messages until the last one, and tells the publisher every tenth of `window`. */
export async function subscribe(options: Options): Promise<void> {
  const connection = await open(options);
  const progress = new Progress();
  const step = Math.max(1, Math.floor(options.window / 10));
  let finish = (): void => undefined;
  const finished = new Promise<void>((resolve) => (finish = resolve));
  connection.subscribe(options.target, {
    callback: (_error, message) => {
      progress.take(asBuffer(message.data));
      if (progress.received % step === 0) {
        connection.publish(`${options.target}.acks`, String(progress.received));
      }
      if (progress.finished) finish();
    },
  });
  await connection.flush();
  await ready();
  await finished;
  await told(connection, progress, 0);
}

async function told(
  connection: NatsConnection,
  { received, disordered }: Progress,
  firstNs: number,
): Promise<void> {
  done({ count: received, disordered, firstNs });
  await nextLine();
  await connection.close();
}

async function addStream(connection: NatsConnection, name: string) {
  const manager = await connection.jetstreamManager();
  await manager.streams.add({
    name,
    subjects: [`${name}.*`],
    storage: StorageType.File,
    max_bytes: STREAM_MB,
  });
  return manager;
}

/** JetStream, file storage: publishes with `window` that wait for their acknowledgement. */
export async function append(options: Options): Promise<void> {
  const connection = await open(options);
  const manager = await addStream(connection, options.target);
  const jetstream = connection.jetstream();
  const subject = `${options.target}.load`;
  const bodies = new Bodies(options.size);
  await ready();
  let highest = 0;
  const flight = await keepInFlight(options.window, options.seconds, async (number) => {
    const { seq } = await jetstream.publish(subject, bodies.take(number, false));
    if (seq > highest) highest = seq;
  });
  const { state } = await manager.streams.info(options.target);
  if (state.messages !== highest) throw new Error(`LOST: ${state.messages} of ${highest} stored`);
  await manager.streams.delete(options.target);
  done(flight);
  await nextLine();
  await connection.close();
}

/** Fills a JetStream stream with `count` messages. */
export async function fill(options: Options): Promise<void> {
  const connection = await open(options);
  const manager = await addStream(connection, options.target);
  const publisher = new Publisher(connection, `${options.target}.load`);
  const bodies = new Bodies(options.size);
  await ready();
  for (let number = 0; number < options.count; number++) {
    const flushed = publisher.publish(bodies.take(number, number + 1 === options.count));
    if (flushed !== undefined) await flushed;
  }
  await publisher.flush();
  for (let before = -1; ;) {
    const { state } = await manager.streams.info(options.target);
    if (state.messages === options.count) break;
    if (state.messages === before) throw new Error(`LOST: ${before} of ${options.count} stored`);
    before = state.messages;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  done({ count: options.count });
  await nextLine();
  await connection.close();
}

/** Reads a JetStream stream from its first message with an ordered consumer, as fast as it gives. */
export async function replay(options: Options): Promise<void> {
  const connection = await open(options);
  const progress = new Progress();
  const consumer = await connection.jetstream().consumers.get(options.target);
  await ready();
  const firstNs = nowNs();
  await new Promise<void>((resolve, reject) => {
    const callback = (message: JsMsg): void => {
      progress.take(asBuffer(message.data));
      if (progress.finished) resolve();
    };
    consumer.consume({ callback, max_messages: 10_000 }).catch(reject);
  });
  await told(connection, progress, firstNs);
}

/** Answers requests with their own bodies, as one of a queue group. */
export async function work(options: Options): Promise<void> {
  const connection = await open(options);
  let count = 0;
  connection.subscribe(options.target, {
    queue: 'workers',
    callback: (_error, message) => {
      count++;
      message.respond(message.data);
    },
  });
  await connection.flush();
  await ready();
  await nextLine();
  done({ count });
  await nextLine();
  await connection.close();
}

/** Makes requests with `window` in flight, for `seconds`. */
export async function request(options: Options): Promise<void> {
  const connection = await open(options);
  const bodies = new Bodies(options.size);
  await ready();
  let disordered = 0;
  const flight = await keepInFlight(options.window, options.seconds, async (number) => {
    const reply = await connection.request(options.target, bodies.take(number, false), {
      timeout: 10_000,
    });
    if (numberIn(reply.data) !== number) disordered++;
  });
  done({ ...flight, disordered });
  await nextLine();
  await connection.close();
}
