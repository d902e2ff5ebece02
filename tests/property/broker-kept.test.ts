// Mailboxes and services against a simple model: whatever clients do, and in
// whatever order, each accepted message is taken by one socket, or expires, or
// waits; mail in the order of its mailbox, requests by workers that do them.
import fc from 'fast-check';
import { decode } from '../../protocol/index.js';
import { MemoryStore } from '../../broker/store/memory.js';
import type { Store } from '../../broker/store/store.js';
import { World } from '../support/broker-world.js';
import type { FakePeer } from '../support/fake-transport.js';
import { LateStore } from '../support/late-store.js';
import { CLOSE, confirm, credit, mail, offer, open, request } from '../support/v1-commands.js';

const ADDRESSES = ['a', 'b', 'c'];
const SERVICES = ['x', 'y'];
const SUBJECTS = ['p', 'q', 'pq', 'r'];
const PATTERNS = ['p', 'q', '^p$', 'r|q', ''];

const client = fc.nat(100);
const operation = fc.oneof(
  { weight: 3, arbitrary: fc.record({ open: fc.constantFrom(...ADDRESSES, '') }) },
  { weight: 1, arbitrary: fc.record({ close: client }) },
  { weight: 1, arbitrary: fc.record({ vanish: client }) },
  { weight: 2, arbitrary: fc.record({ pipe: fc.constantFrom(0, 1, 3, Infinity), of: client }) },
  { weight: 3, arbitrary: fc.record({ read: fc.nat(10), of: client }) },
  {
    weight: 6,
    arbitrary: fc.record({
      mail: fc.constantFrom(...ADDRESSES),
      count: fc.integer({ min: 1, max: 6 }),
      timeout: fc.constantFrom(0, 0, 0, 20, 200),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      request: fc.constantFrom(...SERVICES),
      subject: fc.constantFrom(...SUBJECTS),
      count: fc.integer({ min: 1, max: 4 }),
      timeout: fc.constantFrom(0, 0, 0, 20, 200),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      offer: fc.constantFrom(...SERVICES),
      pattern: fc.constantFrom(...PATTERNS),
      of: client,
    }),
  },
  { weight: 1, arbitrary: fc.record({ credit: fc.nat(4), of: client }) },
  { weight: 2, arbitrary: fc.record({ confirm: client }) },
  { weight: 3, arbitrary: fc.record({ pass: fc.constantFrom(1, 10, 70, 300) }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

interface Sent {
  readonly id: string;
  /** The mailbox or the service. */
  readonly to: string;
  readonly subject: string;
  readonly order: number;
  readonly expiresAtMs: number;
}

interface Client {
  readonly peer: FakePeer;
  readonly address: string;
  readonly offers: Map<string, Set<string>>;
  /** Trackers of what it got and has not confirmed. */
  readonly unconfirmed: string[];
}

/** What the broker did, as its clients see it, and what it must not do. */
class Model {
  readonly sent = new Map<string, Sent>();
  readonly taken = new Set<string>();
  readonly clients: Client[] = [];
  readonly #lastOfMailbox = new Map<string, number>();

  /** A socket took a message: may it? */
  take(peer: FakePeer, frames: Buffer[], nowMs: number): void {
    const command = decode(frames);
    if (command.name !== 'MAILBOX DELIVER' && command.name !== 'SERVICE DELIVER') return;
    if (command.sender === '$broker') return;
    const sent = this.sent.get(command.tracker);
    if (sent === undefined) throw new Error(`${command.tracker} was never sent`);
    expect(this.taken.has(sent.id)).toBe(false);
    this.taken.add(sent.id);
    expect([command.address, command.subject]).toEqual([sent.to, sent.subject]);
    // The broker looks at the time in steps.
    expect(sent.expiresAtMs).toBeGreaterThan(nowMs - 10);
    const taker = this.clients.find((other) => other.peer === peer);
    taker?.unconfirmed.push(sent.id);
    if (command.name === 'MAILBOX DELIVER') {
      expect(taker?.address).toBe(sent.to);
      expect(sent.order).toBeGreaterThan(this.#lastOfMailbox.get(sent.to) ?? 0);
      this.#lastOfMailbox.set(sent.to, sent.order);
    } else {
      const patterns = [...(taker?.offers.get(sent.to) ?? [])];
      expect(patterns.some((pattern) => new RegExp(pattern).test(sent.subject))).toBe(true);
    }
  }
}

class Run {
  readonly world: World;
  readonly model = new Model();
  #sender!: FakePeer;
  #sendings = 0;
  readonly #faults: unknown[] = [];
  readonly told = new Map<string, number[]>();

  constructor(store: Store) {
    this.world = new World(store);
  }

  async start(outboxMessages: number, mailboxMessages: number): Promise<void> {
    const { world, model } = this;
    await world.start({
      timeout: 86_400_000,
      'outbox-messages-max': outboxMessages,
      'mailbox-messages-max': mailboxMessages,
    });
    this.#sender = await world.client('sender');
    world.network.onTaken = (peer, frames) => {
      try {
        model.take(peer, frames, world.clock.nowMs());
      } catch (fault) {
        this.#faults.push(fault);
      }
    };
  }

  async do(action: Operation): Promise<void> {
    const { world, model } = this;
    if ('open' in action) await this.open(action.open);
    else if ('mail' in action) this.#mail(action.mail, action.count, action.timeout);
    else if ('request' in action) {
      this.#request(action.request, action.subject, action.count, action.timeout);
    } else if ('pass' in action) world.clock.advance(action.pass);
    else this.#let(action, model);
    await world.settle();
    this.#listen();
    if (this.#faults.length > 0) throw this.#faults[0] as Error;
  }

  async open(address: string): Promise<Client> {
    const peer = this.world.network.connect();
    const opened = { peer, address, offers: new Map<string, Set<string>>(), unconfirmed: [] };
    this.model.clients.push(opened);
    peer.send(open(address));
    await this.world.settle();
    return opened;
  }

  offer({ peer, offers }: Client, service: string, pattern: string): void {
    offers.set(service, (offers.get(service) ?? new Set()).add(pattern));
    peer.send(offer(service, pattern));
  }

  /** What one of the clients does. */
  #let(
    action: Exclude<Operation, { open: string } | { mail: string } | { request: string }>,
    { clients }: Model,
  ): void {
    const which = 'of' in action ? action.of : (Object.values(action)[0] ?? 0);
    const chosen = clients[which % Math.max(1, clients.length)];
    if (chosen === undefined) return;
    const { peer, unconfirmed } = chosen;
    if ('close' in action) peer.send(CLOSE);
    else if ('vanish' in action) peer.vanish();
    else if ('pipe' in action) peer.pipeMessages = action.pipe;
    else if ('read' in action) peer.read(action.read);
    else if ('offer' in action) this.offer(chosen, action.offer, action.pattern);
    else if ('credit' in action) peer.send(credit(action.credit));
    else if ('confirm' in action) {
      const tracker = unconfirmed.shift();
      if (tracker !== undefined) peer.send(confirm(tracker, 200));
    }
  }

  #mail(to: string, count: number, timeout: number): void {
    for (let n = 0; n < count; n++) {
      const { id, subject } = this.#note(to, `s${n}`, timeout);
      this.#sender.send(mail(to, subject, { tracker: id, timeout }));
    }
  }

  #request(to: string, subject: string, count: number, timeout: number): void {
    for (let n = 0; n < count; n++) {
      const { id } = this.#note(to, subject, timeout);
      this.#sender.send(request(to, subject, { tracker: id, timeout }));
    }
  }

  #note(to: string, subject: string, timeout: number): Sent {
    const order = ++this.#sendings;
    const expiresAtMs = timeout === 0 ? Infinity : this.world.clock.nowMs() + timeout;
    const sent = { id: `t${order}`, to, subject, order, expiresAtMs };
    this.model.sent.set(sent.id, sent);
    return sent;
  }

  /** What the sender is told of its messages. */
  #listen(): void {
    for (const command of this.#sender.read()) {
      if (command.name !== 'CONFIRM') continue;
      const { tracker, statusCode } = command;
      this.told.set(tracker, [...(this.told.get(tracker) ?? []), statusCode]);
    }
  }

  /** Clients that take everything come; then each message must have had one fate, and only one. */
  async finish(): Promise<void> {
    const { world, model, told } = this;
    for (const address of ADDRESSES) {
      const last = await this.open(address);
      for (const service of SERVICES) this.offer(last, service, '');
    }
    for (let turn = 0; turn < 20; turn++) {
      await world.pass(70);
      this.#listen();
    }
    // Sockets that are full never take the rest; their clients leave.
    for (const { peer } of model.clients) peer.send(CLOSE);
    await world.settle();
    for (const address of ADDRESSES) {
      const last = await this.open(address);
      for (const service of SERVICES) this.offer(last, service, '');
    }
    await world.pass(70);
    this.#listen();
    if (this.#faults.length > 0) throw this.#faults[0] as Error;
    for (const sent of model.sent.values()) this.#checkFate(sent, told.get(sent.id) ?? []);
    for (const { peer } of model.clients) peer.send(CLOSE);
    await world.settle();
    this.#sender.send(CLOSE);
    await world.settle();
    const { sessions, mailboxes, services } = await world.view<Record<string, number>>('stats');
    expect({ sessions, mailboxes, services }).toEqual({ sessions: 1, mailboxes: 0, services: 0 });
  }

  #checkFate({ id, expiresAtMs }: Sent, codes: readonly number[]): void {
    const fates = {
      taken: this.model.taken.has(id),
      refused: codes.includes(300),
      expired: codes.includes(408),
    };
    expect(Object.values(fates).filter(Boolean)).toHaveLength(1);
    if (fates.expired) expect(expiresAtMs).toBeLessThanOrEqual(this.world.clock.nowMs());
    expect(codes.filter((code) => code !== 200).length).toBeLessThan(2);
    expect(codes.filter((code) => code === 200).length).toBeLessThan(2);
    if (codes.includes(200)) expect(fates.taken).toBe(true);
  }
}

