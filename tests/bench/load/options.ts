// What the harness may ask of a load role: the same names and defaults in the C
// generator (load.c) and in the Node one (load.ts). It only describes and
// parses; what a role does with it stands in the generators.

/** The parts a load process can play; load.c says what each does. */
export type Role =
  | 'write'
  | 'read'
  | 'send'
  | 'receive'
  | 'request'
  | 'work'
  | 'ping'
  | 'pong'
  | 'flood-stream'
  | 'flood-service'
  | 'drain'
  | 'sleep'
  | 'churn'
  | 'sink';

/** Options of a role, as `--name value` on its command line. */
export interface RoleOptions {
  /** The broker's endpoint; for `sink` the endpoint it binds. */
  readonly endpoint: string;
  /** The address to open; empty for an anonymous client. */
  readonly address?: string;
  /** The stream, mailbox or service. */
  readonly target?: string;
  /** Endpoint on which receivers acknowledge to the sender, around the broker. */
  readonly acks?: string;
  /** Messages that may be on their way at once. */
  readonly window?: number;
  /** Messages to send and have acknowledged before the clock starts: whole tenths of the window. */
  readonly warmup?: number;
  /** Messages to send; 0 sends for `seconds`. */
  readonly count?: number;
  /** Octets of a body; 9 at least. */
  readonly size?: number;
  /** Different subjects, used in turn. */
  readonly subjects?: number;
  /** Subscriptions that match nothing, in sessions of 1,000 each. */
  readonly idle?: number;
  /** Reading sessions. */
  readonly sessions?: number;
  /** Clients connected at once, for `churn`. */
  readonly batch?: number;
  readonly seconds?: number;
  /** How long one job takes, ms; for the workers of a fan-out. */
  readonly waitMs?: number;
}

/** What a role reports at its end. Times: nanoseconds of the system's monotonic clock. */
export interface RoleResult {
  /** Messages sent, received or answered. */
  readonly count: number;
  /** Messages that came out of order, twice, or after a lost one. */
  readonly disordered: number;
  /** Nothing came for 10 s although something was due. */
  readonly stalled: boolean;
  readonly firstNs: number;
  readonly lastNs: number;
  /** CPU time the role used while it worked. */
  readonly cpuMs: number;
  /** How long the warm-up took, for senders. */
  readonly warmupNs?: number;
  /** Requests sent, for `request`. */
  readonly sent?: number;
  readonly p50Us?: number;
  readonly p99Us?: number;
  /** How long one job really took, ms, on average. */
  readonly workMs?: number;
}

const defaults: Required<Omit<RoleOptions, 'endpoint'>> = {
  address: '',
  target: 'load',
  acks: '',
  window: 10_000,
  warmup: 0,
  count: 0,
  size: 100,
  subjects: 1,
  idle: 0,
  sessions: 1,
  batch: 100,
  seconds: 1,
  waitMs: 0,
};

/** The command line that stands for these options. */
export function toArguments(options: RoleOptions): string[] {
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
}

/** @throws Error naming what it does not understand */
export function fromArguments(words: readonly string[]): Required<RoleOptions> {
  const values: Record<string, string | number> = { ...defaults };
  for (let at = 0; at + 1 < words.length; at += 2) {
    const name = words[at]!.slice(2);
    const value = words[at + 1]!;
    if (name !== 'endpoint' && !(name in defaults)) throw new Error(`no option --${name}`);
    values[name] = typeof values[name] === 'number' ? Number(value) : value;
  }
  if (values['endpoint'] === undefined) throw new Error('--endpoint is needed');
  return values as unknown as Required<RoleOptions>;
}
