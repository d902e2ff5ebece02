// The broker's options as one table: name, kind, default, bounds and what it is
// for. Flags, environment variables, the config file, `--help` and the checks
// all follow from it. It reads nothing itself: sources are handed in.
import { didYouMean } from './complaints.js';
import { faultOf } from './endpoint.js';
import type { OutboxLimits } from './sessions/outbox.js';
import type { QueueLimits } from './queues/kept-queue.js';
import type { ResultsLimits } from './queues/results.js';
import type { Retention } from './store/store.js';

interface OptionRow {
  readonly type: 'string' | 'strings' | 'integer' | 'choice' | 'boolean';
  readonly default: string | number | boolean | readonly string[] | undefined;
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
  readonly about: string;
}

const MIB = 1024 * 1024;

export const OPTIONS = {
  bind: {
    type: 'strings',
    default: ['tcp://127.0.0.1:9999'],
    about:
      'endpoint to listen on, tcp://ADDRESS:PORT or ipc://PATH; repeatable; port * picks a free one',
  },
  data: {
    type: 'string',
    default: './data',
    about: 'directory that keeps streams, mail and requests on disk',
  },
  ephemeral: {
    type: 'boolean',
    default: false,
    about: 'keep everything in memory; it is gone when the broker stops',
  },
  timeout: {
    type: 'integer',
    default: 10_000,
    min: 100,
    max: 86_400_000,
    about: 'a client silent for this long is gone, ms',
  },
  'drain-timeout': {
    type: 'integer',
    default: 5000,
    min: 0,
    max: 600_000,
    about: 'on SIGTERM, how long to go on delivering what waits in outboxes, ms',
  },
  'log-level': {
    type: 'choice',
    default: 'info',
    choices: ['error', 'warn', 'info', 'debug'],
    about: 'how much to log',
  },
  'ready-file': {
    type: 'string',
    default: undefined,
    about: 'file to write, as JSON, the real endpoints and the pid to, once listening',
  },
  'sessions-max': {
    type: 'integer',
    default: 20_000,
    min: 1,
    max: 1_000_000,
    about: 'clients at the same time',
  },
  'subscriptions-max': {
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    about: 'patterns that one client reads, and services that it offers',
  },
  'patterns-max': {
    type: 'integer',
    default: 200,
    min: 1,
    max: 10_000,
    about: 'different patterns under which one service is offered',
  },
  'streams-max': { type: 'integer', default: 10_000, min: 1, max: 1_000_000, about: 'streams' },
  'mailboxes-max': {
    type: 'integer',
    default: 100_000,
    min: 1,
    max: 10_000_000,
    about: 'mailboxes that hold mail',
  },
  'services-max': { type: 'integer', default: 10_000, min: 1, max: 1_000_000, about: 'services' },
  'stream-bytes-max': {
    type: 'integer',
    default: 64 * MIB,
    min: 64 * 1024,
    max: Number.MAX_SAFE_INTEGER,
    about: 'log kept of each stream for readers that are behind, octets',
  },
  'memory-bytes-max': {
    type: 'integer',
    default: 1024 * MIB,
    min: 64 * 1024,
    max: Number.MAX_SAFE_INTEGER,
    about: 'logs of all streams that are kept in memory together, octets',
  },
  'mailbox-messages-max': {
    type: 'integer',
    default: 1_000_000,
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
    about: 'messages kept in one mailbox',
  },
  'mailbox-bytes-max': {
    type: 'integer',
    default: 256 * MIB,
    min: 1024,
    max: Number.MAX_SAFE_INTEGER,
    about: 'octets kept in one mailbox',
  },
  'service-messages-max': {
    type: 'integer',
    default: 1_000_000,
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
    about: 'requests kept for one service',
  },
  'service-bytes-max': {
    type: 'integer',
    default: 1024 * MIB,
    min: 1024,
    max: Number.MAX_SAFE_INTEGER,
    about: 'octets kept for one service',
  },
  'cursors-max': { type: 'integer', default: 100_000, min: 1, max: 10_000_000, about: 'cursors' },
  'attempts-max': {
    type: 'integer',
    default: 5,
    min: 1,
    max: 1000,
    about: 'failed attempts after which a request goes to the dead letters',
  },
  'dead-letters-max': {
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    about: 'dead letters kept of each service',
  },
  'kept-bytes-max': {
    type: 'integer',
    default: 2048 * MIB,
    min: 1024,
    max: Number.MAX_SAFE_INTEGER,
    about: 'octets kept in all mailboxes and services together',
  },
  'results-max': {
    type: 'integer',
    default: 100_000,
    min: 0,
    max: 10_000_000,
    about: 'results of requests kept to be used again; 0 for none',
  },
  'results-bytes-max': {
    type: 'integer',
    default: 256 * MIB,
    min: 1024,
    max: Number.MAX_SAFE_INTEGER,
    about: 'octets of all these results together',
  },
  'results-age-max': {
    type: 'integer',
    default: 7 * 86_400_000,
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
    about: 'how old such a result may become, ms',
  },
  'outbox-messages-max': {
    type: 'integer',
    default: 1000,
    min: 1,
    max: 1_000_000,
    about: 'messages of each kind (stream, mail, service) queued to be sent to one client',
  },
  'outbox-bytes-max': {
    type: 'integer',
    default: 16 * MIB,
    min: 1024,
    max: Number.MAX_SAFE_INTEGER,
    about: 'octets of each kind queued to be sent to one client',
  },
  'message-bytes-max': {
    type: 'integer',
    default: 256 * MIB,
    min: 1024,
    max: 2 ** 31 - 1,
    about: 'octets of one message',
  },
} as const satisfies Record<string, OptionRow>;

