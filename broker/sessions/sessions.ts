// The table of sessions: who is connected, by routing id and by address, and
// when somebody has been silent for too long. Silence is counted in beats of
// this table and not in hours of a clock, so that a broker that was itself
// stopped for a while does not blame its clients.
import type { Limits } from '../options.js';
import type { Clock, Timer } from '../clock.js';
import type { Counters } from '../counters.js';
import type { Logger } from '../log.js';
import type { Presence } from './presence.js';
import { Session, type Flushable, type SessionKey } from './session.js';

const BEATS_PER_TIMEOUT = 10;

export interface SessionsContext {
  readonly limits: Limits;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly log: Logger;
  readonly flusher: Flushable;
  readonly presence: Presence;
  /** Called when a session has ended, to take it out of the engines. */
  readonly forget: (session: Session) => void;
}

export class Sessions {
  readonly #context: SessionsContext;
  readonly #byKey = new Map<SessionKey, Session>();
  readonly #byAddress = new Map<string, Session>();
  #beat = 0;
  #timer: Timer | undefined;

  constructor(context: SessionsContext) {
    this.#context = context;
    this.#schedule();
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** The beat that counts as now. */
  get beat(): number {
    return this.#beat;
  }

  [Symbol.iterator](): IterableIterator<Session> {
    return this.#byKey.values();
  }

  get(key: SessionKey): Session | undefined {
    return this.#byKey.get(key);
  }

  /** The session that owns an address now. */
  atAddress(address: string): Session | undefined {
    return this.#byAddress.get(address);
  }

  /** Opens a session. One that already has the address ends: the newer client owns it. */
  open(key: SessionKey, routingId: Buffer, address: string): Session | undefined {
    const { limits, flusher, counters, log, clock, presence } = this.#context;
    const older = address === '' ? undefined : this.#byAddress.get(address);
    if (older !== undefined) this.end(older, 'another client opened its address');
    if (this.#byKey.size >= limits.sessionsMax) return undefined;
    // The id may be a view of a larger buffer that must not be kept alive.
    const id = Buffer.from(routingId);
    const session = new Session(
      key,
      id,
      address,
      limits.outbox,
      flusher,
      this.#beat,
      clock.nowMs(),
    );
    this.#byKey.set(key, session);
    if (address !== '') this.#byAddress.set(address, session);
    counters.sessionsOpened++;
    presence.changed(session);
    log.debug('session opened', { address });
    return session;
  }

  /** Ends a session: it is forgotten, and what it had not taken goes back. */
  end(session: Session, why: string): void {
    if (session.ended) return;
    session.ended = true;
    this.#byKey.delete(session.key);
    if (this.#byAddress.get(session.address) === session) this.#byAddress.delete(session.address);
    this.#context.log.debug('session ended', { address: session.address, why });
    this.#context.presence.changed(session);
    this.#context.forget(session);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #schedule(): void {
    const { clock, timeoutMs } = this.#context;
    this.#timer = clock.after(timeoutMs / BEATS_PER_TIMEOUT, () => {
      this.#schedule();
      this.#onBeat();
    });
  }

  #onBeat(): void {
    this.#beat++;
    const oldest = this.#beat - BEATS_PER_TIMEOUT;
    for (const session of this.#byKey.values()) {
      if (session.lastBeat >= oldest) continue;
      this.#context.counters.sessionsExpired++;
      this.#context.log.info('session expired', {
        address: session.address,
        silentMs: this.#context.timeoutMs,
      });
      this.end(session, 'silent for too long');
    }
  }
}
