// The broker's log, by winston: one readable line on a terminal, one JSON object
// a line elsewhere. Fields name clients, streams and counts, never what a message
// holds; what peers chose is escaped, so that it cannot forge a line.
import winston from 'winston';

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';
export type LogFields = Readonly<Record<string, unknown>>;

/** Where the parts of the broker write what happened. */
export type Logger = Readonly<Record<LogLevel, (message: string, fields?: LogFields) => void>>;

/** A log that keeps nothing. */
export const silentLogger: Logger = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
};

/**
 * A log on standard error.
 *
 * @param level what is less severe is left out
 * @param terminal true for readable lines, false for JSON
 */
export function createLog(level: LogLevel, terminal: boolean): Logger {
  const readable = winston.format.printf(({ level: name, message, timestamp, ...fields }) => {
    const details = Object.entries(fields).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
    return [timestamp, name.padEnd(5), message, ...details].join(' ');
  });
  const log = winston.createLogger({
    level,
    format: winston.format.combine(
      winston.format.timestamp(),
      terminal ? readable : winston.format.json(),
    ),
    transports: [
      new winston.transports.Console({ stderrLevels: ['error', 'warn', 'info', 'debug'] }),
    ],
  });
  return {
    error: (message, fields) => void log.error(message, fields),
    warn: (message, fields) => void log.warn(message, fields),
    info: (message, fields) => void log.info(message, fields),
    debug: (message, fields) => void log.debug(message, fields),
  };
}
