// The events of a client and the one place that emits them. An error that
// nobody listens for becomes a process warning: never silence, never a crash.
import type { MlmError } from './errors.js';
import type { Gap } from './stream.js';

/** A message that was received and had to be dropped, because its reader is too slow. */
export interface Dropped {
  readonly from: 'stream' | 'mailbox' | 'service' | 'reply';
  /** The stream, the mailbox's address or the service. */
  readonly name: string;
  readonly subject: string;
  readonly sender: string;
}

/** Messages that were published and that the broker did not accept, or never got. */
export interface Refused {
  readonly stream: string;
  /** How many, one after the other. */
  readonly count: number;
  /** REFUSED, with the broker's reason; CLOSED or DISCONNECTED where the client ended before. */
  readonly error: MlmError;
}

/** A CONFIRM for tracked mail whose sender did not wait for it. */
export interface Confirmation {
  readonly tracker: string;
  /** 200 delivered and confirmed, 300 refused, 408 expired. */
  readonly status: number;
  readonly reason: string;
}

/** What listeners of each event are called with. */
export interface ClientEvents {
  /** A session is open again; what was declared goes out before anything sent from now on. */
  connected: [];
  /** The session was lost; the error says why. */
  disconnected: [error: MlmError];
  /** An attempt to open a session begins in `delayMs`. */
  reconnecting: [{ attempt: number; delayMs: number }];
  /** The client is over: closed by you, or for the reason given. */
  closed: [error: MlmError | undefined];
  /** Something failed that no promise reports. */
  error: [error: MlmError];
  confirm: [confirmation: Confirmation];
  /** The first of a row of messages that had to be dropped. */
  dropped: [dropped: Dropped];
  /** What was published was not accepted. Without a listener it is an `error`. */
  refused: [refused: Refused];
  /** A reader has come to messages that the stream does not hold any more, and goes on after them. */
  gap: [gap: Gap];
  /** A reader's queue is full: nothing more is taken from the broker for now. */
  paused: [];
  resumed: [];
}

type Listener<Name extends keyof ClientEvents> = (...what: ClientEvents[Name]) => void;

interface Entry {
  readonly listener: (...what: never) => void;
  readonly once: boolean;
}

/** A list of listeners for each event. A listener that throws disturbs nobody else. */
export class Events {
  readonly #entries = new Map<keyof ClientEvents, Entry[]>();

  add<Name extends keyof ClientEvents>(name: Name, listener: Listener<Name>, once: boolean): void {
    this.#entries.set(name, [...(this.#entries.get(name) ?? []), { listener, once }]);
  }

  remove<Name extends keyof ClientEvents>(name: Name, listener: Listener<Name>): void {
    const entries = this.#entries.get(name) ?? [];
    this.#entries.set(
      name,
      entries.filter((entry) => entry.listener !== listener),
    );
  }

  emit<Name extends keyof ClientEvents>(name: Name, ...what: ClientEvents[Name]): void {
    for (const { listener, once } of this.#entries.get(name) ?? []) {
      if (once) this.remove(name, listener as Listener<Name>);
      this.tell((told: ClientEvents[Name]) => (listener as Listener<Name>)(...told), what);
    }
  }

  /** Calls somebody's function, if there is one. What it throws disturbs nobody here. */
  tell<What>(listener: ((what: What) => void) | undefined, what: What): void {
    try {
      listener?.(what);
    } catch (thrown) {
      // An uncaught exception, as from any callback; but not in the middle of our work.
      queueMicrotask(() => {
        throw thrown;
      });
    }
  }

  /** Reports that what was published was not accepted. */
  refused(refused: Refused): void {
    if ((this.#entries.get('refused') ?? []).length > 0) this.emit('refused', refused);
    else this.report(refused.error);
  }

  /** Reports a failure that no promise carries. */
  report(error: MlmError): void {
    if ((this.#entries.get('error') ?? []).length > 0) this.emit('error', error);
    else process.emitWarning(error.message, { type: error.name, code: error.code });
  }
}
