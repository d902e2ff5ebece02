// The one file that imports zeromq: a Dealer connected to one endpoint. It
// moves frames and says when the connection is gone; it knows no commands and
// opens nothing again by itself. A session lives on one transport and ends with
// it, so that nothing queued for a lost session reaches the next one.
import { Dealer } from 'zeromq';
import { MlmError } from './errors.js';
import { textOf } from './value.js';

/** Who is told what happens on a transport. */
export interface TransportHandlers {
  message(frames: Buffer[]): void;
  /** The connection is gone; every message that arrived before was handed over. */
  cut(error: MlmError): void;
}

/** One connection to the broker. */
export interface Transport {
  /**
   * Hands a message to the socket. One at a time: call again when this has resolved.
   *
   * @returns resolves once the socket has taken it; rejects, or never settles,
   *   where the transport is cut or closed before
   */
  send(frames: Buffer[]): Promise<void>;
  /** Takes messages from the socket, or leaves them there. */
  pause(paused: boolean): void;
  /** Drops what the socket has not sent. */
  close(): void;
}

/**
 * Opens a transport.
 *
 * @throws {MlmError} INVALID_ARGUMENT where the endpoint is not one; DISCONNECTED where the
 *   system gives no socket
 */
export type Dial = (endpoint: string, handlers: TransportHandlers) => Transport;

/** Messages that the socket holds: few to send, since they are lost with the connection. */
const SEND_MESSAGES_MAX = 256;
const RECEIVE_MESSAGES_MAX = 1000;
/** How often the socket itself tries to reach an endpoint where nobody listens, ms. */
const REDIAL_MS = 100;
const REDIAL_MS_MAX = 1000;
const PORT_MAX = 65_535;
/** Turns of the event loop without a message after which a cut socket is empty. */
const IDLE_TURNS = 3;

export const dialDealer: Dial = (endpoint, handlers) => new DealerTransport(endpoint, handlers);

class DealerTransport implements Transport {
  readonly #socket: Dealer;
  readonly #events: Dealer['events'];
  readonly #handlers: TransportHandlers;
  #paused = false;
  #wake: (() => void) | undefined;
  /** The connection is gone: only what arrived before is still read. */
  #draining = false;
  #received = 0;
  #over = false;

  constructor(endpoint: string, handlers: TransportHandlers) {
    this.#handlers = handlers;
    this.#socket = newSocket();
    this.#events = eventsOf(this.#socket);
    try {
      checkPort(endpoint);
      this.#socket.connect(endpoint);
    } catch (cause) {
      this.#socket.close();
      const message = `"${endpoint}" is not an endpoint (tcp://HOST:PORT or ipc://PATH): ${textOf(cause)}`;
      throw new MlmError('INVALID_ARGUMENT', message, { cause });
    }
    void this.#observe();
    void this.#receive();
  }

  send(frames: Buffer[]): Promise<void> {
    // Between the loss of the connection and `cut`, nothing may leave: the
    // socket would keep it for a session that does not know us.
    if (this.#draining) return new Promise(() => undefined);
    return this.#socket.send(frames);
  }

  pause(paused: boolean): void {
    this.#paused = paused;
    if (!paused) this.#wakeUp();
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#wakeUp();
    this.#socket.close();
  }

  async #receive(): Promise<void> {
    for (;;) {
      if (this.#paused && !this.#draining) await this.#resumed();
      if (this.#isOver()) return;
      let frames: Buffer[];
      try {
        frames = await this.#socket.receive();
      } catch (cause) {
        this.#cut(new MlmError('DISCONNECTED', `the socket failed: ${textOf(cause)}`, { cause }));
        return;
      }
      if (this.#isOver()) return;
      this.#received++;
      this.#handlers.message(frames);
    }
  }

  /** Asked anew after each pause. */
  #isOver(): boolean {
    return this.#over;
  }

  /** Waits for the connection to go. */
  async #observe(): Promise<void> {
    try {
      for (;;) {
        const { type } = await this.#events.receive();
        if (type === 'disconnect') break;
      }
    } catch {
      // The socket was closed, and its observer with it.
      return;
    }
    this.#drain();
  }

  #resumed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** Reads what arrived before the connection went, then reports it gone. */
  #drain(): void {
    if (this.#draining || this.#over) return;
    this.#draining = true;
    this.#wakeUp();
    this.#awaitIdle(this.#received, 0);
  }

  #awaitIdle(received: number, turns: number): void {
    setImmediate(() => {
      if (this.#received !== received) this.#awaitIdle(this.#received, 0);
      else if (turns < IDLE_TURNS) this.#awaitIdle(received, turns + 1);
      else this.#cut(new MlmError('DISCONNECTED', 'the broker closed the connection'));
    });
  }

  #cut(error: MlmError): void {
    if (this.#over) return;
    this.close();
    this.#handlers.cut(error);
  }
}

/** @throws {MlmError} DISCONNECTED */
function newSocket(): Dealer {
  try {
    return new Dealer({
      linger: 0,
      sendHighWaterMark: SEND_MESSAGES_MAX,
      receiveHighWaterMark: RECEIVE_MESSAGES_MAX,
      reconnectInterval: REDIAL_MS,
      reconnectMaxInterval: REDIAL_MS_MAX,
    });
  } catch (cause) {
    throw noSocket(cause);
  }
}

/** @throws {MlmError} DISCONNECTED; the socket is closed then */
function eventsOf(socket: Dealer): Dealer['events'] {
  try {
    return socket.events;
  } catch (cause) {
    socket.close();
    throw noSocket(cause);
  }
}

function noSocket(cause: unknown): MlmError {
  return new MlmError('DISCONNECTED', `no socket can be made: ${textOf(cause)}`, { cause });
}

/** libzmq would connect to the remainder of a port that there cannot be. @throws {RangeError} */
function checkPort(endpoint: string): void {
  const [, port = ''] = /^tcp:.*:(\d+)$/.exec(endpoint) ?? [];
  if (Number(port) > PORT_MAX) throw new RangeError(`a port is ${PORT_MAX} at most`);
}
