// Who is there, written to the stream `$presence`: a client's latest message is
// how it is now, so that the compact view of the stream is the state of all. What
// changes is noted here and written at the end of the burst, once for each client.
import { encode as pack } from '@msgpack/msgpack';
import type { Session } from './session.js';

/** The stream on which the broker tells who is there. */
const PRESENCE_STREAM = '$presence';

/** Offers of one session that are told of. */
const OFFERS_TOLD_MAX = 100;

export interface PresenceContext {
  /** The session that has an address now. */
  readonly sessionAt: (address: string) => Session | undefined;
  readonly append: (stream: string, subject: string, content: readonly Buffer[]) => unknown;
  /** Something is to be written: `tell` is to be called soon. */
  readonly changed: () => void;
}

export class Presence {
  readonly #context: PresenceContext;
  readonly #changed = new Set<string>();

  constructor(context: PresenceContext) {
    this.#context = context;
  }

  /** A named client came, went, or offers something else. */
  changed({ address }: Session): void {
    if (address === '') return;
    if (this.#changed.size === 0) this.#context.changed();
    this.#changed.add(address);
  }

  /** Writes how those are now who changed. */
  tell(): void {
    if (this.#changed.size === 0) return;
    const { sessionAt, append } = this.#context;
    for (const address of this.#changed) {
      const body = Buffer.from(pack(stateOf(sessionAt(address))));
      append(PRESENCE_STREAM, address, [body]);
    }
    this.#changed.clear();
  }
}

/** How a client is now. @param session undefined where it is gone */
function stateOf(session: Session | undefined): Readonly<Record<string, unknown>> {
  if (session === undefined) return { event: 'left' };
  const offers = [...session.offers].slice(0, OFFERS_TOLD_MAX).map(([service, worker]) => ({
    service,
    patterns: [...worker.groups].map(({ pattern }) => pattern.source),
    capacity: worker.capacity === Infinity ? null : worker.capacity,
    labels: worker.labels,
  }));
  const event = offers.length === 0 ? 'joined' : 'offers';
  return { event, native: session.isNative, offers };
}
