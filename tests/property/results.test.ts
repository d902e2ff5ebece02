// Results that are used again, against what must hold whatever happens: workers of
// two versions that come, go, fail and keep results or not, requesters that cancel,
// deadlines, keys, a disk that fails, brokers that are killed. Each request comes to
// exactly one end, and to a reply that was made for its input, unless somebody said
// otherwise; none is lost; and what is known is not made again.
import fc from 'fast-check';
import { World } from '../support/broker-world.js';
import { ask } from '../support/cached-service.js';
import {
  FakeNativePeer,
  mailCredit,
  nativeConfirm,
  type SaidBy,
} from '../support/fake-native-peer.js';
import { LateStore } from '../support/late-store.js';

/** `MLM_PROPERTY_RUNS=20` plays twenty times as many histories. */
const TIMES = Number(process.env['MLM_PROPERTY_RUNS'] ?? 1);
const PATIENCE_MS = 300_000 * TIMES;
const WORKERS = 3;
/** The broker's own, unless told. */
const ATTEMPTS_MAX = 5;
const LONG_MS = 70_000;

const which = fc.nat(20);

const operations = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      body: fc.constantFrom('a', 'a', 'a', 'b', 'c'),
      count: fc.integer({ min: 1, max: 4 }),
      key: fc.constantFrom('', '', '', 'k', 'l'),
      priority: fc.constantFrom(0, 0, 0, 9),
      delay: fc.constantFrom(0, 0, 0, 60),
      timeout: fc.constantFrom(0, 0, 0, 0, 80),
      deadline: fc.constantFrom(0, 0, 0, 0, 300),
      wants: fc.constantFrom<unknown>(
        undefined,
        undefined,
        undefined,
        { fresh: true },
        { needs: { size: 1 } },
        { prefers: { size: 1 }, settleMs: 100 },
      ),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('offer' as const),
      worker: fc.nat(WORKERS - 1),
      version: fc.constantFrom('1', '1', '1', '2', ''),
      capacity: fc.integer({ min: 0, max: 2 }),
      size: fc.constantFrom(1, 2),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('finish' as const),
      worker: fc.nat(WORKERS - 1),
      status: fc.constantFrom(0, 0, 0, 0, 0, 300, 400, 503),
      which,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel' as const), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('lose' as const), worker: fc.nat(2) }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(10, 110, 400) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('disk' as const),
      fails: fc.constantFrom(true, false, false),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('kill' as const), lucky: fc.boolean() }) },
);

type Operation = typeof operations extends fc.Arbitrary<infer One> ? One : never;
type Asked = Extract<Operation, { do: 'ask' }>;

/** A request, and what became of it. */
interface Known {
  readonly tracker: string;
  readonly asked: Asked;
  /** True once the broker said that it has it. */
  accepted: boolean;
  readonly ends: string[];
  /** True where it may end otherwise than with a reply. */
  mayFail: boolean;
  /** True where it may have ended so without a word, in a broker that was killed. */
  unsure: boolean;
  /** True where it had ended when a broker was killed: its end may come again. */
  mayEndAgain: boolean;
}

interface Working {
  readonly peer: FakeNativePeer;
  readonly held: SaidBy<'SERVICE DELIVER'>[];
  /** Under what it keeps results; empty for none. */
  version: string;
  /** The same when it was given a delivery. */
  readonly begunAs: Map<number, string>;
}

/** What results are known by. */
function resultName({ body, wants }: Asked, version: string): string {
  const { needs } = (wants ?? {}) as { needs?: unknown };
  return JSON.stringify([body, needs, version]);
}

class Run {
  store = new LateStore();
  world = new World(this.store);
  readonly faults: string[] = [];
  /** Requests that were answered with the result of another one. */
  reused = 0;
  readonly requests = new Map<string, Known>();
  readonly sendings = new Map<number, Known>();
  workers: (Working | undefined)[] = [];
  asks!: FakeNativePeer;
  /** The results that are known. */
  readonly #results = new Set<string>();
  /** Under what the result of a request is kept, by tracker; empty where it is not. */
  readonly #madeAs = new Map<string, string>();
  #trackers = 0;
  #starts = 0;
  #answered = false;

