// What stands where the session of a worker would: an offer of the SDK that sends
// nothing, and a client for handlers that is what the test gives them. It brings no
// requests by itself.
import { MlmError, type Offer, type OfferOptions } from '../../client/index.js';
import { Intake } from '../../client/intake.js';
import { Offer as RealOffer, type Handler, type Outcome } from '../../client/offer.js';
import { DeliveryQueue } from '../../client/queue.js';
import { checkOffer } from '../../client/services.js';
import type { JobClient } from '../job.js';
import type { OfferingClient } from '../offering.js';

const UNBOUNDED = { messagesMax: Infinity, bytesMax: Infinity };

export class TestClient implements OfferingClient {
  readonly protocol = 'native';
  readonly address: string;
  readonly stream: JobClient['stream'];
  readonly sendTo: JobClient['sendTo'];
  readonly request: JobClient['request'];
  readonly submit: JobClient['submit'];
  readonly job: JobClient['job'];
  readonly #onOutcome: (outcome: Outcome) => void;
  #offer: RealOffer | undefined;

  /**
   * @param given what handlers are to send with
   * @param onOutcome told what became of a request
   */
  constructor(given: Partial<JobClient>, onOutcome: (outcome: Outcome) => void) {
    const { address = 'test-worker' } = given;
    this.address = address;
    this.stream = given.stream?.bind(given) ?? missing('stream');
    this.sendTo = given.sendTo?.bind(given) ?? missing('sendTo');
    this.request = given.request?.bind(given) ?? missing('request');
    this.submit = given.submit?.bind(given) ?? missing('submit');
    this.job = given.job?.bind(given) ?? missing('job');
    this.#onOutcome = onOutcome;
  }

  /** The offer that was made. */
  get offered(): RealOffer {
    if (this.#offer === undefined) throw new Error('nothing was offered');
    return this.#offer;
  }

  offer(service: string, first: OfferOptions | Handler, second?: Handler): Promise<Offer> {
    const [options, handler] = typeof first === 'function' ? [{}, first] : [first, second];
    if (handler === undefined) throw new Error('an offer needs a handler');
    const { pattern, filter, capacity, labels } = checkOffer(service, options);
    this.#offer = new RealOffer({
      service,
      pattern,
      filter,
      capacity,
      labels,
      handler,
      queue: new DeliveryQueue(UNBOUNDED, new Intake(() => undefined), true),
      finish: (_, outcome) => this.#onOutcome(outcome),
      withdraw: () => Promise.resolve(),
      changed: () => Promise.resolve(),
    });
    return Promise.resolve(this.#offer);
  }
}

function missing(name: string): () => never {
  return () => {
    const advice = 'give it one of a test broker: { client: await broker.connect() }';
    throw new MlmError('UNSUPPORTED', `job.client.${name}: the test gave no client; ${advice}`);
  };
}
