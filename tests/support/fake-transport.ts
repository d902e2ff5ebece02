// The network of a broker without sockets: peers that a test moves by hand. A
// peer has a pipe of a given size, which fills when it does not read, and may
// vanish; the transport answers the broker as the real one would.
import { Deque } from '../../broker/deque.js';
import type { SendFailure, Transport } from '../../broker/transport.js';
import { decode, encode, type Command } from '../../protocol/index.js';

class SendError extends Error {
  readonly failure: SendFailure;

  constructor(failure: SendFailure) {
    super(failure);
    this.failure = failure;
  }
}

/** Long enough for whatever else is ready to run to do so. */
async function aMoment(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await Promise.resolve();
}

/** One client at the other end of the fake network. `send` and `read` speak MLM/1. */
export class FakePeer {
  readonly routingId: Buffer;
  /** Messages that fit between the broker and this peer while it does not read. */
  pipeMessages = Infinity;
  readonly #network: FakeTransport;
  readonly #pipe: Buffer[][] = [];

  constructor(network: FakeTransport, routingId: Buffer) {
    this.#network = network;
    this.routingId = routingId;
  }

  /** How many messages wait to be read. */
  get waiting(): number {
    return this.#pipe.length;
  }

  get isFull(): boolean {
    return this.#pipe.length >= this.pipeMessages;
  }

  send(...commands: Command[]): void {
    for (const command of commands) this.sendFrames(encode(command));
  }

  sendFrames(frames: Buffer[]): void {
    this.#network.arrive([this.routingId, ...frames]);
  }

  /** Reads everything that has come, or up to `count` messages. */
  read(count = Infinity): Command[] {
    return this.readFrames(count).map((frames) => decode(frames));
  }

  /** As `read`, but as octets: for peers that do not speak MLM/1. */
  readFrames(count = Infinity): Buffer[][] {
    return this.#pipe.splice(0, count);
  }

  /** The connection breaks: the broker is not told, but cannot reach the peer any more. */
  vanish(): void {
    this.#network.remove(this);
  }

  put(frames: Buffer[]): void {
    this.#pipe.push(frames);
  }
}

export class FakeTransport implements Transport {
  readonly endpoints: string[] = [];
  /** How often the broker tried to send, with or without success. */
  attempts = 0;
  /** Called within `send`, before the peer has the message. */
  onSend: ((frames: Buffer[]) => void) | undefined;
  /** Called when a peer's socket has taken a message. */
  onTaken: ((peer: FakePeer, frames: Buffer[]) => void) | undefined;
  closed = false;
  readonly #peers = new Map<string, FakePeer>();
  readonly #arrived = new Deque<Buffer[]>();
  #receiver: { resolve: (frames: Buffer[]) => void; reject: (error: Error) => void } | undefined;
  #sending = false;
  #nextId = 1;

  /** A new peer; its routing id is like one that ZeroMQ makes, unless given. */
  connect(routingId?: Buffer): FakePeer {
    const id = Buffer.alloc(5);
    id.writeInt32BE(this.#nextId++, 1);
    const peer = new FakePeer(this, routingId ?? id);
    this.#peers.set(peer.routingId.toString('hex'), peer);
    return peer;
  }

  remove(peer: FakePeer): void {
    this.#peers.delete(peer.routingId.toString('hex'));
  }

  /** How many messages the broker has not received yet. */
  get arrived(): number {
    return this.#arrived.length;
  }

  arrive(frames: Buffer[]): void {
    const receiver = this.#receiver;
    this.#receiver = undefined;
    if (receiver === undefined) this.#arrived.push(frames);
    else receiver.resolve(frames);
  }

  bind(endpoint: string): Promise<string> {
    this.endpoints.push(endpoint);
    return Promise.resolve(endpoint);
  }

  receive(): Promise<Buffer[]> {
    const frames = this.#arrived.shift();
    if (frames !== undefined) return Promise.resolve(frames);
    return new Promise((resolve, reject) => (this.#receiver = { resolve, reject }));
  }

  async send(frames: Buffer[]): Promise<void> {
    if (this.#sending) throw new Error('EBUSY: one send at a time');
    this.attempts++;
    this.onSend?.(frames);
    const [routingId, ...message] = frames;
    const peer = this.#peers.get(routingId!.toString('hex'));
    const failure = this.closed ? 'closed' : peer === undefined ? 'gone' : undefined;
    this.#sending = true;
    // The outcome is decided at once, but known to the caller a moment later.
    if (peer?.isFull === false && failure === undefined) {
      peer.put(message);
      this.onTaken?.(peer, message);
      await aMoment();
      this.#sending = false;
      return;
    }
    await aMoment();
    this.#sending = false;
    throw new SendError(failure ?? 'full');
  }

  failureOf(error: unknown): SendFailure {
    if (error instanceof SendError) return error.failure;
    throw error;
  }

  close(): void {
    this.closed = true;
    this.#receiver?.reject(new SendError('closed'));
  }
}
