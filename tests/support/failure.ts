// What a promise is rejected with, for tests of failures.
import type { MlmError } from '../../client/errors.js';

/** What a promise is rejected with; where it is not, something that says so. */
export async function failureOf(promise: Promise<unknown>): Promise<Partial<MlmError>> {
  return promise.then(
    () => ({ message: 'it did not fail' }),
    (error: unknown) => error as MlmError,
  );
}
