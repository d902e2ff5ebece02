// A native peer that is not the SDK: it speaks the wire of docs/protocol.md with
// the codec alone, keeps what it receives, and does nothing by itself.
import { decode as unpack, encode as pack } from '@msgpack/msgpack';
import { Dealer } from 'zeromq';
import {
  BatchReader,
  BatchWriter,
  BlockReader,
  BlockWriter,
  decode,
  encodeHeader,
  isBatch,
  trailer,
  type NativeBrokerCommandName,
  type NativeClientCommandName,
  type NativeCommand,
} from '../../protocol/index.js';
import { PATIENCE_MS } from './processes.js';

type Incoming = NativeCommand<NativeBrokerCommandName>;

/** A message of a stream, as it was delivered. */
export interface StreamMessage {
  sequence: number;
  sender: string;
  subject: string;
  content: string[];
}

export class NativeClient {
  readonly address: string;
  /** What came and was not taken by `next`. */
  readonly inbox: Incoming[] = [];
  /** The properties that the broker's OK carried. */
  properties: unknown;
  /** Sendings so far. */
  sendings = 0;
  /** Why the session is over; undefined while it is not. */
  over: Error | undefined;
  readonly #socket = new Dealer({ linger: 0 });
  readonly #sections = new BlockWriter();
  #waiters: (() => void)[] = [];
  #calls = 0;

  private constructor(address: string) {
    this.address = address;
  }

  /**
   * Connects and negotiates; throws where the broker answers anything but OK.
   *
   * @param patienceMs how long to wait for the answer
   */
  static async open(
    endpoint: string,
    address: string,
    patienceMs = PATIENCE_MS,
  ): Promise<NativeClient> {
    const client = new NativeClient(address);
    try {
      await client.#negotiate(endpoint, patienceMs);
    } catch (error) {
      client.#end(error as Error);
      throw error;
    }
    void client.#receive();
    return client;
  }

  async #negotiate(endpoint: string, patienceMs: number): Promise<void> {
    const socket = this.#socket;
    socket.connect(endpoint);
    const { address } = this;
    const open = encodeHeader({
      name: 'CONNECTION OPEN',
      protocol: 'MALAMUTE',
      version: 1,
      address,
    });
    await socket.send(Buffer.concat([open, pack({ native: 1 })]));
    socket.receiveTimeout = patienceMs;
    const frames = await socket.receive();
    const answer = decode(frames);
    if (answer.name !== 'OK') throw new Error(`the broker answered ${JSON.stringify(answer)}`);
    socket.receiveTimeout = -1;
    this.properties = unpack(trailer(frames[0]!));
  }

  async send(...commands: NativeCommand<NativeClientCommandName>[]): Promise<void> {
    const batch = new BatchWriter();
    for (const command of commands) batch.add(command);
    const frames = batch.take();
    if (frames !== undefined) await this.#socket.send(frames);
  }

  /** Sends messages to a stream, as one command. @returns the number of the first sending */
  async sendToStream(
    handle: number,
    messages: readonly [subject: string, body: Buffer][],
  ): Promise<number> {
    for (const [subject, body] of messages)
      this.#sections.append(0, 0, this.address, subject, [body]);
    const sections = Buffer.concat(this.#sections.take().map(({ bytes }) => bytes));
    const first = this.sendings + 1;
    this.sendings += messages.length;
    await this.send({ name: 'STREAM SEND', handle, sections });
    return first;
  }

  /** Asks a question. @returns its RESULT */
  async call(method: string, given: Record<string, unknown>): Promise<NativeCommand<'RESULT'>> {
    const call = ++this.#calls;
    await this.send({ name: 'CALL', call, method, arguments: given });
    return this.next('RESULT', (result) => result.call === call);
  }

  /** Asks a question whose answer must be 200. @returns its value */
  async ask<Value>(method: string, given: Record<string, unknown>): Promise<Value> {
    const result = await this.call(method, given);
    if (result.statusCode !== 200) throw new Error(`${method}: ${result.statusReason}`);
    return result.value as Value;
  }

  /** Takes the first command of a name that came, or comes. */
  async next<Name extends NativeBrokerCommandName>(
    name: Name,
    accepts: (command: NativeCommand<Name>) => boolean = () => true,
  ): Promise<NativeCommand<Name>> {
    for (;;) {
      const at = this.inbox.findIndex(
        (item) => item.name === name && accepts(item as NativeCommand<Name>),
      );
      if (at >= 0) return this.inbox.splice(at, 1)[0] as NativeCommand<Name>;
      if (this.over !== undefined) throw this.over;
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  /** Resolves when everything up to a sending was accepted or refused. */
  async settled(upTo = this.sendings): Promise<void> {
    for (;;) {
      const { upTo: reached } = await this.next('ACCEPTED');
      if (reached >= upTo) return;
    }
  }

  /** Takes stream messages until there are so many. */
  async messages(count: number): Promise<StreamMessage[]> {
    const messages: StreamMessage[] = [];
    while (messages.length < count) {
      messages.push(...messagesOf((await this.next('STREAM DELIVER')).sections));
    }
    return messages;
  }

  /** Goes away without a word. */
  close(): void {
    this.#end(new Error('the client was closed'));
  }

  async #receive(): Promise<void> {
    try {
      for (;;) {
        const frames = await this.#socket.receive();
        if (!isBatch(frames[0]))
          throw new Error(`the broker said ${JSON.stringify(decode(frames))}`);
        const batch = new BatchReader(frames);
        for (let command = batch.next(); command !== undefined; command = batch.next()) {
          this.inbox.push(command as Incoming);
        }
        this.#wake();
      }
    } catch (error) {
      this.#end(error as Error);
    }
  }

  #end(why: Error): void {
    if (this.over !== undefined) return;
    this.over = why;
    this.#socket.close();
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }
}

/** The messages that sections hold. */
export function messagesOf(sections: Buffer): StreamMessage[] {
  const messages: StreamMessage[] = [];
  const reader = new BlockReader(sections);
  while (reader.next()) {
    const { sequence, sender, subject } = reader;
    messages.push({ sequence, sender, subject, content: reader.content().map(String) });
  }
  return messages;
}
