// Keeps one session with the broker: opens it, watches that the broker lives,
// and opens it again when it is lost, with everything that was declared. What
// happens when stands in life.ts; here is how. It knows nothing of streams,
// mail or services, and how commands travel is the wire's business.
import { PROTOCOL_NAME, PROTOCOL_VERSION } from '../protocol/index.js';
import { Backoff } from './backoff.js';
import type { Clock, Timer } from './clock.js';
import { Declarations, type Declaration, type DeclaringCommand } from './declarations.js';
import { ignore, MlmError } from './errors.js';
import type { Intake } from './intake.js';
import { LIFE, type Action, type LifeEvent, type State } from './life.js';
import type { NativeSession } from './native/session.js';
import { agreedTo, NATIVE_OFFER } from './negotiation.js';
import type { Options } from './options.js';
import type { DataCommand, Outbox, Sent } from './outbox.js';
import type { Dial } from './transport.js';
import { Wire, type Answer, type ControlCommand, type Delivery } from './wire.js';

/** Who is told what becomes of the session. */
export interface ConnectionHooks {
  deliver(delivery: Delivery): void;
  pong(): void;
  /** @param native whether the session is a native one; that does not change later */
  opened(native: boolean): void;
  lost(error: MlmError): void;
  reconnecting(attempt: number, delayMs: number): void;
  /** The broker refused something that nobody waits for. */
  report(error: MlmError): void;
  /** Everything is over; without an error where the user closed it. */
  closed(error: MlmError | undefined): void;
}

/** The parts that a connection works with. */
export interface ConnectionParts {
  readonly clock: Clock;
  readonly dial: Dial;
  readonly outbox: Outbox;
  readonly intake: Intake;
  /** What fills native sessions. */
  readonly native: NativeSession;
}

const NOT_IMPLEMENTED = 501;

export class Connection {
  readonly #endpoint: string;
  readonly #options: Options;
  readonly #clock: Clock;
  readonly #parts: ConnectionParts;
  readonly #hooks: ConnectionHooks;
  readonly #backoff: Backoff;
  readonly #declarations = new Declarations();
  /** Who waits until the session that is to be renewed is over. */
  readonly #renewals: (() => void)[] = [];
  #state: State = 'disconnected';
  #wire: Wire | undefined;
  /** One timer serves each state in turn: the attempt, the delay, the farewell. */
  #timer: Timer | undefined;
  #heartbeat: Timer | undefined;
  /** The reason behind what happened last. */
  #cause: MlmError | undefined;
  /** True once a session has been open. */
  #opened = false;
  /** Whether sessions are native, as the first one turned out; undefined before it. */
  #isNative: boolean | undefined;
  #heard = false;
  #silentMs = 0;
  #openMs = 0;