it.each([
  ['in memory', () => new MemoryStore()],
  ['on a disk', () => new LateStore()],
  ['on a disk that fails', () => new LateStore(5)],
])('each message has one fate, and goes where it may go, in its order, %s', async (_, store) => {
  const outboxMessages = fc.constantFrom(1, 2, 5, 1000);
  const mailboxMessages = fc.constantFrom(4, 1000);
  const operations = fc.array(operation, { minLength: 10, maxLength: 70, size: 'max' });
  await fc.assert(
    fc.asyncProperty(operations, outboxMessages, mailboxMessages, async (actions, outbox, box) => {
      const run = new Run(store());
      await run.start(outbox, box);
      try {
        for (const action of actions) await run.do(action);
        await run.finish();
      } finally {
        await run.world.stop();
      }
    }),
    { numRuns: 60 },
  );
});

it('a request goes to the matching worker that was served least recently', async () => {
  const worker = fc.constantFrom(...PATTERNS);
  const requests = fc.array(fc.constantFrom(...SUBJECTS), {
    minLength: 1,
    maxLength: 40,
    size: 'max',
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(worker, { minLength: 1, maxLength: 6 }),
      requests,
      async (patterns, subjects) => {
        const world = await new World().start();
        try {
          const sender = await world.client('sender');
          const workers: { peer: FakePeer; pattern: RegExp; served: number }[] = [];
          for (const [n, pattern] of patterns.entries()) {
            const peer = await world.client(`w${n}`);
            await world.exchange(peer, offer('svc', pattern));
            workers.push({ peer, pattern: new RegExp(pattern), served: n });
          }
          for (const [n, subject] of subjects.entries()) {
            const [next] = workers
              .filter(({ pattern }) => pattern.test(subject))
              .sort((a, b) => a.served - b.served);
            await world.exchange(sender, request('svc', subject));
            if (next !== undefined) next.served = patterns.length + n;
            for (const other of workers) {
              expect(other.peer.read()).toHaveLength(other === next ? 1 : 0);
            }
          }
        } finally {
          await world.stop();
        }
      },
    ),
    { numRuns: 25 },
  );
});
