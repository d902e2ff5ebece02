// What the harness needs from a broker under test, ours or another: whether it
// is here, how to start it, where it listens. One file per peer implements it.

export interface StartOptions {
  /** Silence after which the broker forgets a client; its default where not given. */
  readonly timeoutMs?: number;
}

export interface RunningBroker {
  readonly endpoint: string;
  readonly pid: number;
  /** What the broker said last, where it has ended by itself; undefined while it runs. */
  lastWords(): string | undefined;
  /** Ends the broker; resolves when its process is gone. */
  stop(): Promise<void>;
}

export interface Peer {
  readonly name: string;
  /** Why this peer cannot be measured here; undefined where it can. */
  missing(): string | undefined;
  /** @param folder a temporary folder the peer may write into */
  start(folder: string, options: StartOptions): Promise<RunningBroker>;
}
