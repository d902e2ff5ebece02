// Where a worker process finds its broker, what it is called and how long it may
// take to stop: what the program says, else the environment, else a default. It
// reads and checks; it acts on nothing.
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { MlmError } from '../client/index.js';
import { createWorkerLog, LOG_LEVELS, type LogLevel, type WorkerLog } from './log.js';

export interface WorkersOptions {
  /** The broker. Default: MLM_ENDPOINT, else `tcp://127.0.0.1:9999`. */
  readonly endpoint?: string | undefined;
  /**
   * The address of this process, which requesters see as the sender of a reply; one process
   * at a time can have it. Default: MLM_ADDRESS, else one made of host, pid and chance.
   */
  readonly address?: string | undefined;
  /** How long to wait for the broker at the start, ms. Default 5000. */
  readonly connectTimeoutMs?: number | undefined;
  /**
   * How long running jobs may take to finish once the workers are to stop, ms. Default:
   * MLM_DRAIN_TIMEOUT, else 7000, so that all is over in the ten seconds that a container gets.
   */
  readonly drainTimeoutMs?: number | undefined;
  /** Where it logs. Default: standard error, from MLM_LOG_LEVEL (`info`) up. */
  readonly log?: WorkerLog | undefined;
  /** Stops the workers, as `stop` does. */
  readonly signal?: AbortSignal | undefined;
}

/** The options with their defaults in place. */
export interface Settings {
  readonly endpoint: string;
  readonly address: string;
  readonly connectTimeoutMs: number | undefined;
  readonly drainTimeoutMs: number;
  readonly log: WorkerLog;
  readonly signal: AbortSignal | undefined;
}

const ENDPOINT = 'tcp://127.0.0.1:9999';
const DRAIN_TIMEOUT_MS = 7000;
const TIMER_MS_MAX = 2 ** 31 - 1;

/** @throws {MlmError} INVALID_ARGUMENT naming the option or the variable */
export function resolveSettings(options: WorkersOptions, environment: NodeJS.ProcessEnv): Settings {
  const { signal, connectTimeoutMs } = options;
  return {
    endpoint: options.endpoint ?? variable(environment, 'MLM_ENDPOINT') ?? ENDPOINT,
    address: options.address ?? variable(environment, 'MLM_ADDRESS') ?? ownAddress(),
    connectTimeoutMs,
    drainTimeoutMs: drainTimeoutMs(options, environment),
    log: options.log ?? createWorkerLog({ level: logLevel(environment) }),
    signal,
  };
}

/** Empty counts as not set: that is how compose files leave a variable out. */
function variable(environment: NodeJS.ProcessEnv, name: string): string | undefined {
  const value = environment[name];
  return value === '' ? undefined : value;
}

/** Tells processes apart on one machine, in containers (all of pid 1), and across both. */
function ownAddress(): string {
  return `worker-${hostname().slice(0, 100)}-${process.pid}-${randomBytes(2).toString('hex')}`;
}

function drainTimeoutMs(options: WorkersOptions, environment: NodeJS.ProcessEnv): number {
  const given = options.drainTimeoutMs;
  if (given !== undefined) return checkTimeMs('drainTimeoutMs', given);
  const text = variable(environment, 'MLM_DRAIN_TIMEOUT');
  return text === undefined ? DRAIN_TIMEOUT_MS : checkTimeMs('MLM_DRAIN_TIMEOUT', Number(text));
}

function checkTimeMs(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= TIMER_MS_MAX) return value;
  const range = `a whole number of milliseconds from 0 to ${TIMER_MS_MAX}`;
  throw new MlmError('INVALID_ARGUMENT', `${name} must be ${range}`);
}

function logLevel(environment: NodeJS.ProcessEnv): LogLevel | undefined {
  const text = variable(environment, 'MLM_LOG_LEVEL');
  const level = LOG_LEVELS.find((known) => known === text);
  if (text === undefined || level !== undefined) return level;
  const message = `MLM_LOG_LEVEL: "${text}" is not one of ${LOG_LEVELS.join(', ')}`;
  throw new MlmError('INVALID_ARGUMENT', message);
}
