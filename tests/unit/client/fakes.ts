// Time and a broker that a test turns by hand: nothing waits for real, nothing
// opens a socket.
import { MlmClient } from '../../../client/client.js';
import type { Clock, Timer } from '../../../client/clock.js';
import type { MlmError } from '../../../client/errors.js';
import type { ConnectOptions } from '../../../client/options.js';
import type { Dial, Transport, TransportHandlers } from '../../../client/transport.js';
import { decode, encode, type Command, type CommandName } from '../../../protocol/index.js';

interface FakeTimer {
  readonly dueMs: number;
  readonly action: () => void;
}

export class FakeClock implements Clock {
  readonly #timers = new Set<FakeTimer>();
  #nowMs = 0;

  get timers(): number {
    return this.#timers.size;
  }

  start(ms: number, action: () => void): Timer {
    const timer = { dueMs: this.#nowMs + ms, action };
    this.#timers.add(timer);
    return timer;
  }

  stop(timer: Timer | undefined): void {
    this.#timers.delete(timer as FakeTimer);
  }

  random(): number {
    return 0.5;
  }

  /** Lets time pass; what is due is called in order, and what follows from it happens. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const due = [...this.#timers].filter(({ dueMs }) => dueMs <= untilMs);
      const next = due.sort((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#nowMs = next.dueMs;
      next.action();
      await settle();
    }
    this.#nowMs = untilMs;
    await settle();
  }
}

/** Lets everything happen that needs no time. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** One transport that a client opened. */
export class FakeLink implements Transport {
  readonly sent: Command[] = [];
  readonly endpoint: string;
  paused = false;
  closed = false;
  /** While true, the socket takes nothing. */
  blocked = false;
  readonly #handlers: TransportHandlers;
  readonly #answer: (command: Command) => readonly Command[];
  #unblock: (() => void) | undefined;

  constructor(
    endpoint: string,
    handlers: TransportHandlers,
    answer: (command: Command) => readonly Command[],
  ) {
    this.endpoint = endpoint;
    this.#handlers = handlers;
    this.#answer = answer;
  }

  async send(frames: Buffer[]): Promise<void> {
    if (this.blocked) await new Promise<void>((resolve) => (this.#unblock = resolve));
    const command = decode(frames);
    this.sent.push(command);
    for (const answer of this.#answer(command)) setImmediate(() => this.bring(answer));
  }

  pause(paused: boolean): void {
    this.paused = paused;
  }

  close(): void {
    this.closed = true;
  }

  unblock(): void {
    this.blocked = false;
    this.#unblock?.();
  }

  /** The broker sends a command. */
  bring(command: Command): void {
    if (!this.closed) this.#handlers.message(encode(command));
  }

  /** The broker sends frames that may be no command at all. */
  bringFrames(frames: Buffer[]): void {
    if (!this.closed) this.#handlers.message(frames);
  }

  /** The connection goes. */
  cut(error: MlmError): void {
    if (!this.closed) this.#handlers.cut(error);
  }

  names(): CommandName[] {
    return this.sent.map(({ name }) => name);
  }

  ofName<Name extends CommandName>(name: Name): Command<Name>[] {
    return this.sent.filter((command) => command.name === name) as unknown as Command<Name>[];
  }
}

export const OK: Command = { name: 'OK', statusCode: 200, statusReason: '' };

const ANSWERS: Partial<Record<CommandName, Command>> = {
  'CONNECTION OPEN': OK,
  'CONNECTION CLOSE': OK,
  'CONNECTION PING': { name: 'CONNECTION PONG' },
  'STREAM WRITE': OK,
  'STREAM READ': OK,
  'STREAM CANCEL': OK,
  'SERVICE OFFER': OK,
};

/** What a broker usually answers to a command, which is nothing for most. */
export function usualAnswer(command: Command): readonly Command[] {
  const answer = ANSWERS[command.name];
  return answer === undefined ? [] : [answer];
}

export class FakeBroker {
  readonly clock = new FakeClock();
  readonly links: FakeLink[] = [];
  /** What it answers; a test replaces it to be unfriendly. */
  answer: (command: Command) => readonly Command[] = usualAnswer;

  readonly dial: Dial = (endpoint, handlers) => {
    const link = new FakeLink(endpoint, handlers, (command) => this.answer(command));
    this.links.push(link);
    return link;
  };

  /** The transport that is in use. */
  get link(): FakeLink {
    const link = this.links.at(-1);
    if (link === undefined) throw new Error('the client has opened no transport');
    return link;
  }

  connect(options: ConnectOptions = {}): Promise<MlmClient> {
    const parts = { clock: this.clock, dial: this.dial };
    return MlmClient.connect('tcp://fake', { address: 'me', ...options }, parts);
  }
}

export function streamDelivery(subject: string, body = subject, stream = 's'): Command {
  return {
    name: 'STREAM DELIVER',
    address: stream,
    sender: 'writer',
    subject,
    content: [Buffer.from(body)],
  };
}

export function mailDelivery(
  subject: string,
  tracker = '',
  content: Buffer[] = [Buffer.from('x')],
): Command {
  return { name: 'MAILBOX DELIVER', sender: 'friend', address: 'me', subject, tracker, content };
}

export function requestDelivery(subject: string, tracker = 't', service = 'svc'): Command {
  return {
    name: 'SERVICE DELIVER',
    sender: 'asker',
    address: service,
    subject,
    tracker,
    content: [Buffer.from('x')],
  };
}
