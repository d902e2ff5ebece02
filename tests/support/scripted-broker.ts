// A small broker of the tests' own: a Router that answers by the codec and does
// what a test scripts, so that a client meets what a good broker never does.
// It keeps sessions apart and records commands; it routes nothing by itself.
import { Router } from 'zeromq';
import { decode, encode, type Command, type CommandName } from '../../protocol/index.js';

/** What a client sent, and from which session. */
export interface Received {
  readonly peer: Peer;
  readonly command: Command;
}

/** One client's connection, as the Router names it. */
export interface Peer {
  readonly id: Buffer;
  /** True from OPEN to CLOSE, or to an ERROR. */
  open: boolean;
}

/**
 * What to answer instead of the usual: a list of commands (none: silence), or
 * undefined for the usual.
 */
export type Script = (command: Command, peer: Peer) => readonly Command[] | undefined;

const OK: Command = { name: 'OK', statusCode: 200, statusReason: '' };
const ANSWERED = new Set<CommandName>([
  'CONNECTION OPEN',
  'CONNECTION CLOSE',
  'STREAM WRITE',
  'STREAM READ',
  'STREAM CANCEL',
  'SERVICE OFFER',
]);

export function errorReply(statusCode: number, statusReason = ''): Command {
  return { name: 'ERROR', statusCode, statusReason };
}

interface Watcher {
  readonly wanted: (received: Received) => boolean;
  readonly resolve: (received: Received) => void;
}

export class ScriptedBroker {
  readonly received: Received[] = [];
  /** Where it listens, or did. */
  readonly endpoint: string;
  /** Set it to leave the usual path. */
  script: Script = () => undefined;
  readonly #router: Router;
  readonly #peers = new Map<string, Peer>();
  readonly #watchers = new Set<Watcher>();
  #queue: Promise<void> = Promise.resolve();

  private constructor(router: Router) {
    this.#router = router;
    this.endpoint = router.lastEndpoint ?? '';
  }

  /** Listens on `endpoint`; without one on a free port of the loopback interface. */
  static async start(endpoint = 'tcp://127.0.0.1:*'): Promise<ScriptedBroker> {
    const router = new Router({ linger: 0, mandatory: true });
    await onceFree(() => router.bind(endpoint));
    const broker = new ScriptedBroker(router);
    void broker.#serve();
    return broker;
  }

  /** The commands received so far, by name and in order. */
  commands<Name extends CommandName>(name: Name): Command<Name>[] {
    const all = this.received.map(({ command }) => command);
    return all.filter((command) => command.name === name) as unknown as Command<Name>[];
  }

  /** The `count`th command of this name, when it has come. */
  async seen(name: CommandName, count = 1): Promise<Received> {
    const all = this.received.filter(({ command }) => command.name === name);
    const there = all[count - 1];
    if (there !== undefined) return there;
    let missing = count - all.length;
    return new Promise((resolve) => {
      this.#watchers.add({
        wanted: ({ command }) => command.name === name && --missing === 0,
        resolve,
      });
    });
  }

  /** Sends commands to a client, one after the other. */
  async send(peer: Peer, ...commands: Command[]): Promise<void> {
    for (const command of commands) {
      this.#queue = this.#queue
        .then(() => this.#router.send([peer.id, ...encode(command)]))
        .catch(() => undefined);
    }
    await this.#queue;
  }

  /**
   * Closes the socket, as a broker that is killed does.
   *
   * @param lingerMs how long what was sent may still leave, ms
   */
  stop(lingerMs = 0): void {
    if (this.#router.closed) return;
    this.#router.linger = lingerMs;
    this.#router.close();
  }

  async #serve(): Promise<void> {
    try {
      for await (const [id, ...frames] of this.#router) {
        this.#receive(this.#peerOf(id as Buffer), decode(frames));
      }
    } catch {
      // Closed while it waited.
    }
  }

  #peerOf(id: Buffer): Peer {
    const key = id.toString('latin1');
    let peer = this.#peers.get(key);
    if (peer === undefined) this.#peers.set(key, (peer = { id, open: false }));
    return peer;
  }

  #receive(peer: Peer, command: Command): void {
    const received = { peer, command };
    this.received.push(received);
    const answers = this.script(command, peer) ?? usual(command, peer);
    if (answers.some(({ name }) => name === 'ERROR')) peer.open = false;
    void this.send(peer, ...answers);
    for (const watcher of this.#watchers) {
      if (!watcher.wanted(received)) continue;
      this.#watchers.delete(watcher);
      watcher.resolve(received);
    }
  }
}

/**
 * Listens on an address that another socket has just left: ZeroMQ closes sockets in
 * the background, so the port, or the path, may be in use a little longer.
 */
export async function onceFree<T>(listen: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await listen();
    } catch (error) {
      if (!/in use|listens on it/i.test(String(error))) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

function usual(command: Command, peer: Peer): readonly Command[] {
  if (command.name === 'CONNECTION OPEN') peer.open = true;
  if (!peer.open) return [errorReply(500)];
  if (command.name === 'CONNECTION CLOSE') peer.open = false;
  if (command.name === 'CONNECTION PING') return [{ name: 'CONNECTION PONG' }];
  return ANSWERED.has(command.name) ? [OK] : [];
}
