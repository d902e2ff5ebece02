// Checks a pattern before a broker is asked, so that the complaint says what is
// wrong with it in the words of the command line.
import { compilePattern, ProtocolError } from '../../../protocol/index.js';
import { usageError } from './failure.js';

/** @throws {CommandError} where it is no pattern */
export function checkPattern(pattern: string): void {
  try {
    compilePattern(pattern);
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    const why = cause.message.replace('error parsing regexp: ', '').replace(/ \(pattern\)$/, '');
    throw usageError(`${why}; a pattern is a regular expression, as '^temp\\.'`);
  }
}
