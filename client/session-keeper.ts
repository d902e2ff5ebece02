// Opens one session after another, watches each, and ends the last one. What
// happens when stands in life.ts; here is how. What is said within a session, and
// how it travels, it does not know.
import { PROTOCOL_NAME, PROTOCOL_VERSION } from '../protocol/index.js';
import { Backoff } from './backoff.js';
import type { Clock } from './clock.js';
import type { Declarations } from './declarations.js';
import { closedError, ignore, MlmError } from './errors.js';
import { Heartbeat } from './heartbeat.js';
import type { Intake } from './intake.js';
import { ENDING, LIFE, type Action, type LifeEvent, type State } from './life.js';
import type { NativeSession } from './native/session.js';
import { agreedTo, NATIVE_OFFER } from './negotiation.js';
import type { Options } from './options.js';
import type { Outbox } from './outbox.js';
import { lostForGood, notNativeAnyMore, unsentError, unsupported } from './session-errors.js';
import { TimeLimit } from './time-limit.js';
import type { Dial } from './transport.js';
import { Wire, type Answer, type Delivery } from './wire.js';

/** Who is told what becomes of sessions. */
export interface SessionHooks {
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

/** The parts that sessions work with. */
export interface SessionParts {
  readonly clock: Clock;
  readonly dial: Dial;
  readonly outbox: Outbox;
  readonly intake: Intake;
  /** What fills native sessions. */
  readonly native: NativeSession;
}

const NOT_IMPLEMENTED = 501;

export class SessionKeeper {
  readonly #endpoint: string;
  readonly #options: Options;
  readonly #clock: Clock;
  readonly #parts: SessionParts;
  readonly #declarations: Declarations;
  readonly #hooks: SessionHooks;
  readonly #backoff: Backoff;
  readonly #heartbeat: Heartbeat;
  /** Who waits until the session that is to be renewed is over. */
  readonly #renewals: (() => void)[] = [];
  #state: State = 'disconnected';
  #wire: Wire | undefined;
  /** One limit serves each state in turn: the attempt, the delay, the renewal. */
  #limit: TimeLimit | undefined;
  /** The end of the time that closing may take. */
  #farewell: TimeLimit | undefined;
  /** The reason behind what happened last. */
  #cause: MlmError | undefined;
  /** True once a session has been open. */
  #opened = false;
  /** Whether sessions are native, as the first one turned out; undefined before it. */
  #isNative: boolean | undefined;