/** The name of an option, as the flag spells it. */
export type OptionName = keyof typeof OPTIONS;

type ValueOf<Row extends OptionRow> = Row['type'] extends 'integer'
  ? number
  : Row['type'] extends 'boolean'
    ? boolean
    : Row['type'] extends 'strings'
      ? readonly string[]
      : Row extends { choices: readonly (infer Choice)[] }
        ? Choice
        : Row['default'] extends undefined
          ? string | undefined
          : string;

/** Every option with its value. */
export type OptionValues = { readonly [Name in OptionName]: ValueOf<(typeof OPTIONS)[Name]> };

/** The bounds that the engines keep to. */
export interface Limits {
  readonly sessionsMax: number;
  readonly subscriptionsMax: number;
  readonly patternsMax: number;
  readonly streamsMax: number;
  readonly mailboxesMax: number;
  readonly servicesMax: number;
  readonly keptBytesMax: number;
  readonly messageBytesMax: number;
  readonly attemptsMax: number;
  readonly deadLettersMax: number;
  readonly results: ResultsLimits;
  readonly stream: Retention;
  readonly mailbox: QueueLimits;
  readonly service: QueueLimits;
  readonly outbox: OutboxLimits;
}

/** An option has a value that it cannot have; the message names the option and its source. */
export class OptionError extends Error {
  override readonly name = 'OptionError';
}

/** Where values come from, strongest first. Keys of a config file are option names. */
export interface OptionSources {
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly file?: { readonly path: string; readonly values: Readonly<Record<string, unknown>> };
}

/** The environment variable of an option: `log-level` is `MLM_LOG_LEVEL`. */
export function environmentName(name: OptionName): string {
  return `MLM_${name.replaceAll('-', '_').toUpperCase()}`;
}

/**
 * Puts the options together: a flag before the environment before the config
 * file before the default.
 *
 * @throws {OptionError} naming the option, where it was set, and what it takes
 */
export function resolveOptions({
  flags = {},
  environment = {},
  file,
}: OptionSources): OptionValues {
  if (file !== undefined) checkKeys(file.path, file.values);
  const values: Record<string, unknown> = {};
  for (const name of Object.keys(OPTIONS) as OptionName[]) {
    const variable = environmentName(name);
    if (flags[name] !== undefined) values[name] = check(name, flags[name], `--${name}`);
    else if (environment[variable] !== undefined && environment[variable] !== '') {
      values[name] = check(name, environment[variable], variable);
    } else if (file?.values[name] !== undefined) {
      values[name] = check(name, file.values[name], `${name} in ${file.path}`);
    } else values[name] = OPTIONS[name].default;
  }
  return values as OptionValues;
}

