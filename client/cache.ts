// Under what the broker keeps the results of an offer, so that the same request
// need not be done again. Shapes and checks; what is answered with what is decided
// by the broker.
import { CACHE_VERSION_BYTES_MAX, textBytes } from '../protocol/index.js';
import { MlmError } from './errors.js';
import { checkMs, checkText } from './options.js';

/** What a worker says of its results, so that they may be used again. */
export interface CacheOptions {
  /**
   * Stands for all that a result depends on beside the subject, the body and the needs of a
   * request: the program, the model, its settings. 1 to 191 octets; say another one when any of
   * that changes.
   */
  readonly version: string;
  /** How old a result may be that is used again, ms. Default: as old as the broker keeps it. */
  readonly maxAgeMs?: number | undefined;
}

/**
 * @returns what travels
 * @throws {MlmError} INVALID_ARGUMENT naming the option
 */
export function checkCache(cache: CacheOptions | undefined): CacheOptions | undefined {
  if (cache === undefined) return undefined;
  if (typeof cache !== 'object') {
    throw new MlmError('INVALID_ARGUMENT', 'cache must be { version, maxAgeMs }');
  }
  const { version, maxAgeMs } = cache;
  checkText('cache.version', version);
  const bytes = textBytes(version);
  if (bytes > CACHE_VERSION_BYTES_MAX) {
    const message = `cache.version takes ${bytes} octets of UTF-8; ${CACHE_VERSION_BYTES_MAX} are the most`;
    throw new MlmError('INVALID_ARGUMENT', message);
  }
  if (maxAgeMs === undefined) return { version };
  return { version, maxAgeMs: checkMs('cache.maxAgeMs', maxAgeMs) };
}
