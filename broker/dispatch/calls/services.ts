// The calls that are about services: to offer them, and to look after the requests
// that failed for good.
import { CACHE_VERSION_BYTES_MAX, contentBytes, textBytes } from '../../../protocol/index.js';
import type { CacheTerms } from '../../queues/sharing.js';
import { whyNoLabels, type Labels } from '../../queues/wants.js';
import type { Session } from '../../sessions/session.js';
import type { KeptMessage } from '../../store/store.js';
import type { Engines } from '../handlers.js';
import {
  asMap,
  CallError,
  integer,
  patternOf,
  text,
  type Arguments,
  type Methods,
} from './arguments.js';

const CAPACITY_MAX = 100_000;
const LEASE_MS_MAX = 2 ** 31 - 1;
const LABELS_BYTES_MAX = 4096;

export class ServiceCalls {
  readonly methods: Methods = {
    offer: (session, given) => this.#offer(session, given),
    'request.cancel': (session, given) => this.#cancel(session, given),
    withdraw: (session, given) => this.#withdraw(session, given),
    'dead.counts': () => [...this.#engines.deadLetters.counts()],
    'dead.list': (_session, given) =>
      this.#engines.deadLetters.list(text(given, 'service')).map(letterView),
    'dead.retry': (session, given) => this.#deadRetry(session, given),
    'dead.drop': (_session, given) => letterView(this.#takeLetter(given)),
  };
  readonly #engines: Engines;

  constructor(engines: Engines) {
    this.#engines = engines;
  }

  #offer(session: Session, given: Arguments): unknown {
    const service = text(given, 'service');
    // With a capacity of 0 it is paused: shown as an offer, and given nothing.
    const capacity = integer(given, 'capacity', 0, CAPACITY_MAX, 1);
    const leaseMs = integer(given, 'leaseMs', 0, LEASE_MS_MAX, 0);
    const labels = labelsOf(given);
    const { source } = patternOf(given);
    const cache = cacheOf(given);
    const terms = { capacity, labels, leaseMs, cache };
    const refusal = this.#engines.services.offer(session, service, source, terms);
    if (refusal !== undefined) throw new CallError(refusal.reason);
    return {};
  }

  #withdraw(session: Session, given: Arguments): unknown {
    this.#engines.services.withdraw(session, text(given, 'service'));
    return {};
  }

  #cancel(session: Session, given: Arguments): unknown {
    const sender = given['sender'] === undefined ? session.address : text(given, 'sender');
    const request = { sender, tracker: text(given, 'tracker') };
    const result = this.#engines.services.cancel(text(given, 'service'), request, session.address);
    if (typeof result === 'string') throw new CallError(result);
    return result;
  }

  #deadRetry(session: Session, given: Arguments): unknown {
    const letter = this.#letter(given);
    const { subject, tracker, priority, key, wants, content } = letter;
    const job = letter.job ? 1 : 0;
    const sending = {
      subject,
      tracker,
      timeout: 0,
      priority,
      key,
      job,
      wants,
      again: true,
      content,
    };
    const reason = this.#engines.services.send(
      session,
      text(given, 'service'),
      sending,
      letter.sender,
    );
    if (typeof reason === 'string') throw new CallError(reason);
    return letterView(this.#takeLetter(given));
  }

  /** The letter that a call is about, where there is one. */
  #letter(given: Arguments): KeptMessage {
    const service = text(given, 'service');
    const number = integer(given, 'letter', 1, Number.MAX_SAFE_INTEGER);
    const letters = this.#engines.deadLetters.list(service);
    const letter = letters.find(({ sequence }) => sequence === number);
    if (letter === undefined)
      throw new CallError(`service ${service} has no dead letter ${number}`);
    return letter;
  }

  #takeLetter(given: Arguments): KeptMessage {
    const letter = this.#letter(given);
    this.#engines.deadLetters.drop(text(given, 'service'), letter.sequence);
    return letter;
  }
}

function labelsOf({ labels = {} }: Arguments): Labels {
  const wrong = whyNoLabels('labels', labels);
  if (wrong !== undefined) throw new CallError(wrong);
  if (JSON.stringify(labels).length > LABELS_BYTES_MAX) {
    throw new CallError(`labels have more than ${LABELS_BYTES_MAX} letters as JSON`);
  }
  return labels as Labels;
}

/** Under what the worker keeps results; undefined where it does not. */
function cacheOf({ cache }: Arguments): CacheTerms | undefined {
  if (cache === undefined || cache === null) return undefined;
  const given = asMap(cache);
  const { version, maxAgeMs, ...rest } = given;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) {
    throw new CallError(`cache has no "${unknown}": there is version and maxAgeMs`);
  }
  if (
    typeof version !== 'string' ||
    version === '' ||
    textBytes(version) > CACHE_VERSION_BYTES_MAX
  ) {
    throw new CallError(
      `the version of a cache is a text of 1 to ${CACHE_VERSION_BYTES_MAX} octets`,
    );
  }
  if (maxAgeMs === undefined) return { version, maxAgeMs: Infinity };
  return { version, maxAgeMs: integer(given, 'maxAgeMs', 1, Number.MAX_SAFE_INTEGER) };
}

/** A dead letter as it is shown: its body only by size. */
function letterView(letter: KeptMessage): unknown {
  const { sequence, sender, subject, tracker, acceptedWallMs, attempts, failures, content } =
    letter;
  return {
    letter: sequence,
    sender,
    subject,
    tracker,
    acceptedMs: acceptedWallMs,
    attempts,
    failures: failures.map(({ timeMs, worker, reason }) => ({ timeMs, worker, reason })),
    bytes: contentBytes(content),
  };
}
