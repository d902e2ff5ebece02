// Results that come little by little: a handler that returns an async iterable
// has each item sent as a part of the result, no faster than they leave, and
// their list as the reply. It knows no commands.
import type { ServiceRequest } from './service-request.js';

/** True for what `for await` takes, and nothing else would: a generator, a readable stream. */
export function isAsyncIterable(result: unknown): result is AsyncIterable<unknown> {
  return typeof result === 'object' && result !== null && Symbol.asyncIterator in result;
}

/**
 * Sends each item, and ends the iterable where nobody wants more of it.
 *
 * @param signal fires when nobody wants more
 * @returns what the iterable returns in the end; where that is nothing, the list of its items
 * @throws what the iterable throws, what `emit` does, or the reason of the signal
 */
export async function emitAll(
  request: Pick<ServiceRequest, 'emitPart' | 'signal'>,
  result: AsyncIterable<unknown>,
  signal = request.signal,
): Promise<unknown> {
  const iterator = result[Symbol.asyncIterator]();
  const items: unknown[] = [];
  let ended = false;
  try {
    for (;;) {
      const next = await iterator.next();
      ended = next.done === true;
      if (ended) return next.value === undefined ? items : next.value;
      signal.throwIfAborted();
      items.push(next.value);
      await request.emitPart(next.value);
    }
  } catch (thrown) {
    // One that threw by itself has ended; asking it to end again does no harm.
    if (!ended) await iterator.return?.();
    throw thrown;
  }
}