  async start(): Promise<void> {
    await this.world.start();
    await this.#openAsks();
  }

  async #openAsks(): Promise<void> {
    this.sendings.clear();
    this.asks = await FakeNativePeer.open(this.world, 'asks');
    this.asks.send(mailCredit(1_000_000));
  }

  async play(operation: Operation): Promise<void> {
    switch (operation.do) {
      case 'ask':
        for (let n = 0; n < operation.count; n++) this.#ask(operation);
        break;
      case 'offer': {
        const worker = await this.#worker(operation.worker);
        const { version, capacity, size } = operation;
        worker.version = version;
        const cache = version === '' ? {} : { cache: { version } };
        worker.peer.call('offer', { service: 's', capacity, labels: { size }, ...cache });
        break;
      }
      case 'finish':
        this.#finish(this.workers[operation.worker], operation.status, operation.which);
        break;
      case 'cancel': {
        const known = [...this.requests.values()].at(-1 - operation.which);
        if (known !== undefined) {
          known.mayFail = true;
          this.asks.call('request.cancel', { service: 's', tracker: known.tracker });
        }
        break;
      }
      case 'lose':
        this.workers[operation.worker]?.peer.send({
          name: 'CALL',
          call: 999,
          method: '',
          arguments: {},
        });
        this.workers[operation.worker]?.peer.peer.vanish();
        this.workers[operation.worker] = undefined;
        break;
      case 'pass':
        this.world.clock.advance(operation.ms);
        break;
      case 'disk':
        this.store.failing = operation.fails;
        this.#forgetResults();
        break;
      case 'kill':
        await this.#restart(operation.lucky);
    }
    await this.settle();
  }

  #ask(asked: Asked): void {
    const { body, key, priority, delay, timeout, deadline, wants } = asked;
    const tracker = `t${++this.#trackers}`;
    const mayFail = timeout > 0 || deadline > 0;
    const doubts = { mayFail, unsure: false, mayEndAgain: false };
    const known = { tracker, asked, accepted: false, ends: [], ...doubts };
    this.requests.set(tracker, known);
    const terms = { key, priority, delay, timeout, deadline, wants };
    this.asks.send(ask(tracker, body, terms));
    this.sendings.set(this.asks.sendings, known);
  }

  async #worker(at: number): Promise<Working> {
    const known = this.workers[at];
    if (known !== undefined) return known;
    const peer = await FakeNativePeer.open(this.world, `w${at}-${++this.#starts}`);
    const worker = { peer, held: [], version: '', begunAs: new Map<number, string>() };
    this.workers[at] = worker;
    return worker;
  }

  #finish(worker: Working | undefined, status: number, at: number): void {
    const [held] = worker?.held.splice(at % (worker.held.length || 1), 1) ?? [];
    if (worker === undefined || held === undefined) return;
    const { delivery, epoch, content } = held;
    const madeAs = this.store.failing ? undefined : worker.begunAs.get(delivery);
    if (status === 0) this.#madeAs.set(held.tracker, madeAs ?? '');
    const made = Buffer.from(`${content[0]?.toString() ?? ''} by ${worker.peer.address}`);
    if (status === 300 || status === 400) this.#mayFail(content);
    if (status !== 0) worker.peer.send(nativeConfirm(held, status));
    else worker.peer.send({ name: 'REPLY', delivery, epoch, content: [made] });
  }

  /** Others with the same input may be told of it, too. */
  #mayFail([body]: readonly Buffer[]): void {
    for (const known of this.requests.values()) {
      if (known.asked.body === body?.toString()) known.mayFail = true;
    }
  }

  async #restart(lucky: boolean): Promise<void> {
    const { clock } = this.world;
    const wasIdle = this.store.idle;
    this.store = this.store.kill(lucky);
    await this.world.stop();
    // Where all was on the disk, all goes on as it was. Else who had been told may be told
    // again, and a failure that was not told is told by nobody.
    for (const known of wasIdle ? [] : this.requests.values()) {
      if (known.ends.length > 0) known.mayEndAgain = true;
      else if (!known.accepted || known.mayFail) known.unsure = true;
    }
    if (!wasIdle) this.#forgetResults();
    this.reused += this.world.broker.counters.resultsReused;
    this.workers = [];
    this.world = new World(this.store);
    this.world.clock.advance(clock.nowMs());
    await this.world.start();
    await this.#openAsks();
  }

  async settle(): Promise<void> {
    while (await this.#round());
  }

  /** @returns true where something that came was answered at once */
  async #round(): Promise<boolean> {
    this.#answered = false;
    await this.world.settle();
    // A request that ended in between was given out before.
    this.#work();
    this.#hear();
    return this.#answered;
  }

  /** What the requester is told. */
  #hear(): void {
    for (const said of this.asks.read()) {
      if (said.name === 'ACCEPTED') {
        for (const [number, known] of this.sendings) if (number <= said.upTo) known.accepted = true;
      } else if (said.name === 'REFUSED') {
        for (let n = 0; n < said.count; n++) {
          const known = this.sendings.get(said.first + n);
          this.sendings.delete(said.first + n);
          if (known !== undefined) this.requests.delete(known.tracker);
        }
      } else if (said.name === 'MAILBOX DELIVER') {
        this.#end(said.tracker, 'reply');
        const known = this.requests.get(said.tracker);
        const made = `${known?.asked.body ?? ''} by ${said.sender}`;
        if (known !== undefined) this.#keep(known.asked, this.#madeAs.get(said.tracker) ?? '');
        if (said.content[0]?.toString() !== made) this.faults.push(`${said.tracker}: not ${made}`);
        this.#answered = true;
        this.asks.send(nativeConfirm(said));
      } else if (said.name === 'CONFIRM') this.#end(said.tracker, String(said.statusCode));
    }
  }

  #keep(asked: Asked, version: string): void {
    if (version !== '') this.#results.add(resultName(asked, version));
  }

  /** A disk that takes nothing loses results. */
  #forgetResults(): void {
    this.#results.clear();
    this.#madeAs.clear();
  }

  #end(tracker: string, end: string): void {
    const known = this.requests.get(tracker);
    if (known === undefined) return;
    known.ends.push(end);
    // A reply that was not confirmed in time for the disk comes again.
    if (known.ends.length > 1 && !known.mayEndAgain) {
      this.faults.push(`${tracker} ended twice: ${known.ends.join(', ')}`);
    }
  }

  /** What workers are given, and what they are told to stop. */
  #work(): void {
    const given: [said: SaidBy<'SERVICE DELIVER'>, worker: Working][] = [];
    for (const worker of this.workers) {
      if (worker === undefined) continue;
      for (const said of worker.peer.read()) {
        if (said.name === 'SERVICE DELIVER') {
          worker.held.push(said);
          worker.begunAs.set(said.delivery, worker.version);
          given.push([said, worker]);
        } else if (said.name === 'REVOKED') this.#stop(worker, said.delivery);
      }
    }
    // By now all know what they do not have any more.
    for (const [said, worker] of given) {
      if (worker.held.includes(said)) this.#checkGiven(said, worker);
    }
  }

  #stop({ held, peer }: Working, delivery: number): void {
    const at = held.findIndex((one) => one.delivery === delivery);
    const [revoked] = at < 0 ? [] : held.splice(at, 1);
    if (revoked === undefined) return;
    this.#answered = true;
    peer.send(nativeConfirm(revoked, 503));
  }

  #checkGiven({ tracker, attempt }: SaidBy<'SERVICE DELIVER'>, worker: Working): void {
    const known = this.requests.get(tracker);
    if (known === undefined) return;
    if (attempt >= ATTEMPTS_MAX) known.mayFail = true;
    if (known.ends.length > 0 && !known.mayEndAgain)
      this.faults.push(`${tracker} was run after its end`);
    const { body, wants } = known.asked;
    const { needs, fresh } = (wants ?? {}) as { needs?: unknown; fresh?: boolean };
    if (worker.version === '' || fresh === true || attempt > 1) return;
    if (this.#results.has(resultName(known.asked, worker.version))) {
      this.faults.push(`${tracker} is run, though its result is known`);
    }
    // Nobody else is at it, of those that would do for this one, too.
    for (const other of this.workers) {
      for (const held of other?.held ?? []) {
        if (other?.begunAs.get(held.delivery) !== worker.version) continue;
        const same = this.requests.get(held.tracker)?.asked;
        if (held.tracker === tracker || same?.body !== body) continue;
        const others = (same.wants ?? {}) as { needs?: unknown; fresh?: boolean };
        if (others.fresh === true || (others.needs === undefined) !== (needs === undefined))
          continue;
        this.faults.push(`${tracker} is run while ${held.tracker} is`);
      }
    }
  }

  /** Workers that can do everything, all of one version. */
  async #allOffer(): Promise<void> {
    for (let at = 0; at < WORKERS; at++) {
      const worker = await this.#worker(at);
      worker.version = '1';
      const cache = { version: '1' };
      worker.peer.call('offer', { service: 's', capacity: 2, labels: { size: 1 }, cache });
    }
    await this.settle();
  }

  /** Everybody does what there is to do: then nothing is left. */
  async finish(): Promise<void> {
    this.store.failing = false;
    for (let round = 0; round < 400; round++) {
      // Before anybody does anything more: what is given out from now on is given to these versions.
      if (round % 20 === 0) await this.#allOffer();
      for (const worker of this.workers) {
        while (worker !== undefined && worker.held.length > 0) this.#finish(worker, 0, 0);
      }
      await this.settle();
      const [service] = await this.world.view<{ requests: number }[]>('services');
      if ((service?.requests ?? 0) === 0) break;
      // Sessions have to be heard of, and what is held back comes.
      for (const peer of [this.asks, ...this.workers.map((worker) => worker?.peer)]) {
        peer?.send({ name: 'PING' });
      }
      this.world.clock.advance(LONG_MS / 20);
      await this.settle();
    }
    await this.settle();
    const [service] = await this.world.view<{ requests: number; bytes: number }[]>('services');
    expect(service).toMatchObject({ requests: 0, bytes: 0 });
    this.reused += this.world.broker.counters.resultsReused;
    for (const { tracker, accepted, ends, mayFail, unsure } of this.requests.values()) {
      if (accepted && ends.length === 0 && !unsure) this.faults.push(`${tracker} is lost`);
      if (accepted && !mayFail && !ends.includes('reply')) {
        this.faults.push(`${tracker} has no reply, but ${ends.join(', ')}`);
      }
    }
    expect(this.faults).toEqual([]);
  }
}

it(
  'every request has one end, and no run is made twice at a time',
  async () => {
    let reused = 0;
    const histories = fc.array(operations, { minLength: 5, maxLength: 60, size: 'max' });
    await fc.assert(
      fc.asyncProperty(histories, async (history) => {
        const run = new Run();
        await run.start();
        try {
          for (const operation of history) await run.play(operation);
          await run.finish();
          reused += run.reused;
        } finally {
          await run.world.stop();
        }
      }),
      { numRuns: 60 * TIMES, timeout: 30_000 },
    );
    expect(reused).toBeGreaterThan(0);
  },
  PATIENCE_MS,
);
