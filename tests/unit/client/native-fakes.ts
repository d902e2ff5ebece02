// A broker of native sessions that a test turns by hand: it agrees to a native
// session, accepts what is sent and answers calls, unless told otherwise; nothing
// waits for real, nothing opens a socket.
import { encode as pack } from '@msgpack/msgpack';
import { MlmClient } from '../../../client/client.js';
import type { MlmError } from '../../../client/errors.js';
import type { ConnectOptions } from '../../../client/options.js';
import type { Dial, Transport, TransportHandlers } from '../../../client/transport.js';
import {
  BatchReader,
  BatchWriter,
  decode,
  encodeHeader,
  isBatch,
  type NativeBrokerCommandName,
  type NativeClientCommandName,
  type NativeCommand,
} from '../../../protocol/index.js';
import { FakeClock } from './fakes.js';

type Said = NativeCommand<NativeClientCommandName>;
type Bringing = NativeCommand<NativeBrokerCommandName>;

/** What the broker answers to a call: a value, a refusal, or nothing at all. */
export type CallScript = (method: string, given: Record<string, unknown>) => unknown;

/** Thrown by a script: the call is refused. */
export class Refusal extends Error {}
/** Returned by a script: the call is not answered. */
export const SILENCE = Symbol('silence');

const SENDINGS: ReadonlySet<string> = new Set(['STREAM SEND', 'MAILBOX SEND', 'SERVICE SEND']);

export class NativeLink implements Transport {
  readonly said: Said[] = [];
  closed = false;
  /** While true, the socket takes nothing. */
  blocked = false;
  readonly #broker: NativeFakeBroker;
  readonly #handlers: TransportHandlers;
  #unblock: (() => void) | undefined;
  #sendings = 0;

  constructor(broker: NativeFakeBroker, handlers: TransportHandlers) {
    this.#broker = broker;
    this.#handlers = handlers;
  }

  async send(frames: Buffer[]): Promise<void> {
    if (this.blocked) await new Promise<void>((resolve) => (this.#unblock = resolve));
    if (isBatch(frames[0])) this.#readBatch(frames);
    else this.#answer(decode(frames).name);
  }

  pause(): void {
    // The intake of native sessions is never paused: credit bounds what comes.
  }

  close(): void {
    this.closed = true;
  }

  unblock(): void {
    this.blocked = false;
    this.#unblock?.();
  }

  /** The broker says something, all in one batch. */
  bring(...commands: Bringing[]): void {
    const batch = new BatchWriter();
    for (const command of commands) batch.add(command);
    const frames = batch.take();
    if (frames !== undefined && !this.closed) this.#handlers.message(frames);
  }

  /** The connection goes. */
  cut(error: MlmError): void {
    if (!this.closed) this.#handlers.cut(error);
  }

  ofName<Name extends NativeClientCommandName>(name: Name): NativeCommand<Name>[] {
    return this.said.filter((command) => command.name === name) as NativeCommand<Name>[];
  }

  /** The calls of a method, by what they gave. */
  calls(method: string): Record<string, unknown>[] {
    const calls = this.ofName('CALL').filter((call) => call.method === method);
    return calls.map((call) => call.arguments as Record<string, unknown>);
  }

  /** The broker accepts everything that was sent so far. */
  accept(): void {
    this.bring({ name: 'ACCEPTED', upTo: this.#sendings });
  }

  #readBatch(frames: Buffer[]): void {
    const batch = new BatchReader(frames);
    const answers: Bringing[] = [];
    let sent = false;
    for (let command = batch.next(); command !== undefined; command = batch.next()) {
      this.said.push(command as Said);
      sent ||= SENDINGS.has(command.name);
      if (SENDINGS.has(command.name)) this.#sendings++;
      if (command.name === 'PING') answers.push({ name: 'PONG' });
      if (command.name === 'CALL') answers.push(...this.#answerCall(command));
    }
    if (sent && this.#broker.accepts) answers.push({ name: 'ACCEPTED', upTo: this.#sendings });
    if (answers.length > 0) setImmediate(() => this.bring(...answers));
  }

  #answerCall({ call, method, arguments: given }: NativeCommand<'CALL'>): Bringing[] {
    const result = { name: 'RESULT', call, statusCode: 200, statusReason: '', value: {} } as const;
    try {
      const value = this.#broker.script(method, given as Record<string, unknown>);
      return value === SILENCE ? [] : [{ ...result, value: value ?? {} }];
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return [{ ...result, statusCode: 300, statusReason: error.message }];
    }
  }

  #answer(name: string): void {
    if (name !== 'CONNECTION OPEN' && name !== 'CONNECTION CLOSE') return;
    const ok = encodeHeader({ name: 'OK', statusCode: 200, statusReason: '' });
    const { messageBytesMax } = this.#broker;
    const properties = pack({ native: 1, messageBytesMax });
    const frame = name === 'CONNECTION OPEN' ? Buffer.concat([ok, properties]) : ok;
    setImmediate(() => {
      if (!this.closed) this.#handlers.message([frame]);
    });
  }
}

export class NativeFakeBroker {
  readonly clock = new FakeClock();
  readonly links: NativeLink[] = [];
  messageBytesMax = 1_000_000;
  /** Whether it accepts at once what is sent. */
  accepts = true;
  /** What it answers to calls; a test replaces it. */
  script: CallScript = () => ({});

  readonly dial: Dial = (_endpoint, handlers) => {
    const link = new NativeLink(this, handlers);
    this.links.push(link);
    return link;
  };

  /** The transport that is in use. */
  get link(): NativeLink {
    const link = this.links.at(-1);
    if (link === undefined) throw new Error('the client has opened no transport');
    return link;
  }

  connect(options: ConnectOptions = {}): Promise<MlmClient> {
    const parts = { clock: this.clock, dial: this.dial };
    return MlmClient.connect('tcp://fake', { address: 'me', ...options }, parts);
  }
}

/** A request as it is delivered to a worker. */
export function nativeRequest(
  delivery: number,
  more: Partial<NativeCommand<'SERVICE DELIVER'>> = {},
): NativeCommand<'SERVICE DELIVER'> {
  return {
    name: 'SERVICE DELIVER',
    delivery,
    epoch: 1,
    attempt: 1,
    timeMs: 1_700_000_000_000 + delivery,
    address: 'svc',
    sender: 'asker',
    subject: `r${delivery}`,
    tracker: `t${delivery}`,
    content: [Buffer.from('x')],
    ...more,
  };
}

/** Mail as it is delivered. */
export function nativeMail(
  delivery: number,
  more: Partial<NativeCommand<'MAILBOX DELIVER'>> = {},
): NativeCommand<'MAILBOX DELIVER'> {
  return {
    name: 'MAILBOX DELIVER',
    delivery,
    epoch: 1,
    attempt: 1,
    timeMs: 1_700_000_000_000,
    sender: 'worker',
    subject: 's',
    tracker: '',
    content: [],
    ...more,
  };
}

/** The broker takes a request back. */
export function revoked(
  delivery: number,
  statusCode: number,
  statusReason = '',
  epoch = 1,
): NativeCommand<'REVOKED'> {
  return { name: 'REVOKED', delivery, epoch, statusCode, statusReason };
}
