// What the rooms of a client say and declare goes through here, to the session
// that is open or to the next one. Opening, watching and ending sessions is the
// keeper's business; it knows nothing of streams, mail or services.
import { Declarations, type Declaration, type DeclaringCommand } from './declarations.js';
import type { MlmError } from './errors.js';
import { ENDING, type State } from './life.js';
import type { Options } from './options.js';
import type { DataCommand, Sent } from './outbox.js';
import { SessionKeeper, type SessionHooks, type SessionParts } from './session-keeper.js';
import type { ControlCommand } from './wire.js';

/** Where a client is, without what happens at its end. */
export type ConnectionState =
  'connecting' | 'open' | 'renewing' | 'disconnected' | 'closing' | 'closed';

export class Connection {
  readonly #parts: SessionParts;
  readonly #declarations = new Declarations();
  readonly #keeper: SessionKeeper;

  constructor(endpoint: string, options: Options, parts: SessionParts, hooks: SessionHooks) {
    this.#parts = parts;
    this.#keeper = new SessionKeeper(endpoint, options, parts, this.#declarations, hooks);
  }

  get state(): ConnectionState {
    return seen(this.#keeper.state);
  }

  /** Begins. `hooks.opened` or `hooks.closed` tells how it went. */
  start(): void {
    this.#keeper.start();
  }

  /** There is no coming back: everything that waits fails with this error. */
  giveUp(error: MlmError): void {
    this.#keeper.giveUp(error);
  }

  /** Why nothing can be sent any more, if so. */
  get over(): MlmError | undefined {
    return this.#keeper.over;
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
    this.#keeper.wire?.kick();
    return sent;
  }

  /**
   * As `send`, where nobody waits for the message; `Outbox.onLost` tells if it is lost.
   *
   * @throws {MlmError} BUFFER_FULL, CLOSED, DISCONNECTED
   */
  post(command: DataCommand, stream: string): void {
    const { over } = this;
    if (over !== undefined) throw over;
    this.#parts.outbox.post(command, stream);
    this.#keeper.wire?.kick();
  }

  /** Declares something to the broker, in this session and those that follow it. */
  declare(command: DeclaringCommand, onRefused: (error: MlmError) => void): Declaration {
    const declaration = this.#declarations.add(command, onRefused);
    if (this.over !== undefined) declaration.fail(this.over);
    else if (this.state === 'open') this.#keeper.wire?.control(command, declaration);
    return declaration;
  }

  /** Repeats a declaration no more. The broker is not told. */
  undeclare(declaration: Declaration): void {
    this.#declarations.remove(declaration);
  }

  /** Sends a command whose effect ends with the session. @returns resolves when it has taken effect */
  command(command: ControlCommand): Promise<void> {
    if (this.state !== 'open') return Promise.resolve();
    return new Promise((resolve) => {
      const refused = (): boolean => {
        resolve();
        return false;
      };
      this.#keeper.wire?.control(command, {
        accepted: () => resolve(),
        refused,
        dropped: resolve,
      });
    });
  }

  /** Sends a PING, if there is a session. */
  ping(): void {
    if (this.state === 'open') this.#keeper.ping();
  }

  /** Takes messages from the socket, or leaves them there. */
  pause(paused: boolean): void {
    this.#keeper.wire?.pause(paused);
  }

  /**
   * Begins a new session, since MLM/1 has no way to take back an offer. Mail
   * waits meanwhile; stream messages sent between the two sessions are missed.
   *
   * @returns resolves when the old session is over, or there was none
   */
  renew(): Promise<void> {
    if (this.state !== 'open' && this.state !== 'renewing') return Promise.resolve();
    return new Promise((resolve) => this.#keeper.renew(resolve));
  }

  /**
   * Ends the session, or opens one more where something waits to be sent;
   * `hooks.closed` is called within `closeTimeoutMs`.
   */
  close(): void {
    this.#keeper.close();
  }
}

function seen(state: State): ConnectionState {
  return ENDING.has(state) ? 'closing' : (state as ConnectionState);
}
