// The log of a worker process: one line each on standard error, readable on a
// terminal, a JSON object elsewhere. It says what the runtime and the handlers
// tell it; what a request or a reply holds is not for it.

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFields = Readonly<Record<string, unknown>>;

/** Where the runtime and the handlers write what happened. `console` will do, too. */
export type WorkerLog = Readonly<Record<LogLevel, (message: string, fields?: LogFields) => void>>;

export interface LogOptions {
  /** What is less severe is left out. Default `info`. */
  readonly level?: LogLevel | undefined;
  /** Readable lines or JSON. Default: readable where standard error is a terminal. */
  readonly readable?: boolean | undefined;
  /** Takes each line, without its end. Default: standard error. */
  readonly write?: ((line: string) => void) | undefined;
}

/** A log that keeps nothing. */
export const silentLog: WorkerLog = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
};

export function createWorkerLog({
  level = 'info',
  readable = process.stderr.isTTY,
  write = (line) => void process.stderr.write(`${line}\n`),
}: LogOptions = {}): WorkerLog {
  const limit = LOG_LEVELS.indexOf(level);
  const lineOf = readable ? readableLine : jsonLine;
  const at =
    (name: LogLevel) =>
    (message: string, fields: LogFields = {}): void => {
      if (LOG_LEVELS.indexOf(name) <= limit) write(lineOf(name, message, fields));
    };
  return { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') };
}

/** The same log, with these fields on every line. */
export function logWith(log: WorkerLog, fields: LogFields): WorkerLog {
  const at =
    (name: LogLevel) =>
    (message: string, more: LogFields = {}): void => {
      log[name](message, { ...fields, ...more });
    };
  return { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') };
}

function readableLine(level: LogLevel, message: string, fields: LogFields): string {
  const details = Object.entries(fields).map(([key, value]) => `${key}=${asJson(value)}`);
  return [new Date().toISOString(), level.padEnd(5), oneLine(message), ...details].join(' ');
}

function jsonLine(level: LogLevel, message: string, fields: LogFields): string {
  return asJson({ ...fields, level, message, timestamp: new Date().toISOString() });
}

/** Control characters are escaped: what a stranger chose cannot forge a line. */
function oneLine(message: string): string {
  return message.replace(/[\p{Cc}\u2028\u2029]+/gu, (some) => JSON.stringify(some).slice(1, -1));
}

/** As JSON; what JSON cannot hold, as text: a log line must not throw. */
function asJson(value: unknown): string {
  try {
    const json: unknown = JSON.stringify(value);
    if (typeof json === 'string') return json;
  } catch {
    // A cycle, a bigint: shown as text below.
  }
  return JSON.stringify(String(value));
}