  constructor(endpoint: string, options: Options, parts: ConnectionParts, hooks: ConnectionHooks) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.#clock = parts.clock;
    this.#parts = parts;
    this.#hooks = hooks;
    this.#backoff = new Backoff(parts.clock);
  }

  get state(): State {
    return this.#state;
  }

  /** Begins. `hooks.opened` or `hooks.closed` tells how it went. */
  start(): void {
    this.#handle('overdue');
  }

  /** There is no coming back: everything that waits fails with this error. */
  giveUp(error: MlmError): void {
    this.#handle('giveUp', error);
  }

  /** Why nothing can be sent any more, if so. */
  get over(): MlmError | undefined {
    if (this.#state !== 'closing' && this.#state !== 'closed') return undefined;
    return this.#cause ?? new MlmError('CLOSED', 'the client is closed');
  }

  /**
   * Sends data, now or when there is a session.
   *
   * @param stream the stream that a STREAM SEND goes to
   * @returns as `Outbox.add`; rejects with CLOSED, or what ended the client, after its end
   */
  send(command: DataCommand, stream?: string): Promise<Sent> {
    const { over } = this;
    if (over !== undefined) return Promise.reject(over);
    const sent = this.#parts.outbox.add(command, stream);
    this.#wire?.kick();
    return sent;
  }

  /** Declares something to the broker, in this session and those that follow it. */
  declare(command: DeclaringCommand, onRefused: (error: MlmError) => void): Declaration {
    const declaration = this.#declarations.add(command, onRefused);
    if (this.over !== undefined) declaration.fail(this.over);
    else if (this.#state === 'open') this.#wire?.control(command, declaration);
    return declaration;
  }

  /** Repeats a declaration no more. The broker is not told. */
  undeclare(declaration: Declaration): void {
    this.#declarations.remove(declaration);
  }

  /** Sends a command whose effect ends with the session. @returns resolves when it has taken effect */
  command(command: ControlCommand): Promise<void> {
    if (this.#state !== 'open') return Promise.resolve();
    return new Promise((resolve) => {
      const refused = (): boolean => {
        resolve();
        return false;
      };
      this.#wire?.control(command, { accepted: () => resolve(), refused, dropped: resolve });
    });
  }

  /** Sends a PING, if there is a session. */
  ping(): void {
    if (this.#state === 'open') this.#sendPing();
  }

  #sendPing(): void {
    if (this.#isNative === true) this.#parts.native.say({ name: 'PING' });
    else this.#wire?.ping();
  }

  /** Takes messages from the socket, or leaves them there. */
  pause(paused: boolean): void {
    this.#wire?.pause(paused);
  }

  /**
   * Begins a new session, since MLM/1 has no way to take back an offer. Mail
   * waits meanwhile; stream messages sent between the two sessions are missed.
   *
   * @returns resolves when the old session is over, or there was none
   */
  renew(): Promise<void> {
    if (this.#state !== 'open' && this.#state !== 'renewing') return Promise.resolve();
    return new Promise((resolve) => {
      this.#renewals.push(resolve);
      this.#handle('renew');
    });
  }

  /** Ends the session; `hooks.closed` is called within `closeTimeoutMs`. */
  close(): void {
    this.#cause = undefined;
    this.#handle('close');
  }

  #handle(event: LifeEvent, cause?: MlmError): void {
    const transition = LIFE[this.#state][event];
    if (transition === undefined) return;
    // Whatever happens while closing, it is the user who ended the client.
    if (cause !== undefined && this.#state !== 'closing') this.#cause = cause;
    this.#state = transition.next;
    this.#clock.stop(this.#timer);
    for (const action of transition.actions) {
      // An action may tell someone who then closes the client.
      if (this.#state !== transition.next) return;
      this.#actions[action]();
    }
  }

  readonly #actions: Readonly<Record<Action, () => void>> = {
    dial: () => {
      this.#after(this.#options.connectTimeoutMs, 'overdue');
      try {
        this.#wire = this.#newWire();
      } catch (error) {
        if (!(error instanceof MlmError)) throw error;
        this.#handle('giveUp', error);
        return;
      }
      this.#wire.control(
        {
          name: 'CONNECTION OPEN',
          protocol: PROTOCOL_NAME,
          version: PROTOCOL_VERSION,
          address: this.#options.address,
        },
        this.#openAnswer,
        this.#asksForNative ? NATIVE_OFFER : undefined,
      );
    },

    drop: () => {
      this.#clock.stop(this.#heartbeat);
      const wire = this.#wire;
      this.#wire = undefined;
      wire?.drop();
      this.#parts.native.lost();
      for (const resolve of this.#renewals.splice(0)) resolve();
    },

    watch: () => {
      this.#opened = true;
      this.#cause = undefined;
      this.#silentMs = 0;
      this.#openMs = 0;
      this.#beatLater();
    },

    replay: () => {
      const wire = this.#wire;
      if (wire === undefined) return;
      if (this.#isNative === true) this.#parts.native.opened(() => wire.kick());
      else this.#declarations.replay(wire);
    },

    flow: () => {
      if (this.#wire !== undefined) this.#wire.flowing = true;
    },

    announceOpen: () => {
      this.#hooks.opened(this.#isNative === true);
    },

    announceLoss: () => {
      this.#hooks.lost(this.#cause ?? new MlmError('DISCONNECTED', 'the session is lost'));
    },

    backOff: () => {
      if (this.#opened && !this.#options.reconnect) {
        this.#handle('giveUp', lostForGood(this.#cause));
        return;
      }
      const delayMs = this.#backoff.next();
      this.#after(delayMs, 'overdue');
      this.#hooks.reconnecting(this.#backoff.attempts, delayMs);
    },

    part: () => {
      if (this.#wire !== undefined) this.#wire.flowing = false;
      this.#after(this.#options.closeTimeoutMs, 'overdue');
      this.#wire?.control({ name: 'CONNECTION CLOSE' }, this.#closeAnswer);
    },

    flushAndPart: () => {
      this.#after(this.#options.closeTimeoutMs, 'overdue');
      const { native, outbox } = this.#parts;
      const settled = this.#isNative === true ? native.outbox.flushed() : outbox.settled();
      const part = (): void => {
        if (this.#state !== 'closing') return;
        this.#wire?.control({ name: 'CONNECTION CLOSE' }, this.#closeAnswer);
      };
      // Where the outbox fails, the session is over anyway.
      settled.then(part, ignore);
    },

    finish: () => {
      const error = this.over as MlmError;
      this.#parts.outbox.fail(error);
      this.#parts.native.fail(error);
      this.#declarations.fail(error);
      this.#hooks.closed(this.#cause);
    },
  };

  readonly #openAnswer: Answer = {
    accepted: (properties) => {
      const agreement = this.#asksForNative ? agreedTo(properties?.()) : undefined;
      const isNative = agreement !== undefined;
      if (this.#isNative === true && !isNative) {
        this.#handle('giveUp', notNativeAnyMore(this.#endpoint));
        return;
      }
      this.#isNative = isNative;
      if (isNative) {
        this.#parts.native.messageBytesMax = agreement.messageBytesMax;
        this.#wire?.goNative(this.#parts.native);
      }
      this.#handle('accepted');
    },
    refused: (error) => {
      // At first, a refusal is an answer to who connects; later it may pass.
      if (error.status === NOT_IMPLEMENTED) this.#handle('giveUp', unsupported(error));
      else if (!this.#opened) this.#handle('giveUp', error);
      return !this.#opened;
    },
  };

  readonly #closeAnswer: Answer = {
    accepted: () => this.#handle('parted'),
    refused: () => true,
  };

  /** What a client has begun as, it stays. */
  get #asksForNative(): boolean {
    return this.#isNative ?? this.#options.protocol === 'auto';
  }

  #newWire(): Wire {
    const { dial, outbox, intake } = this.#parts;
    const transport = dial(this.#endpoint, {
      message: (frames) => wire.receive(frames),
      cut: (error) => this.#handle('cut', error),
    });
    const wire: Wire = new Wire(transport, outbox, intake, {
      deliver: (delivery) => this.#hooks.deliver(delivery),
      heard: () => {
        this.#heard = true;
      },
      pong: () => this.#hooks.pong(),
      invalid: (error) => this.#handle('invalid', error),
      refused: (error, answer) => {
        const told = answer?.refused(error) ?? false;
        this.#handle('refused', error);
        if (!told) this.#hooks.report(error);
      },
      broken: (error) => this.#handle('cut', error),
    });
    wire.pause(intake.paused);
    return wire;
  }

  #after(ms: number, event: LifeEvent): void {
    this.#timer = this.#clock.start(ms, () => this.#handle(event));
  }

  #beatLater(): void {
    this.#heartbeat = this.#clock.start(this.#options.heartbeatMs, () => this.#beat());
  }

  /** Counts beats, not hours: a program that was stopped does not blame the broker. */
  #beat(): void {
    const { heartbeatMs, brokerTimeoutMs } = this.#options;
    this.#silentMs = this.#heard || this.#parts.intake.paused ? 0 : this.#silentMs + heartbeatMs;
    this.#heard = false;
    this.#openMs += heartbeatMs;
    if (this.#openMs >= brokerTimeoutMs) this.#backoff.reset();
    if (this.#silentMs >= brokerTimeoutMs) {
      const message = `the broker has been silent for ${this.#silentMs} ms`;
      this.#handle('silent', new MlmError('DISCONNECTED', message));
      return;
    }
    this.#sendPing();
    this.#beatLater();
  }
}

function unsupported(error: MlmError): MlmError {
  const message = `the broker does not speak ${PROTOCOL_NAME} version ${PROTOCOL_VERSION}: ${error.message}`;
  return new MlmError('UNSUPPORTED', message, { cause: error, status: error.status });
}

function notNativeAnyMore(endpoint: string): MlmError {
  const message =
    `the broker at ${endpoint} spoke native sessions before, and now only ${PROTOCOL_NAME}: ` +
    'what this client does needs them. Connect anew';
  return new MlmError('UNSUPPORTED', message);
}

function lostForGood(cause: MlmError | undefined): MlmError {
  const why = cause === undefined ? '' : `: ${cause.message}`;
  return new MlmError('DISCONNECTED', `the session was lost and is not opened again${why}`, {
    cause,
    status: cause?.status,
  });
}
