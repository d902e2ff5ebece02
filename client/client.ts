// The client as its user sees it: one object with the verbs, over one session.
// It wires the rooms together, brings each delivery to the room it is for, and
// does nothing else itself.
import { Admin } from './admin.js';
import { systemClock, type Clock } from './clock.js';
import { Connection } from './connection.js';
import { aborted, closedError, ignore, MlmError } from './errors.js';
import { Events, type ClientEvents } from './events.js';
import { Intake } from './intake.js';
import type { JobHandle, SubmitOptions } from './jobs.js';
import type { MailboxOptions, MailboxReader, SendToOptions } from './mailbox.js';
import type { Reply } from './message.js';
import { NativeOutbox } from './native/outbox.js';
import { NativeRooms } from './native/rooms.js';
import { NativeSession, type NativeDelivery } from './native/session.js';
import type { Handler, Offer } from './offer.js';
import { checkMs, checkSignal, checkText, resolveOptions, type ConnectOptions } from './options.js';
import { Outbox } from './outbox.js';
import { Pending } from './pending.js';
import type { RequestOptions } from './requests.js';
import type { Room } from './room.js';
import type { Rooms } from './rooms.js';
import type { OfferOptions } from './services.js';
import type { Stream } from './stream.js';
import { TimeLimit } from './time-limit.js';
import { dialDealer, type Dial } from './transport.js';
import { V1Rooms } from './v1-rooms.js';

/** What tests put in the place of real time and real sockets. */
export interface ClientParts {
  readonly clock?: Clock;
  readonly dial?: Dial;
}

/** How a client speaks with its broker. */
export type SessionProtocol = 'native' | 'v1';

/** Where a client is. `connecting` and `disconnected` pass by themselves. */
export type ClientState = 'connecting' | 'open' | 'disconnected' | 'closing' | 'closed';

export interface PingOptions {
  /** ms. Default: the client's `brokerTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

type Listener<Name extends keyof ClientEvents> = (...what: ClientEvents[Name]) => void;

/**
 * A client of a Malamute broker; `connect` makes one.
 *
 * It keeps its session by itself: pings the broker, opens a lost session again,
 * repeats what it reads and offers, then sends what waited. In native sessions it
 * also sends again what the broker had not accepted when a session was lost: such
 * a message can arrive twice. On MLM/1, which does not confirm sends, what was on
 * its way then may be lost.
 */
export class MlmClient extends Admin {
  readonly endpoint: string;
  /** The name of this client's mailbox; empty where it is anonymous. */
  readonly address: string;
  readonly #connection: Connection;
  readonly #room: Room;
  readonly #events = new Events();
  /** Made when the first session opens, which says of which kind they are. */
  #v1: V1Rooms | undefined;
  #native: NativeRooms | undefined;
  readonly #pongs: Pending<undefined>;
  readonly #opened: Promise<void>;
  readonly #closed: Promise<void>;
  #pings = 0;

