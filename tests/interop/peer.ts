// What a scenario may ask of either side, whoever plays it: our SDK, the
// Python peer or the C client. And the queue in which a player keeps what was
// delivered until the scenario asks for it. It knows no sockets or processes.
import { PATIENCE_MS } from '../support/processes.js';

/** One message as it was delivered. */
export interface Delivery {
  /** The stream, mailbox or service. */
  address: string;
  sender: string;
  subject: string;
  body: Buffer[];
}

/** What a worker answers to a request's body. */
export type Work = (request: Delivery) => Buffer[];

/** One client of a broker. Every method rejects where the broker or time says no. */
export interface Peer {
  open(endpoint: string, address: string): Promise<void>;
  /** Chooses the stream that `send` writes to. */
  write(stream: string): Promise<void>;
  send(subject: string, body: Buffer[]): Promise<void>;
  /** Resolves once the broker has the subscription. */
  read(stream: string, pattern: string): Promise<void>;
  cancel(stream: string): Promise<void>;
  sendTo(address: string, subject: string, body: Buffer[]): Promise<void>;
  /** Resolves once the broker has the offer; from then on `work` answers the requests. */
  offer(service: string, pattern: string, work: Work): Promise<void>;
  /** Sends one request and resolves with the body of its reply. */
  request(service: string, subject: string, body: Buffer[]): Promise<Buffer[]>;
  /** The next message of a stream that is read. */
  nextOfStream(): Promise<Delivery>;
  /** The next message in the own mailbox that is no reply to a request. */
  nextMail(): Promise<Delivery>;
  close(): Promise<void>;
}

/** How long a delivery may take before a scenario gives up. */
export const DELIVERY_WAIT_MS = PATIENCE_MS;

/** What has arrived and was not asked for yet, in order. */
export class Arrivals<T> {
  readonly #kept: T[] = [];
  readonly #asked: ((item: T) => void)[] = [];

  /** How many wait. */
  get size(): number {
    return this.#kept.length;
  }

  add(item: T): void {
    const asked = this.#asked.shift();
    if (asked) asked(item);
    else this.#kept.push(item);
  }

  /** @throws {Error} where nothing arrives in time */
  async next(what: string): Promise<T> {
    const kept = this.#kept.shift();
    if (kept !== undefined) return kept;
    return new Promise((resolve, reject) => {
      const asked = (item: T): void => {
        clearTimeout(timer);
        resolve(item);
      };
      const timer = setTimeout(() => {
        this.#asked.splice(this.#asked.indexOf(asked), 1);
        reject(new Error(`no ${what} within ${DELIVERY_WAIT_MS} ms`));
      }, DELIVERY_WAIT_MS);
      this.#asked.push(asked);
    });
  }
}
