// Numbered bodies for senders that must not spend their time on making them,
// and what senders with a number of messages in flight have in common. Nothing
// about any broker.
import { bodyOf, nowNs } from '../load/counting.js';

const RING = 16_384;

/** Bodies made beforehand and used in turn: each is good until 16,384 more were taken. */
export class Bodies {
  readonly #ring: Buffer[];

  constructor(size: number, ring = RING) {
    this.#ring = Array.from({ length: ring }, () => bodyOf(0, false, size));
  }

  take(number: number, last: boolean): Buffer {
    const body = this.#ring[number % this.#ring.length]!;
    if (last) body[0] = 0x4c;
    body.writeUIntBE(number, 3, 6);
    return body;
  }
}

/** The number in a body. */
export function numberIn(body: Uint8Array): number {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).readUIntBE(3, 6);
}

export interface Flight {
  readonly count: number;
  /** All that were done, those that do not count too. */
  readonly sent: number;
  readonly firstNs: number;
  readonly lastNs: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

/**
 * Does `one` over and over, so many at a time: first for a while that does not
 * count, then for `seconds`.
 *
 * @param one does thing `number`, counted from 0
 */
export async function keepInFlight(
  window: number,
  seconds: number,
  one: (number: number) => Promise<void>,
): Promise<Flight> {
  let number = 0;
  const run = async (forSeconds: number): Promise<Flight> => {
    const tookUs: number[] = [];
    const firstNs = nowNs();
    const endNs = firstNs + forSeconds * 1e9;
    const lane = async () => {
      for (let beganNs = nowNs(); beganNs < endNs;) {
        await one(number++);
        const endedNs = nowNs();
        tookUs.push((endedNs - beganNs) / 1000);
        beganNs = endedNs;
      }
    };
    await Promise.all(Array.from({ length: window }, lane));
    const lastNs = nowNs();
    tookUs.sort((a, b) => a - b);
    const at = (part: number) => tookUs[Math.floor(tookUs.length * part)] ?? 0;
    return { count: tookUs.length, sent: number, firstNs, lastNs, p50Us: at(0.5), p99Us: at(0.99) };
  };
  await run(seconds / 2);
  return run(seconds);
}
