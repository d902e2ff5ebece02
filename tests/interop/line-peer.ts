// Plays a peer through a child process driven by lines: peer.py or c-client.c
// (README.md in this folder describes the lines). It holds no knowledge of
// MLM: what a command means is the child's business.
import type { Child } from '../support/processes.js';
import { Arrivals, DELIVERY_WAIT_MS, type Delivery, type Peer, type Work } from './peer.js';

interface Pending {
  resolve: (fields: string[]) => void;
  reject: (error: Error) => void;
}

/** CONFIRM as it reached a client. */
export interface Confirmation {
  tracker: string;
  statusCode: number;
}

/** One child process as a peer. */
export class LinePeer implements Peer {
  readonly confirmations = new Arrivals<Confirmation>();
  readonly #child: Child;
  readonly #pending: Pending[] = [];
  readonly #streams = new Arrivals<Delivery>();
  readonly #mail = new Arrivals<Delivery>();
  readonly #replies = new Map<string, Arrivals<Delivery>>();
  #work: Work | undefined;
  #requests = 0;

  constructor(child: Child) {
    this.#child = child;
    child.onLine((line) => this.#take(line));
    void child.ended.then(() => {
      const error = new Error(`the peer ended\n${child.stdout}\n${child.stderr}`);
      for (const { reject } of this.#pending.splice(0)) reject(error);
    });
  }

  /**
   * Gives the child one command and waits for its answer.
   *
   * @returns the fields after `ok`
   * @throws {Error} with the child's text, where it answers `error`
   */
  async command(...fields: string[]): Promise<string[]> {
    if (fields.some((field) => /[\t\n]/.test(field))) {
      throw new Error('a field of a peer command holds a tab or a line end');
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no answer to ${fields.join(' ')}\n${this.#child.stderr}`)),
        DELIVERY_WAIT_MS,
      );
      this.#pending.push({
        resolve: (answer) => {
          clearTimeout(timer);
          resolve(answer);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.#child.write(`${fields.join('\t')}\n`);
    });
  }

  async open(endpoint: string, address: string): Promise<void> {
    await this.command('open', endpoint, address);
  }

  async write(stream: string): Promise<void> {
    await this.command('write', stream);
  }

  async send(subject: string, body: Buffer[]): Promise<void> {
    await this.command('send', subject, ...toHex(body));
  }

  async read(stream: string, pattern: string): Promise<void> {
    await this.command('read', stream, pattern);
  }

  async cancel(stream: string): Promise<void> {
    await this.command('cancel', stream);
  }

  async sendTo(address: string, subject: string, body: Buffer[]): Promise<void> {
    await this.command('mail', address, subject, '', '0', ...toHex(body));
  }

  async offer(service: string, pattern: string, work: Work): Promise<void> {
    this.#work = work;
    await this.command('offer', service, pattern);
  }

  async request(service: string, subject: string, body: Buffer[]): Promise<Buffer[]> {
    const tracker = `request-${++this.#requests}`;
    const arrivals = new Arrivals<Delivery>();
    this.#replies.set(tracker, arrivals);
    await this.command('request', service, subject, tracker, '0', ...toHex(body));
    const reply = await arrivals.next(`reply to ${subject}`);
    this.#replies.delete(tracker);
    return reply.body;
  }

  async nextOfStream(): Promise<Delivery> {
    return this.#streams.next('stream message');
  }

  async nextMail(): Promise<Delivery> {
    return this.#mail.next('mail');
  }

  /** How many mails have arrived that no one asked for yet. */
  get mailWaiting(): number {
    return this.#mail.size;
  }

  async close(): Promise<void> {
    await this.command('close');
  }

  #take(line: string): void {
    const [word = '', ...fields] = line.split('\t');
    if (word === 'ok') this.#pending.shift()?.resolve(fields);
    else if (word === 'error') this.#pending.shift()?.reject(new Error(fields.join(' ')));
    else if (word === 'confirm') this.#confirmed(fields);
    else if (word === 'stream') this.#streams.add(delivered(fields));
    else if (word === 'mail') this.#mailed(delivered(fields), fields[TRACKER_AT] ?? '');
    else if (word === 'request') this.#requested(delivered(fields), fields[TRACKER_AT] ?? '');
    else throw new Error(`a peer printed ${line}`);
  }

  #confirmed([tracker = '', code]: string[]): void {
    this.confirmations.add({ tracker, statusCode: Number(code) });
  }

  #mailed(mail: Delivery, tracker: string): void {
    (this.#replies.get(tracker) ?? this.#mail).add(mail);
  }

  /** A worker of MLM/1 answers by mail to the sender, with the request's tracker. */
  #requested(request: Delivery, tracker: string): void {
    if (!this.#work) throw new Error(`a request without an offer: ${request.subject}`);
    const reply = toHex(this.#work(request));
    this.command('mail', request.sender, request.subject, tracker, '0', ...reply).catch(
      () => undefined, // The requester fails for want of a reply.
    );
  }
}

const TRACKER_AT = 3;

function delivered([address = '', sender = '', subject = '', , ...frames]: string[]): Delivery {
  return { address, sender, subject, body: frames.map((frame) => Buffer.from(frame, 'hex')) };
}

function toHex(body: Buffer[]): string[] {
  return body.map((frame) => frame.toString('hex'));
}
