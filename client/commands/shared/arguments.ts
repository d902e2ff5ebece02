// Arguments as the commands take them: the options that several share, and the
// checks on their values. The parser gives strings; here they become numbers,
// or an error that says what was wrong.
import type { Options } from 'yargs';
import { usageError } from './failure.js';

export const DEFAULT_ENDPOINT = 'tcp://127.0.0.1:9999';
const CONNECT_TIMEOUT_MS = 3000;
const MS_MAX = 2 ** 31 - 1;

/** What the parser gives for an option that takes a text: a list where it was given twice. */
type Given = string | readonly string[] | undefined;

/** An option that takes one text. */
export function oneText(name: string, check: (text: string) => unknown = (text) => text): Options {
  return {
    type: 'string',
    requiresArg: true,
    coerce: (given: Given) => {
      if (given === undefined) return undefined;
      if (typeof given !== 'string') throw usageError(`${dashed(name)}: give it once`);
      return check(given);
    },
  };
}

/** An option that takes a number. The parser leaves it a text, which errors quote; its help calls it a number. */
export interface NumberOption extends Options {
  readonly isNumber: true;
}

/** The options as the help of a command is to show them. */
export function shownOptions(
  options: Readonly<Record<string, Options>>,
): Readonly<Record<string, Options>> {
  const shown = Object.entries(options).map(([name, option]) => [
    name,
    'isNumber' in option ? { ...option, type: 'number' } : option,
  ]);
  return Object.fromEntries(shown) as Record<string, Options>;
}

/** An option that takes a whole number. @param what its unit, as the error names it */
export function wholeNumber(name: string, what: string, max: number): NumberOption {
  const option = oneText(name, (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : 0;
    if (value >= 1 && value <= max) return value;
    throw usageError(`${dashed(name)} takes ${what} from 1 to ${max}, not "${text}"`);
  });
  return { ...option, isNumber: true };
}

/** An option as it is written: `-n`, `--json`. */
export function dashed(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`;
}

/** A time limit in milliseconds. */
export function milliseconds(name: string): NumberOption {
  return wholeNumber(name, 'a whole number of milliseconds', MS_MAX);
}

/** The options that say which broker, which every command has. */
export interface BrokerArguments {
  readonly endpoint?: string;
  readonly connectTimeout?: number;
}

export const BROKER_OPTIONS: Readonly<Record<string, Options>> = {
  endpoint: {
    ...oneText('endpoint'),
    alias: 'e',
    describe: `the broker, tcp://HOST:PORT or ipc://PATH; ${DEFAULT_ENDPOINT} unless said [MLM_ENDPOINT]`,
  },
  'connect-timeout': {
    ...milliseconds('connect-timeout'),
    describe: `how long to wait for the broker's first answer, ms; ${CONNECT_TIMEOUT_MS} unless said`,
  },
};

/** The option for how many messages to take. */
export const COUNT_OPTION: NumberOption = {
  ...wholeNumber('n', 'a whole number of messages', Number.MAX_SAFE_INTEGER),
  describe: 'stop after this many messages',
};

/** A broker, and how long to wait for it. */
export interface Target {
  readonly endpoint: string;
  readonly connectTimeoutMs: number;
  /** Where the endpoint was said, for error messages. */
  readonly saidBy: 'option' | 'environment' | 'default';
}

/**
 * The broker that is meant: the option, else MLM_ENDPOINT, else the default.
 *
 * @throws {CommandError} where it cannot be an endpoint to connect to
 */
export function targetOf(
  { endpoint, connectTimeout = CONNECT_TIMEOUT_MS }: BrokerArguments,
  environment: NodeJS.ProcessEnv = process.env,
): Target {
  const connectTimeoutMs = connectTimeout;
  const { MLM_ENDPOINT: variable = '' } = environment;
  if (endpoint !== undefined) {
    return { endpoint: checkEndpoint(endpoint), connectTimeoutMs, saidBy: 'option' };
  }
  if (variable !== '') {
    return { endpoint: checkEndpoint(variable), connectTimeoutMs, saidBy: 'environment' };
  }
  return { endpoint: DEFAULT_ENDPOINT, connectTimeoutMs, saidBy: 'default' };
}

function checkEndpoint(endpoint: string): string {
  if (/^ipc:\/\/./.test(endpoint)) return endpoint;
  const wrong = `"${endpoint}" is not an endpoint; write tcp://HOST:PORT or ipc://PATH`;
  const parts = /^tcp:\/\/(.+):([^:]*)$/.exec(endpoint);
  if (parts === null) {
    const hostAndPort = /^[\w.-]+:\d+$/.test(endpoint);
    throw usageError(hostAndPort ? `${wrong}: did you mean tcp://${endpoint}?` : wrong);
  }
  const [, host, port = ''] = parts;
  if (host === '*' || port === '*') {
    throw usageError(
      `"${endpoint}" is for listening; connect to a host and a port, as ${DEFAULT_ENDPOINT}`,
    );
  }
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) throw usageError(wrong);
  return endpoint;
}
