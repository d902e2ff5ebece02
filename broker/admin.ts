// The reserved service `$broker`: what the broker is doing, for any client that
// can send a request, MLM/1 included. It reads the engines and changes nothing.
import { encode as packMessage } from '@msgpack/msgpack';
import { encodeHeader } from '../protocol/index.js';
import type { Clock } from './clock.js';
import type { Counters } from './counters.js';
import type { Mailboxes } from './queues/mailboxes.js';
import type { NativeSide } from './sessions/native-side.js';
import type { Worker } from './queues/lanes.js';
import type { Results } from './queues/results.js';
import type { Services } from './queues/services.js';
import { v1Outgoing, type Outgoing } from './sessions/outbox.js';
import type { Session } from './sessions/session.js';
import type { Sessions } from './sessions/sessions.js';
import { isOwn, type Stream } from './streams/stream.js';
import type { Streams } from './streams/streams.js';

const ADMIN_SERVICE = '$broker';
const ROWS_MAX = 10_000;
const JSON_SUFFIX = '.json';

export interface AdminContext {
  readonly clock: Clock;
  readonly counters: Counters;
  readonly sessions: () => Sessions;
  readonly streams: Streams;
  readonly mailboxes: Mailboxes;
  readonly services: Services;
  readonly results: Results;
  readonly startedAtMs: number;
}

export class Admin {
  readonly #context: AdminContext;
  readonly #views: Readonly<Record<string, () => unknown>> = {
    clients: () => this.#clients(),
    streams: () => this.#streams(),
    services: () => this.#services(),
    workers: () => this.#workers(),
    mailboxes: () => this.#mailboxes(),
    stats: () => this.#stats(),
  };

  constructor(context: AdminContext) {
    this.#context = context;
  }

  serves(service: string): boolean {
    return service === ADMIN_SERVICE;
  }

  /**
   * Answers a request by mail to the session that asked, with its subject and
   * tracker: a list of maps, or a map; MessagePack, or JSON where the subject
   * ends in `.json`. A subject that is not known gets a map with `error`.
   */
  answer(session: Session, subject: string, tracker: string): void {
    if (!session.hasRoomFor('mailbox')) {
      this.#context.counters.repliesDropped++;
      return;
    }
    const json = subject.endsWith(JSON_SUFFIX);
    const name = json ? subject.slice(0, -JSON_SUFFIX.length) : subject;
    const view = Object.hasOwn(this.#views, name) ? this.#views[name] : undefined;
    const answer = view?.() ?? {
      error: `there is no "${name}"; ask for ${Object.keys(this.#views).join(', ')}`,
    };
    const body = json ? Buffer.from(JSON.stringify(answer)) : Buffer.from(packMessage(answer));
    session.deliver(
      'mailbox',
      session.native?.answer(ADMIN_SERVICE, subject, tracker, body) ??
        v1Answer(session, subject, tracker, body),
    );
  }

  #clients(): unknown {
    const nowMs = this.#context.clock.nowMs();
    return rows(this.#context.sessions(), (session) => ({
      address: session.address,
      connectedMs: Math.round(nowMs - session.openedAtMs),
      writes: namesOf(session.native?.streams.values() ?? written(session)),
      reads: namesOf(session.native === undefined ? session.readers : nativeReads(session.native)),
      offers: [...session.offers.keys()].slice(0, 100),
      outbox: session.outbox.length,
      credit: session.credit === Infinity ? null : session.credit,
    }));
  }

  #streams(): unknown {
    return rows(ownLast(this.#context.streams), (stream) => ({
      stream: stream.name,
      lastSequence: stream.lastSequence,
      bytes: stream.bytes,
      writers: stream.writers,
      readers: stream.readers,
      behind: stream.behind,
    }));
  }

  #services(): unknown {
    return rows(this.#context.services, (service) => ({
      service: service.name,
      workers: service.workers.size,
      patterns: service.patterns,
      requests: service.messages,
      running: service.running,
      bytes: service.bytes,
      oldestMs: service.oldestMs ?? null,
      ...service.counts,
    }));
  }

  #workers(): unknown {
    return rows(workersOf(this.#context.services), ({ session, service, ...worker }) => ({
      address: session.address,
      service: service.name,
      patterns: [...worker.groups].map(({ pattern }) => pattern.source),
      capacity: worker.capacity === Infinity ? null : worker.capacity,
      running: worker.held,
      labels: worker.labels,
      leaseMs: worker.leaseMs,
    }));
  }

  #mailboxes(): unknown {
    return rows(this.#context.mailboxes, (mailbox) => ({
      mailbox: mailbox.name,
      messages: mailbox.messages,
      bytes: mailbox.bytes,
      online: mailbox.owner !== undefined,
    }));
  }

  #stats(): unknown {
    const { clock, counters, sessions, startedAtMs } = this.#context;
    const { streams, mailboxes, services, results } = this.#context;
    const { rss, heapUsed } = process.memoryUsage();
    return {
      uptimeMs: Math.round(clock.nowMs() - startedAtMs),
      pid: process.pid,
      residentBytes: rss,
      heapBytes: heapUsed,
      sessions: sessions().size,
      streams: streams.size,
      mailboxes: mailboxes.size,
      services: services.size,
      results: results.size,
      resultsBytes: results.bytes,
      ...counters,
    };
  }
}

/** The streams of clients before those of the broker itself. */
function* ownLast(streams: Streams): Generator<Stream> {
  for (const stream of streams) if (!isOwn(stream.name)) yield stream;
  for (const stream of streams) if (isOwn(stream.name)) yield stream;
}

function* workersOf(services: Services): Generator<Worker> {
  for (const { workers } of services) yield* workers.values();
}

const NAMES_SHOWN_MAX = 100;

/** Names of streams, each once: a client may read one several times. */
function namesOf(streams: Iterable<{ readonly name: string }> = []): string[] {
  const names = new Set<string>();
  for (const { name } of streams) {
    names.add(name);
    if (names.size >= NAMES_SHOWN_MAX) break;
  }
  return [...names];
}

function written({ stream }: Session): Stream[] {
  return stream === undefined ? [] : [stream];
}

function nativeReads({ readers }: NativeSide): Stream[] {
  return [...readers.values()].map(({ stream }) => stream);
}

/** The rows of a table, up to a bound. */
function rows<Item>(items: Iterable<Item>, row: (item: Item) => unknown): unknown[] {
  const result: unknown[] = [];
  for (const item of items) {
    if (result.length >= ROWS_MAX) break;
    result.push(row(item));
  }
  return result;
}

/** An answer as mail from the broker itself. */
function v1Answer({ address }: Session, subject: string, tracker: string, body: Buffer): Outgoing {
  const head = encodeHeader({
    name: 'MAILBOX DELIVER',
    sender: ADMIN_SERVICE,
    address,
    subject,
    tracker,
  });
  return v1Outgoing(head, [body]);
}