  /** @param declarations what each new session begins with */
  constructor(
    endpoint: string,
    options: Options,
    parts: SessionParts,
    declarations: Declarations,
    hooks: SessionHooks,
  ) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.#clock = parts.clock;
    this.#parts = parts;
    this.#declarations = declarations;
    this.#hooks = hooks;
    this.#backoff = new Backoff(parts.clock);
    this.#heartbeat = new Heartbeat(parts.clock, options.heartbeatMs, options.brokerTimeoutMs, {
      ping: () => this.ping(),
      isPaused: () => parts.intake.paused,
      silent: (silentMs) => {
        const message = `the broker has been silent for ${silentMs} ms`;
        this.#handle('silent', new MlmError('DISCONNECTED', message));
      },
      stable: () => this.#backoff.reset(),
    });
  }

  get state(): State {
    return this.#state;
  }

  /** The wire of the session that is open or being opened. */
  get wire(): Wire | undefined {
    return this.#wire;
  }

  /** Why nothing can be sent any more, if so. */
  get over(): MlmError | undefined {
    return this.#isOver ? (this.#cause ?? closedError()) : undefined;
  }

  get #isOver(): boolean {
    return this.#state === 'closed' || ENDING.has(this.#state);
  }

  /** Begins. `hooks.opened` or `hooks.closed` tells how it went. */
  start(): void {
    this.#handle('overdue');
  }

  /** There is no coming back: everything that waits fails with this error. */
  giveUp(error: MlmError): void {
    this.#handle('giveUp', error);
  }

  /** Begins a new session. @param over called when the old one is over */
  renew(over: () => void): void {
    this.#renewals.push(over);
    this.#handle('renew');
  }

  /** Ends the session; `hooks.closed` is called within `closeTimeoutMs`. */
  close(): void {
    if (!this.#isOver) this.#cause = undefined;
    this.#handle('close');
  }

  /** Sends a PING in the session that is open. */
  ping(): void {
    if (this.#isNative === true) this.#parts.native.say({ name: 'PING' });
    else this.#wire?.ping();
  }

  #handle(event: LifeEvent, cause?: MlmError): void {
    const transition = LIFE[this.#state][event];
    if (transition === undefined) return;
    // Whatever happens while closing, it is the user who ended the client.
    if (cause !== undefined && !this.#isOver) this.#cause = cause;
    this.#state = transition.next;
    this.#limit?.stop();
    for (const action of transition.actions) {
      // An action may tell someone who then closes the client.
      if (this.#state !== transition.next) return;
      this.#actions[action]();
    }
  }

  readonly #actions: Readonly<Record<Action, () => void>> = {
    dial: () => {
      this.#wait(this.#options.connectTimeoutMs);
      try {
        this.#wire = this.#newWire();
      } catch (error) {
        if (!(error instanceof MlmError)) throw error;
        // Later on it may pass: the system gave no socket.
        this.#handle(this.#opened && error.code === 'DISCONNECTED' ? 'cut' : 'giveUp', error);
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
      this.#heartbeat.end();
      const wire = this.#wire;
      this.#wire = undefined;
      wire?.drop();
      this.#parts.native.lost();
      for (const resolve of this.#renewals.splice(0)) resolve();
    },

    watch: () => {
      this.#opened = true;
      this.#cause = undefined;
      this.#heartbeat.begin();
    },

    replay: () => {
      const wire = this.#wire;
      if (wire === undefined) return;
      if (this.#isNative === true) this.#parts.native.opened(() => wire.kick());
      else this.#declarations.replay(wire);
    },

    replayRest: () => {
      const wire = this.#wire;
      if (wire === undefined) return;
      if (this.#isNative === true) this.#parts.native.opened(() => wire.kick(), false);
      wire.flowing = true;
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
      this.#wait(delayMs);
      this.#hooks.reconnecting(this.#backoff.attempts, delayMs);
    },

    part: () => {
      if (this.#wire !== undefined) this.#wire.flowing = false;
      this.#wait(this.#options.closeTimeoutMs);
      this.#wire?.control({ name: 'CONNECTION CLOSE' }, this.#closeAnswer);
    },

    wait: () => this.#wait(this.#options.connectTimeoutMs),

    hurry: () => {
      const { closeTimeoutMs } = this.#options;
      this.#farewell = new TimeLimit(this.#clock, closeTimeoutMs, () => this.#handle('late'));
    },

    checkRest: () => {
      if (this.#unsent === 0) this.#handle('done');
    },

    flushAndPart: () => {
      const wire = this.#wire;
      const { native, outbox } = this.#parts;
      const settled = this.#isNative === true ? native.outbox.flushed() : outbox.settled();
      const part = (): void => {
        if (this.#state !== 'closing' || this.#wire !== wire) return;
        wire?.control({ name: 'CONNECTION CLOSE' }, this.#closeAnswer);
      };
      // Where the outbox fails, the session is over anyway.
      settled.then(part, ignore);
    },

    finish: () => {
      this.#farewell?.stop();
      const error = this.over as MlmError;
      const unsent = this.#cause ?? unsentError(this.#unsent, this.#options.closeTimeoutMs);
      this.#parts.outbox.fail(unsent);
      this.#parts.native.outbox.fail(unsent);
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

  /** Messages that wait to be sent, or in native sessions to be accepted. */
  get #unsent(): number {
    return this.#parts.outbox.messages + this.#parts.native.outbox.messages;
  }

  #newWire(): Wire {
    const { dial, outbox, intake } = this.#parts;
    const transport = dial(this.#endpoint, {
      message: (frames) => wire.receive(frames),
      cut: (error) => this.#handle('cut', error),
    });
    const wire: Wire = new Wire(transport, outbox, intake, {
      deliver: (delivery) => this.#hooks.deliver(delivery),
      heard: () => this.#heartbeat.heard(),
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

  /** Bounds the time for what goes on in this state. */
  #wait(ms: number): void {
    this.#limit = new TimeLimit(this.#clock, ms, () => this.#handle('overdue'));
  }
}