  private constructor(endpoint: string, given: ConnectOptions, parts: ClientParts) {
    super();
    const options = resolveOptions(given);
    const { clock = systemClock, dial = dialDealer } = parts;
    this.endpoint = checkText('endpoint', endpoint);
    this.address = options.address;
    const events = this.#events;
    const outbox = new Outbox(options.sendMessagesMax, options.bufferBytesMax);
    const intake = new Intake((paused) => {
      this.#connection.pause(paused);
      events.emit(paused ? 'paused' : 'resumed');
    });
    const sendings = new NativeOutbox(
      options.sendMessagesMax,
      options.bufferBytesMax,
      ({ writer, count, waiters }, error) => {
        if (writer === undefined) return;
        events.refused({ stream: writer.stream, count: count - waiters.length, error });
      },
    );
    const native = new NativeSession(sendings, {
      deliver: (delivery: NativeDelivery) => this.#native?.deliver(delivery),
      pong: () => this.#pongs.resolveAll(undefined),
    });
    let opened = ignore;
    let failed: (error: MlmError) => void = ignore;
    let closed = ignore;
    this.#opened = new Promise((resolve, reject) => {
      opened = resolve;
      failed = reject;
    });
    this.#closed = new Promise((resolve) => {
      closed = resolve;
    });
    this.#connection = new Connection(
      endpoint,
      options,
      { clock, dial, outbox, intake, native },
      {
        deliver: (delivery) => this.#v1?.deliver(delivery),
        pong: () => this.#pongs.resolveAll(undefined),
        opened: (isNative) => {
          if (isNative) this.#native ??= new NativeRooms(this.#room);
          else this.#v1 ??= new V1Rooms(this.#room);
          opened();
          events.emit('connected');
        },
        lost: (error) => events.emit('disconnected', error),
        reconnecting: (attempt, delayMs) => events.emit('reconnecting', { attempt, delayMs }),
        report: (error) => events.report(error),
        closed: (error) => {
          this.#endAll(error);
          failed(error ?? closedError());
          closed();
          events.emit('closed', error);
        },
      },
    );
    this.#opened.catch(ignore);
    this.#room = { options, clock, connection: this.#connection, outbox, intake, events, native };
    this.#pongs = new Pending(clock, intake);
  }

  /** @internal See `connect`. */
  static async connect(
    endpoint: string,
    options: ConnectOptions = {},
    parts: ClientParts = {},
  ): Promise<MlmClient> {
    const { signal } = options;
    checkSignal('connecting', signal);
    const client = new MlmClient(endpoint, options, parts);
    const { clock, connection } = client.#room;
    const { connectTimeoutMs } = client.#room.options;
    const deadline = new TimeLimit(clock, connectTimeoutMs, () =>
      connection.giveUp(connectTimeout(endpoint, connectTimeoutMs)),
    );
    const onAbort = (): void => {
      if (signal !== undefined) connection.giveUp(aborted('connecting', signal));
    };
    signal?.addEventListener('abort', onAbort);
    connection.start();
    try {
      await client.#opened;
      return client;
    } finally {
      deadline.stop();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  get state(): ClientState {
    const { state } = this.#connection;
    return state === 'renewing' ? 'connecting' : state;
  }

  /** Whether sessions are native or MLM/1, as the broker of the first one could. */
  get protocol(): SessionProtocol {
    return this.#native === undefined ? 'v1' : 'native';
  }

  /** A stream, to send to and to read. @throws {MlmError} INVALID_ARGUMENT */
  stream(name: string): Stream {
    return this.#rooms.stream(checkText('stream', name));
  }

  /**
   * Waits for everything that was sent so far, published messages too: in native
   * sessions until the broker has accepted (or refused) it, on MLM/1 until it has
   * left.
   *
   * @throws {MlmError} CLOSED, DISCONNECTED
   */
  flush(): Promise<void> {
    return this.#rooms.flush();
  }

  /**
   * Sends mail to the mailbox of an address, which need not be connected.
   *
   * @param body see `encodeBody`: frames as they are, anything else as MessagePack
   * @returns resolves when the broker has accepted the mail (on MLM/1: when it has left);
   *   with `confirm`, when its receiver has confirmed it
   * @throws {MlmError} REFUSED, BUFFER_FULL, CLOSED, DISCONNECTED, ABORTED, INVALID_ARGUMENT; with
   *   `confirm` also EXPIRED (the broker: not delivered in `timeoutMs`), REFUSED (the
   *   receiver or the broker), TIMEOUT (neither word came in `timeoutMs`)
   */
  sendTo(address: string, subject: string, body?: unknown, options?: SendToOptions): Promise<void> {
    return this.#rooms.mailbox.send(address, subject, body, options);
  }

  /**
   * Reads the own mailbox. Each mail goes to one reader. In native sessions the
   * broker keeps a mail until it is dealt with, which asking for the next one says,
   * or `mail.confirm()` and `mail.reject()`; what was not when the session ends
   * comes again. On MLM/1 what comes while there is no reader waits for the next,
   * up to the client's bounds, and is then dropped (event `dropped`). Leaving the
   * loop loses nothing that was not taken. Replies to `request` do not appear here.
   *
   * @throws {MlmError} UNSUPPORTED for an anonymous client, CLOSED. The loop throws
   *   DISCONNECTED where the session is lost for good, and just ends at `close`
   */
  mailbox(options: MailboxOptions = {}): MailboxReader {
    return this.#rooms.mailbox.read(options);
  }

  /**
   * Offers a service. The handler's return value is sent to the requester as mail
   * with the request's subject and tracker. In native sessions a request whose
   * handler throws is tried again (see `RequestFailure` for what else a handler can
   * say), and one whose worker loses its session is given to another; after a number
   * of attempts it becomes a dead letter. On MLM/1 what a handler throws is an error
   * reply (worker-error.ts has its form). In the end it rejects the requester's
   * promise with WORKER_ERROR. An anonymous requester gets nothing.
   *
   * @returns resolves when the broker has accepted the offer
   * @throws {MlmError} INVALID_ARGUMENT, REFUSED, ABORTED, CLOSED, DISCONNECTED
   */
  offer(service: string, handler: Handler): Promise<Offer>;
  offer(service: string, options: OfferOptions, handler: Handler): Promise<Offer>;
  offer(service: string, first: OfferOptions | Handler, second?: Handler): Promise<Offer> {
    if (typeof first === 'function') return this.#rooms.services.offer(service, {}, first);
    if (second !== undefined) return this.#rooms.services.offer(service, first, second);
    return Promise.reject(new MlmError('INVALID_ARGUMENT', 'an offer needs a handler'));
  }

  /**
   * Asks a service, and waits for the reply of the worker who takes the request. In native
   * sessions, one that nobody waits for any more is cancelled: at the end of `timeoutMs`, when
   * `signal` fires, and when the client is closed.
   *
   * @param body see `encodeBody`: frames as they are, anything else as MessagePack
   * @throws {MlmError} TIMEOUT, EXPIRED (no worker took it in time, or it was not done by its
   *   deadline), CANCELLED (by somebody else), WORKER_ERROR (the worker failed; `workerCode` says
   *   how), REFUSED, ABORTED, BUFFER_FULL, CLOSED, DISCONNECTED, INVALID_ARGUMENT, UNSUPPORTED for
   *   an anonymous client, and for what MLM/1 cannot
   */
  request(
    service: string,
    subject: string,
    body?: unknown,
    options?: RequestOptions,
  ): Promise<Reply> {
    return this.#rooms.requests.request(service, subject, body, options);
  }

  /**
   * Submits a job: a request whose life the broker writes down, so that its result can be
   * collected later, by this client or another one, by its id. Nobody needs to wait for it, and an
   * anonymous client will do. Native sessions only.
   *
   * ```ts
   * const job = await client.submit('render', 'page', { page: 7 });
   * await store(job.id); // … and days later, from anywhere:
   * const reply = await client.job('render', id).result();
   * ```
   *
   * @param body see `encodeBody`: frames as they are, anything else as MessagePack
   * @returns the job, once the broker has accepted it
   * @throws {MlmError} UNSUPPORTED, REFUSED, ABORTED, BUFFER_FULL, CLOSED, DISCONNECTED, INVALID_ARGUMENT
   */
  submit(
    service: string,
    subject: string,
    body?: unknown,
    options?: SubmitOptions,
  ): Promise<JobHandle> {
    return this.#rooms.jobs.submit(service, subject, body, options);
  }

  /**
   * A job by its id, wherever it was submitted. Native sessions only.
   *
   * @throws {MlmError} INVALID_ARGUMENT, UNSUPPORTED
   */
  job(service: string, id: string): JobHandle {
    return this.#rooms.jobs.job(service, id);
  }

  /**
   * Pings the broker, beside the heartbeats.
   *
   * @returns resolves at the broker's next PONG
   * @throws {MlmError} TIMEOUT, ABORTED, CLOSED, DISCONNECTED
   */
  async ping({ timeoutMs, signal }: PingOptions = {}): Promise<void> {
    const { over } = this.#connection;
    if (over !== undefined) throw over;
    if (timeoutMs !== undefined) checkMs('timeoutMs', timeoutMs);
    checkSignal('the ping', signal);
    const answered = this.#pongs.add(String(++this.#pings), {
      what: `ping of ${this.endpoint}`,
      timeoutMs: timeoutMs ?? this.#room.options.brokerTimeoutMs,
      signal,
    });
    this.#connection.ping();
    await answered;
  }

  /**
   * Ends the session: what waits to be sent is sent, if the broker takes it, the
   * broker is told, and everything that waits ends with CLOSED. Where there is no
   * session then, one more is opened for what waits to be sent. What the broker did
   * not take in time fails with CLOSED; what was published is told by the event
   * `refused`. Readers still get what was received, then end. Handlers that run are
   * told by their signal.
   *
   * @returns resolves within `closeTimeoutMs`, broker or not; never rejects
   */
  close(): Promise<void> {
    const { state } = this.#connection;
    if (state !== 'closing' && state !== 'closed') {
      this.#endAll(undefined);
      this.#connection.close();
    }
    return this.#closed;
  }

  /** Calls `listener` at each event of this name. */
  on<Name extends keyof ClientEvents>(name: Name, listener: Listener<Name>): this {
    this.#events.add(name, listener, false);
    return this;
  }

  /** As `on`, for the next event only. */
  once<Name extends keyof ClientEvents>(name: Name, listener: Listener<Name>): this {
    this.#events.add(name, listener, true);
    return this;
  }

  /** Calls `listener` no more. */
  off<Name extends keyof ClientEvents>(name: Name, listener: Listener<Name>): this {
    this.#events.remove(name, listener);
    return this;
  }

  protected override call(method: string, given: Record<string, unknown>): Promise<unknown> {
    return this.#rooms.call(method, given);
  }

  /** Nobody has a client before its first session was open. */
  get #rooms(): Rooms {
    return (this.#native ?? this.#v1) as Rooms;
  }

  #endAll(error: MlmError | undefined): void {
    (this.#native ?? this.#v1)?.end(error);
    this.#pongs.fail(error ?? closedError());
  }
}

function connectTimeout(endpoint: string, timeoutMs: number): MlmError {
  return new MlmError(
    'CONNECT_TIMEOUT',
    `no Malamute broker answered at ${endpoint} within ${timeoutMs} ms: ` +
      'check that it runs (`mlm-broker` starts one) and that the endpoint is right',
  );
}
