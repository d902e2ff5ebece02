// A log that keeps its lines, for tests to look at. It prints nothing.
import { LOG_LEVELS, type LogFields, type LogLevel, type WorkerLog } from '../log.js';

/** One line of a log. */
export interface LogLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

/** @param keep gets each line */
export function recordedLog(keep: (line: LogLine) => void): WorkerLog {
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void =>
      keep({ level, message, fields });
  return Object.fromEntries(LOG_LEVELS.map((level) => [level, at(level)])) as unknown as WorkerLog;
}
