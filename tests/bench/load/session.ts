// One MLM/1 client of the Node load generator: raw frames on a DEALER socket of
// zeromq.js, no SDK, so that it costs as little as Node can. It opens, calls,
// sends, receives and pings; what for is the roles' business.
import { Dealer } from 'zeromq';
import { COMMANDS, encode, type Command } from '../../../protocol/index.js';

/** How long a role waits for something that is due before it gives up. */
export const PATIENCE_MS = 10_000;
const PING_MS = 2000;

/** A received command: its number, frame 0 and the first frame of its body. */
export interface Received {
  readonly number: number;
  readonly header: Buffer;
  readonly body: Buffer;
}

const nothing = Buffer.alloc(0);
const ping = encode({ name: 'CONNECTION PING' });

export class Session {
  readonly #socket: Dealer;
  readonly #pinger: NodeJS.Timeout;
  #sending = false;

  private constructor(endpoint: string) {
    this.#socket = new Dealer({
      receiveTimeout: PATIENCE_MS,
      sendTimeout: PATIENCE_MS,
      linger: PATIENCE_MS,
    });
    this.#socket.connect(endpoint);
    this.#pinger = setInterval(() => void this.#ping(), PING_MS);
  }

  /** @throws Error where the broker does not answer OK */
  static async open(endpoint: string, address: string): Promise<Session> {
    const session = new Session(endpoint);
    await session.call({ name: 'CONNECTION OPEN', protocol: 'MALAMUTE', version: 1, address });
    return session;
  }

  /** Sends a command that is answered by OK, and waits for the answer. */
  async call(command: Command): Promise<void> {
    await this.send(encode(command));
    const reply = await this.receive();
    if (reply?.number !== COMMANDS.OK.id) throw new Error(`no OK to ${command.name}`);
  }

  async send(frames: Buffer[]): Promise<void> {
    this.#sending = true;
    await this.#socket.send(frames);
    this.#sending = false;
  }

  /**
   * @returns the next command but PONG; undefined where none came within the patience
   * @throws Error where it is an ERROR
   */
  async receive(): Promise<Received | undefined> {
    for (;;) {
      const received = await this.receiveAny();
      if (received?.number === COMMANDS.ERROR.id) {
        throw new Error(`the broker answered ERROR ${received.header.readUInt16BE(3)}`);
      }
      if (received?.number !== COMMANDS['CONNECTION PONG'].id) return received;
    }
  }

  /** As `receive`, but takes PONG and ERROR as they are. */
  async receiveAny(): Promise<Received | undefined> {
    try {
      const [header = nothing, body = nothing] = await this.#socket.receive();
      return { number: header[2] ?? 0, header, body };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined;
      throw error;
    }
  }

  /** Says CLOSE and goes; `vanish` goes without a word. */
  async close(vanish = false): Promise<void> {
    clearInterval(this.#pinger);
    if (!vanish) await this.send(encode({ name: 'CONNECTION CLOSE' }));
    this.#socket.close();
  }

  /** A sign of life of a role that only listens. */
  async #ping(): Promise<void> {
    if (this.#sending) return; // a send is one already
    await this.send(ping).catch(() => undefined);
  }
}

/** Field `index` of a frame 0 whose fields are strings. */
export function stringField(header: Buffer, index: number): string {
  let at = 3;
  for (let field = 0; field < index; field++) at += 1 + header[at]!;
  return header.toString('utf8', at + 1, at + 1 + header[at]!);
}
