// A client of MLM/1 for tests: one DEALER socket that sends what it is told and
// reads only when it is asked to, without the SDK. It keeps no session state,
// and lets a test do what no decent client does.
import { Dealer } from 'zeromq';
import { decode, encode, type Command } from '../../protocol/index.js';
import { brief, CLOSE, open, PING, request } from './v1-commands.js';

/** How long an answer may take before a test fails, ms. */
const ANSWER_WAIT_MS = 25_000;

export interface RawClientOptions {
  /** A routing id of its own; without one, ZeroMQ makes it. */
  routingId?: string;
  /** Messages that its socket takes while nobody reads. */
  receiveHighWaterMark?: number;
}

export class RawClient {
  readonly socket: Dealer;

  /** Connects; the session is not open yet. */
  constructor(endpoint: string, options: RawClientOptions = {}) {
    this.socket = new Dealer({
      linger: 0,
      reconnectInterval: 20,
      receiveTimeout: ANSWER_WAIT_MS,
      ...options,
    });
    this.socket.connect(endpoint);
  }

  async send(...commands: Command[]): Promise<void> {
    for (const command of commands) await this.socket.send(encode(command));
  }

  /** Sends any frames, sound or not. */
  async sendFrames(frames: Buffer[]): Promise<void> {
    await this.socket.send(frames);
  }

  /** The next message. @throws {Error} where none comes in time */
  async next(): Promise<Command> {
    const late = new Error('nothing came in time');
    try {
      return decode(await this.socket.receive());
    } catch (cause) {
      // The socket's own error does not say who waited.
      if ((cause as NodeJS.ErrnoException).code === 'EAGAIN') throw late;
      throw cause;
    }
  }

  /** The next messages, so many. */
  async collect(count: number): Promise<Command[]> {
    const commands: Command[] = [];
    while (commands.length < count) commands.push(await this.next());
    return commands;
  }

  /** Reads as many messages as words are given, and compares them. */
  async expect(...words: string[]): Promise<void> {
    expect((await this.collect(words.length)).map(brief)).toEqual(words);
  }

  /** Sends, and compares what comes then. */
  async ask(command: Command, ...words: string[]): Promise<void> {
    await this.send(command);
    await this.expect(...words);
  }

  /** The broker has carried out all that was sent before; nothing else came meanwhile. */
  async barrier(): Promise<void> {
    await this.ask(PING, 'CONNECTION PONG');
  }

  /** The next message, or undefined where nothing comes within `waitMs`. */
  async poll(waitMs = 0): Promise<Command | undefined> {
    this.socket.receiveTimeout = waitMs;
    try {
      return decode(await this.socket.receive());
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined;
      throw error;
    } finally {
      this.socket.receiveTimeout = ANSWER_WAIT_MS;
    }
  }

  /** Resolves when its connection was lost and there is another one, or it is closed. */
  async reconnected(): Promise<void> {
    // Not by listeners: in Jest, zeromq finds no EventEmitter from the second test file on.
    const { events } = this.socket;
    for (let isLost = false; ;) {
      const { type } = await events.receive();
      isLost ||= type === 'disconnect';
      if (type === 'end' || (isLost && type === 'handshake')) return;
    }
  }

  /** A view of `$broker`. */
  async view<View>(name: string): Promise<View> {
    await this.send(request('$broker', `${name}.json`));
    const answer = await this.next();
    if (answer.name !== 'MAILBOX DELIVER') throw new Error(`${brief(answer)} is no view`);
    return JSON.parse(Buffer.concat(answer.content).toString()) as View;
  }

  /** Ends the session as the protocol says, and the connection. */
  async leave(): Promise<void> {
    await this.ask(CLOSE, 'OK 200');
    this.close();
  }

  /** Vanishes. */
  close(): void {
    this.socket.close();
  }
}

/** What `useRawClients` gives a test file. */
export interface RawClients {
  /** A client without a session; closed after the test. */
  connect(endpoint: string, options?: RawClientOptions): RawClient;
  /** A client with an open session. */
  open(endpoint: string, address: string, options?: RawClientOptions): Promise<RawClient>;
}

/** Call it once at the top of a test file: clients that vanish with their test. */
export function useRawClients(): RawClients {
  const clients = new Set<RawClient>();
  afterEach(() => {
    for (const client of clients) client.close();
    clients.clear();
  });
  const connect: RawClients['connect'] = (endpoint, options) => {
    const client = new RawClient(endpoint, options);
    clients.add(client);
    return client;
  };
  return {
    connect,
    open: async (endpoint, address, options) => {
      const client = connect(endpoint, options);
      await client.ask(open(address), 'OK 200');
      return client;
    },
  };
}
