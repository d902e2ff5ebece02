// A native session in a world without sockets: it speaks the wire of
// docs/protocol.md with the codec alone, and reads only when it is asked to. It
// keeps the count of its sendings and calls, and nothing else.
import { encode as pack } from '@msgpack/msgpack';
import {
  BatchReader,
  BatchWriter,
  BlockWriter,
  decode,
  encodeHeader,
  isBatch,
  PLAIN_REQUEST,
  type NativeBrokerCommandName,
  type NativeClientCommandName,
  type NativeCommand,
} from '../../protocol/index.js';
import type { World } from './broker-world.js';
import type { FakePeer } from './fake-transport.js';
import { open } from './v1-commands.js';

/** What a broker says in a native session. */
export type Said = NativeCommand<NativeBrokerCommandName>;
/** A command of the broker by its name. */
export type SaidBy<Name extends NativeBrokerCommandName> = NativeCommand<Name>;
/** What a client says in a native session. */
export type Asked = NativeCommand<NativeClientCommandName>;

export class FakeNativePeer {
  readonly peer: FakePeer;
  readonly address: string;
  readonly #world: World;
  readonly #sections = new BlockWriter();
  /** Sendings so far. */
  sendings = 0;
  #calls = 0;

  /** Connects and sends OPEN; the answer waits to be read. */
  constructor(world: World, address: string) {
    this.#world = world;
    this.address = address;
    this.peer = world.network.connect();
    const map = Buffer.from(pack({ native: 1 }));
    this.peer.sendFrames([Buffer.concat([encodeHeader(open(address)), map])]);
  }

  /** A peer with an open session. @throws {Error} where the broker does not answer OK */
  static async open(world: World, address: string): Promise<FakeNativePeer> {
    const client = new FakeNativePeer(world, address);
    await world.settle();
    const [answer] = client.peer.read(1);
    if (answer?.name !== 'OK') throw new Error(`the broker answered ${JSON.stringify(answer)}`);
    return client;
  }

  /** Sends commands as one batch. */
  send(...commands: Asked[]): void {
    const batch = new BatchWriter();
    for (const command of commands) {
      if (command.name === 'MAILBOX SEND' || command.name === 'SERVICE SEND') this.sendings++;
      batch.add(command);
    }
    const frames = batch.take();
    if (frames !== undefined) this.peer.sendFrames(frames);
  }

  /** Sends messages to a stream, as one command. @returns the number of the first sending */
  sendToStream(
    handle: number,
    messages: readonly (readonly [subject: string, body: string])[],
  ): number {
    for (const [subject, body] of messages) {
      this.#sections.append(0, 0, this.address, subject, [Buffer.from(body)]);
    }
    const sections = Buffer.concat(this.#sections.take().map(({ bytes }) => bytes));
    const first = this.sendings + 1;
    this.sendings += messages.length;
    this.send({ name: 'STREAM SEND', handle, sections });
    return first;
  }

  /** Reads everything that has come. @throws {Error} at anything but batches */
  read(): Said[] {
    const said: Said[] = [];
    for (const frames of this.peer.readFrames()) said.push(...commandsOf(frames));
    return said;
  }

  /** Sends commands and reads all that has come when nothing more happens. */
  async exchange(...commands: Asked[]): Promise<Said[]> {
    this.send(...commands);
    await this.#world.settle();
    return this.read();
  }

  /** Asks a question. @returns its number; the RESULT is to be read */
  call(method: string, given: Record<string, unknown>): number {
    this.send({ name: 'CALL', call: ++this.#calls, method, arguments: given });
    return this.#calls;
  }

  /** Asks a question that must be answered by 200; what else had come is dropped. */
  async ask<Value>(method: string, given: Record<string, unknown>): Promise<Value> {
    const call = this.call(method, given);
    await this.#world.settle();
    for (const said of this.read()) {
      if (said.name !== 'RESULT' || said.call !== call) continue;
      if (said.statusCode !== 200) throw new Error(`${method}: ${said.statusReason}`);
      return said.value as Value;
    }
    throw new Error(`${method} was not answered`);
  }
}

/** The commands that a message of the broker holds. @throws {Error} where it is no batch */
export function commandsOf(frames: Buffer[]): Said[] {
  if (!isBatch(frames[0])) throw new Error(`the broker said ${JSON.stringify(decode(frames))}`);
  const said: Said[] = [];
  const batch = new BatchReader(frames);
  for (let command = batch.next(); command !== undefined; command = batch.next()) {
    said.push(command as Said);
  }
  return said;
}

/** Those of a name, in order. */
export function only<Name extends NativeBrokerCommandName>(
  said: readonly Said[],
  name: Name,
): SaidBy<Name>[] {
  return said.filter((command) => command.name === name) as SaidBy<Name>[];
}

/** Native mail as a value. */
export function nativeMail(
  address: string,
  subject: string,
  parts: { tracker?: string; timeout?: number } = {},
): Asked {
  const { tracker = '', timeout = 0 } = parts;
  return { name: 'MAILBOX SEND', address, subject, tracker, timeout, content: [] };
}

/** A native request as a value. */
export function nativeRequest(
  address: string,
  subject: string,
  parts: Partial<NativeCommand<'SERVICE SEND'>> = {},
): Asked {
  return { ...PLAIN_REQUEST, ...parts, address, subject };
}

/** Confirms a delivery. */
export function nativeConfirm(
  { delivery, epoch }: { delivery: number; epoch: number },
  statusCode = 200,
  statusReason = '',
): Asked {
  return { name: 'CONFIRM DELIVERY', delivery, epoch, statusCode, statusReason };
}

/** More mail may come. */
export function mailCredit(amount: number): Asked {
  return { name: 'CREDIT', handle: 0, amount };
}
