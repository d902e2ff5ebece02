// Plays a peer through our SDK, as an application uses it: nothing here knows
// frames or commands.
import { connect, type MlmClient, type Message, type StreamReader } from '../../client/index.js';
import { Arrivals, type Delivery, type Peer, type Work } from './peer.js';

/** One client of the SDK as a peer. */
export class SdkPeer implements Peer {
  readonly #streams = new Arrivals<Delivery>();
  readonly #mail = new Arrivals<Delivery>();
  readonly #readers = new Map<string, StreamReader>();
  readonly #pumps: Promise<void>[] = [];
  #client: MlmClient | undefined;
  #stream = '';

  async open(endpoint: string, address: string): Promise<void> {
    this.#client = await connect(endpoint, { address });
    this.#pumps.push(this.#pumpMail(this.#client));
  }

  write(stream: string): Promise<void> {
    this.#stream = stream;
    return Promise.resolve();
  }

  async send(subject: string, body: Buffer[]): Promise<void> {
    await this.#open.stream(this.#stream).send(subject, framesOf(body));
  }

  async read(stream: string, pattern: string): Promise<void> {
    const reader = this.#open.stream(stream).read({ pattern });
    this.#readers.set(stream, reader);
    this.#pumps.push(this.#pumpStream(reader));
    await reader.ready;
  }

  async cancel(stream: string): Promise<void> {
    await this.#readers.get(stream)?.cancel();
  }

  async sendTo(address: string, subject: string, body: Buffer[]): Promise<void> {
    await this.#open.sendTo(address, subject, framesOf(body));
  }

  async offer(service: string, pattern: string, work: Work): Promise<void> {
    await this.#open.offer(service, { pattern }, (request) =>
      framesOf(work(delivered(request.service, request))),
    );
  }

  async request(service: string, subject: string, body: Buffer[]): Promise<Buffer[]> {
    return (await this.#open.request(service, subject, framesOf(body))).content;
  }

  async nextOfStream(): Promise<Delivery> {
    return this.#streams.next('stream message');
  }

  async nextMail(): Promise<Delivery> {
    return this.#mail.next('mail');
  }

  /** Safe to call again, or where it never opened. */
  async close(): Promise<void> {
    await this.#client?.close();
    await Promise.all(this.#pumps);
  }

  get #open(): MlmClient {
    if (this.#client === undefined) throw new Error('the peer is not open');
    return this.#client;
  }

  async #pumpMail(client: MlmClient): Promise<void> {
    for await (const mail of client.mailbox()) this.#mail.add(delivered(client.address, mail));
  }

  async #pumpStream(reader: StreamReader): Promise<void> {
    for await (const message of reader) this.#streams.add(delivered(message.stream, message));
  }
}

function delivered(address: string, { sender, subject, content }: Message): Delivery {
  return { address, sender, subject, body: content };
}

/** To the SDK an empty list is a value; a body without frames is none at all. */
function framesOf(body: Buffer[]): Buffer[] | undefined {
  return body.length > 0 ? body : undefined;
}
