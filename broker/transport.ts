// The broker's ROUTER socket, and the only file of the broker that knows zeromq.
// It moves frames; what they mean it does not know.
import { Router } from 'zeromq';
import { faultOf, IN_USE, NOT_AN_ENDPOINT, obstacleAt } from './endpoint.js';

/** Why a message could not be handed to a peer. */
export type SendFailure = 'full' | 'gone' | 'closed';

const NO_SUCH_ADDRESS = 'this machine has no such address; tcp://*:PORT listens on all it has';

/** What to do about a bind that failed, by error code. */
const BIND_ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: IN_USE,
  EACCES: 'permission denied; choose a port above 1023, or another path',
  EINVAL: NOT_AN_ENDPOINT,
  EPROTONOSUPPORT: NOT_AN_ENDPOINT,
  ENODEV: NO_SUCH_ADDRESS,
  EADDRNOTAVAIL: NO_SUCH_ADDRESS,
  ENOENT: 'there is no such folder, or nothing can be made in it; choose another path',
};

/** What moves frames between the broker and its peers. */
export interface Transport {
  /** Where it listens, with real ports. */
  readonly endpoints: readonly string[];
  /**
   * Listens on an endpoint.
   *
   * @returns the real endpoint, with the port that was picked
   * @throws {Error} saying which endpoint cannot be listened on, and why
   */
  bind(endpoint: string): Promise<string>;
  /** The next message: the peer's routing id, then its frames. Rejects once closed. */
  receive(): Promise<Buffer[]>;
  /**
   * Hands a message to a peer's queue; settles at once. One call at a time.
   *
   * @param frames the peer's routing id, then the frames
   */
  send(frames: Buffer[]): Promise<void>;
  /** What a rejected `send` means. */
  failureOf(error: unknown): SendFailure;
  /** Closes the socket. @param lingerMs how long what was handed over may still take to leave */
  close(lingerMs: number): void;
}

export interface TransportOptions {
  /** The largest frame to take from a peer, in octets; a peer that sends more is cut off. */
  readonly frameBytesMax: number;
}

/** How often, and how soon again, an address is tried that is in use. */
const BIND_ATTEMPTS = 10;
const BIND_AGAIN_MS = 50;

/** The transport on a ROUTER socket. */
export class RouterTransport implements Transport {
  readonly #router: Router;
  readonly endpoints: string[] = [];

  constructor({ frameBytesMax }: TransportOptions) {
    this.#router = new Router({
      // An unknown or full peer is an error to be told, not a message to be lost.
      mandatory: true,
      sendTimeout: 0,
      // A peer that comes back under its old routing id replaces its dead self.
      handover: true,
      linger: 0,
      maxMessageSize: frameBytesMax,
      backlog: 1024,
    });
  }

  async bind(endpoint: string): Promise<string> {
    const obstacle = faultOf(endpoint) ?? (await obstacleAt(endpoint));
    if (obstacle !== undefined) throw new Error(`cannot listen on ${endpoint}: ${obstacle}`);
    try {
      await this.#bindPatiently(endpoint);
    } catch (cause) {
      throw new Error(`cannot listen on ${endpoint}: ${this.#advice(endpoint, cause)}`, { cause });
    }
    const real = this.#router.lastEndpoint ?? endpoint;
    this.endpoints.push(real);
    return real;
  }

  /** A broker that has just stopped in this process lets go of its address a moment later. */
  async #bindPatiently(endpoint: string): Promise<void> {
    for (let left = BIND_ATTEMPTS; ; left--) {
      try {
        await this.#router.bind(endpoint);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || left <= 1) throw error;
        await new Promise((resolve) => setTimeout(resolve, BIND_AGAIN_MS));
      }
    }
  }

  receive(): Promise<Buffer[]> {
    return this.#router.receive();
  }

  send(frames: Buffer[]): Promise<void> {
    return this.#router.send(frames);
  }

  failureOf(error: unknown): SendFailure {
    const code = (error as NodeJS.ErrnoException | undefined)?.code;
    if (code === 'EAGAIN') return 'full';
    if (code === 'EHOSTUNREACH') return 'gone';
    if (this.#router.closed) return 'closed';
    throw error;
  }

  close(lingerMs: number): void {
    this.#router.linger = lingerMs;
    this.#router.close();
  }

  #advice(endpoint: string, cause: unknown): string {
    const { code, message } = cause as NodeJS.ErrnoException;
    const mine = this.endpoints.find((each) => portOf(each) === portOf(endpoint));
    if (code === 'EADDRINUSE' && mine !== undefined) {
      return `this broker listens on ${mine} already; name each port once`;
    }
    return (code === undefined ? undefined : BIND_ADVICE[code]) ?? message;
  }
}

/** The port of an endpoint, or all of it where it has none. */
function portOf(endpoint: string): string {
  return /^tcp:.*:(\d+)$/.exec(endpoint)?.[1] ?? endpoint;
}