function checkKeys(path: string, values: Readonly<Record<string, unknown>>): void {
  for (const key of Object.keys(values)) {
    if (Object.hasOwn(OPTIONS, key)) continue;
    const names = Object.keys(OPTIONS);
    const advice = didYouMean(key, names) || `; the options are ${names.join(', ')}`;
    throw new OptionError(`${path}: there is no option "${key}"${advice}`);
  }
}

function check(name: OptionName, value: unknown, source: string): unknown {
  const row: OptionRow = OPTIONS[name];
  if (row.type !== 'strings' && Array.isArray(value) && value.length > 1) {
    throw new OptionError(`${source}: give it once`);
  }
  switch (row.type) {
    case 'integer':
      return checkInteger(row, value, source);
    case 'strings': {
      const list: unknown[] =
        typeof value === 'string' ? value.trim().split(/[\s,]+/) : [value].flat();
      if (list.length === 0) throw new OptionError(`${source}: the list is empty`);
      return checkEndpoints(
        list.map((item) => checkString(item, source)),
        source,
      );
    }
    case 'choice': {
      const text = checkString(value, source);
      if (row.choices?.includes(text) === true) return text;
      throw new OptionError(`${source}: "${text}" is not one of ${row.choices?.join(', ') ?? ''}`);
    }
    case 'boolean':
      return checkBoolean(value, source);
    case 'string':
      return checkString(value, source);
  }
}

function checkInteger(row: OptionRow, value: unknown, source: string): number {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = row;
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number === 'number' && Number.isInteger(number) && number >= min && number <= max) {
    return number;
  }
  throw new OptionError(
    `${source}: "${String(value)}" is not a whole number from ${min} to ${max}`,
  );
}

function checkBoolean(value: unknown, source: string): boolean {
  if (value === true || value === 'true' || value === '1') return true;
  if (value === false || value === 'false' || value === '0') return false;
  throw new OptionError(`${source}: "${String(value)}" is not true or false`);
}

/** A list of endpoints; `bind` is the only option that is a list. */
function checkEndpoints(endpoints: readonly string[], source: string): readonly string[] {
  for (const [at, endpoint] of endpoints.entries()) {
    const fault = faultOf(endpoint);
    if (fault !== undefined) {
      throw new OptionError(`${source}: cannot listen on ${endpoint}: ${fault}`);
    }
    if (endpoints.indexOf(endpoint) < at && !endpoint.endsWith(':*')) {
      throw new OptionError(`${source}: ${endpoint} stands there twice; name each endpoint once`);
    }
  }
  return endpoints;
}

function checkString(value: unknown, source: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new OptionError(`${source}: "${String(value)}" is not a text`);
}

/** The bounds among the options, as the engines take them. */
export function limitsOf(options: OptionValues): Limits {
  return {
    sessionsMax: options['sessions-max'],
    subscriptionsMax: options['subscriptions-max'],
    patternsMax: options['patterns-max'],
    streamsMax: options['streams-max'],
    mailboxesMax: options['mailboxes-max'],
    servicesMax: options['services-max'],
    keptBytesMax: options['kept-bytes-max'],
    messageBytesMax: options['message-bytes-max'],
    attemptsMax: options['attempts-max'],
    deadLettersMax: options['dead-letters-max'],
    results: {
      resultsMax: options['results-max'],
      bytesMax: options['results-bytes-max'],
      ageMsMax: options['results-age-max'],
    },
    stream: { bytesMax: options['stream-bytes-max'] },
    mailbox: {
      messagesMax: options['mailbox-messages-max'],
      bytesMax: options['mailbox-bytes-max'],
    },
    service: {
      messagesMax: options['service-messages-max'],
      bytesMax: options['service-bytes-max'],
    },
    outbox: {
      messagesMax: options['outbox-messages-max'],
      bytesMax: options['outbox-bytes-max'],
    },
  };
}
