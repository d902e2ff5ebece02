// One history of the property test of the engines: a whole broker on a store that
// is slow, fails and survives; clients that come, go and do things; the models
// that watch. What is done is said by operations; nothing here is random.
import { LateStore } from '../support/late-store.js';
import { World } from '../support/broker-world.js';
import {
  mailCredit,
  nativeConfirm,
  nativeMail,
  nativeRequest,
  type Asked,
} from '../support/fake-native-peer.js';
import * as v1 from '../support/v1-commands.js';
import type { Command } from '../../protocol/index.js';
import {
  KeptModel,
  servedFirst,
  type KeptLimits,
  type Message,
  type Queue,
  type Span,
} from './engines-kept.js';
import { Session, type Delivery, type Models } from './engines-session.js';
import { Reading, StreamModel, type ReadingFields } from './engines-streams.js';

export const BOXES = ['a', 'b'] as const;
export const WORKERS = ['w1', 'w2', 'w3'] as const;
export const READERS = ['r1', 'r2'] as const;
export const SENDERS = ['s1', 's2'] as const;
export const SERVICES = ['x', 'y'] as const;
export const STREAMS = ['s', 't'] as const;

/** Turns that a commit takes while the disk is slow: more than the test waits for. */
const SLOW_TURNS = 40;
const MUCH = 1_000_000;
/** Longer than the broker leaves a socket alone that was full. */
const FULL_MS = 70;
/** Longer than any request is held back. */
const LONG_MS = 70_000;

export interface RunOptions extends KeptLimits {
  /** Log kept of each stream, octets. */
  readonly streamBytes: number;
  /** Octets that each stream message has beside its id. */
  readonly bodyBytes: number;
  /** True where retention may remove what nobody has read. */
  readonly mayMiss: boolean;
}

export interface MessageParts {
  readonly timeout: number;
  readonly priority?: number;
  readonly delay?: number;
}

export class Run implements Models {
  readonly kept: KeptModel;
  readonly streams: StreamModel;
  #store = new LateStore();
  #world = new World(this.#store);
  readonly #options: RunOptions;
  readonly #faults: string[] = [];
  #sessions: Session[] = [];
  #count = 0;
  /** Commits that had failed when nothing was under way last. */
  #failuresBefore = 0;
  /** When all was seen that had happened, ms since 1970. */
  #settledMs = 0;
  /** Requests that waited for a worker when the last operation was over. */
  #waited: ReadonlySet<Message> = new Set();

  constructor(options: RunOptions) {
    this.#options = options;
    const fault = (what: string): void => this.fault(what);
    this.kept = new KeptModel(options, fault);
    this.streams = new StreamModel(options.mayMiss, fault);
  }

  async start(): Promise<void> {
    const { attemptsMax, mailboxMessagesMax, serviceMessagesMax, streamBytes } = this.#options;
    await this.#world.start({
      timeout: 86_400_000,
      'drain-timeout': 0,
      'attempts-max': attemptsMax,
      'mailbox-messages-max': mailboxMessagesMax,
      'service-messages-max': serviceMessagesMax,
      'stream-bytes-max': streamBytes,
    });
    const { network } = this.#world;
    network.onTaken = (peer, frames) =>
      this.#sessions.find((session) => session.peer === peer)?.take(frames);
  }

  async stop(): Promise<void> {
    this.#world.network.onTaken = undefined;
    await this.#world.stop();
  }

  fault(what: string): void {
    this.#faults.push(what);
  }

  nowMs(): number {
    return this.#world.clock.wallMs();
  }

  span(): Span {
    return { sinceMs: this.#settledMs, nowMs: this.nowMs() };
  }

  clean(): boolean {
    return this.#store.healthy && this.#store.failures === this.#failuresBefore;
  }

  /** Nothing is under way, and all that happened is durable. */
  get #isCalm(): boolean {
    return this.#store.idle;
  }

  /** What the broker did since the last operation must have been right. */
  async settle(): Promise<void> {
    const given = new Map<Message, Session>();
    for (const session of this.#sessions) {
      for (const { message } of session.held.values()) given.set(message, session);
    }
    await this.#world.settle();
    for (const { peer } of this.#sessions) if (peer.pipeMessages === Infinity) peer.readFrames();
    if (this.#isCalm) {
      const clean = this.clean();
      this.#failuresBefore = this.#store.failures;
      this.kept.calm(clean);
      this.streams.calm(clean);
      this.#checkNobodyWaits();
    }
    this.#checkNobodyWasOvertaken(this.#waited, given);
    this.#waited = this.#waitingRequests();
    this.#settledMs = this.nowMs();
    this.check();
  }

  /** @throws {Error} where the broker did something wrong */
  check(): void {
    if (this.#faults.length > 0) throw new Error(this.#faults.join('\n'));
  }

  #waitingRequests(): Set<Message> {
    const waiting = new Set<Message>();
    for (const name of SERVICES) {
      for (const message of this.kept.waiting({ kind: 'service', name }, this.nowMs())) {
        waiting.add(message);
      }
    }
    return waiting;
  }

  /** No worker was given a request while another of the same subject, which goes first, waits on. */
  #checkNobodyWasOvertaken(before: ReadonlySet<Message>, held: Map<Message, Session>): void {
    const still = [...this.#waitingRequests()].filter((message) => before.has(message));
    for (const session of this.#sessions) {
      for (const { message } of session.held.values()) {
        if (held.has(message)) continue;
        const { queue, subject, id } = message.fields;
        const first = still.find(
          ({ fields }) =>
            fields.queue.kind === queue.kind &&
            fields.queue.name === queue.name &&
            fields.subject === subject,
        );
        if (first === undefined || servedFirst(first, message) > 0) continue;
        this.fault(`${id} was given out, and ${first.fields.id} goes on waiting`);
      }
    }
  }

  /** Where nothing is under way, nothing waits that somebody could have. */
  #checkNobodyWaits(): void {
    for (const session of this.#alive()) {
      for (const [name, terms] of session.offers) {
        const held = heldOf(session, { kind: 'service', name });
        if (held >= terms.capacity) continue;
        const waiting = [...this.kept.waiting({ kind: 'service', name }, this.nowMs())].filter(
          ({ fields }) => matches(terms.patterns, fields.subject),
        );
        const holds = [...session.held.values()].map(({ message }) => message);
        const inHand = holds.filter(({ fields }) => fields.queue.name === name);
        // One of them must be alone with its worker.
        if (inHand.some((message) => this.kept.goesAlone(message))) continue;
        if (held > 0 && this.kept.somethingGoesAlone({ kind: 'service', name })) continue;
        for (const { fields } of waiting) {
          this.fault(
            `${fields.id} waits, and ${session.address} holds ${held} of ${terms.capacity}`,
          );
        }
      }
      const box: Queue = { kind: 'mailbox', name: session.address };
      const [mail] = this.kept.waiting(box, this.nowMs());
      if (mail !== undefined && (!session.native || session.mailCredit > 0)) {
        this.fault(`mail ${mail.fields.id} waits, and ${session.address} takes it`);
      }
    }
  }

  #alive(): Session[] {
    return this.#sessions.filter(({ ended, leaving, opened }) => !ended && !leaving && opened);
  }

  /** One of the sessions that are open, of those with these addresses; whichever `which` says. */
  #chosen(addresses: readonly string[], which: number): Session | undefined {
    const chosen = this.#alive().filter(({ address }) => addresses.includes(address));
    return chosen[which % Math.max(1, chosen.length)];
  }

  open(address: string, native: boolean): Session {
    for (const other of this.#sessions) if (other.address === address) this.#leaves(other);
    const session = new Session(this.#world, address, native, this);
    this.#sessions.push(session);
    return session;
  }

  answered(session: Session): void {
    if (session.leaving) this.#end(session);
    for (const other of this.#sessions) {
      if (other !== session && other.address === session.address) this.#end(other);
    }
  }

  #leaves(session: Session): void {
    session.leaving = true;
    if (!this.#isCalm) this.kept.givenUnseen();
  }

  #end(session: Session): void {
    this.kept.ended(session);
    this.streams.ended(session);
    session.held.clear();
    this.#sessions = this.#sessions.filter((other) => other !== session);
  }

  close(addresses: readonly string[], which: number): void {
    const session = this.#chosen(addresses, which);
    if (session === undefined) return;
    session.peer.pipeMessages = Infinity;
    this.#leaves(session);
    session.say(v1.CLOSE);
  }

  /** A connection breaks while the broker answers. */
  async vanish(addresses: readonly string[], which: number): Promise<void> {
    const session = this.#chosen(addresses, which);
    if (session === undefined) return;
    this.#leaves(session);
    if (session.native) session.ask({ name: 'PING' });
    else session.say(v1.PING);
    session.peer.vanish();
    await this.#world.settle();
    this.#end(session);
  }

  mail(address: string, count: number, parts: MessageParts, which: number): void {
    this.#send({ kind: 'mailbox', name: address }, 'letter', count, parts, which);
  }

  request(name: string, subject: string, count: number, parts: MessageParts, which: number): void {
    this.#send({ kind: 'service', name }, subject, count, parts, which);
  }

  #send(queue: Queue, subject: string, count: number, parts: MessageParts, which: number): void {
    const sender = this.#chosen(SENDERS, which);
    if (sender === undefined) return;
    const nowMs = this.nowMs();
    // What MLM/1 cannot say.
    const { priority = 0, delay = 0 } = sender.native ? parts : {};
    const { timeout } = parts;
    const sendings = [];
    for (let n = 0; n < count; n++) {
      const message = this.kept.send(
        {
          ...{ id: `m${++this.#count}`, queue, sender, subject, priority },
          notBeforeMs: nowMs + delay,
          expiresMs: timeout === 0 ? Infinity : nowMs + timeout,
        },
        nowMs,
        this.#isCalm,
      );
      sendings.push({ message, command: sendingOf(message, { timeout, priority, delay }) });
    }
    sender.send(sendings);
  }

  offer(service: string, pattern: string, capacity: number, which: number): void {
    const worker = this.#chosen(WORKERS, which);
    if (worker === undefined) return;
    const offered = (): void => {
      const terms = worker.offers.get(service) ?? { patterns: new Set<string>(), capacity: 0 };
      terms.patterns.add(pattern);
      terms.capacity = worker.native ? capacity : Infinity;
      worker.offers.set(service, terms);
    };
    if (worker.native) worker.call('offer', { service, pattern, capacity }, offered);
    else {
      offered();
      worker.say(v1.offer(service, pattern));
    }
  }

  withdraw(service: string, which: number): void {
    const worker = this.#chosen(WORKERS, which);
    if (worker?.native !== true) return;
    worker.call('withdraw', { service }, () => worker.offers.delete(service));
  }

  grantMail(amount: number, which: number): void {
    const owner = this.#chosen(BOXES, which);
    if (owner?.native !== true) return;
    owner.mailCredit += amount;
    owner.ask(mailCredit(amount));
  }

  /** Somebody has done with one of what it holds, or gives it up. */
  confirm(statusCode: number, which: number, whose: number): void {
    const holders = this.#alive().filter(({ held }) => held.size > 0);
    const holder = holders[whose % Math.max(1, holders.length)];
    if (holder === undefined) return;
    const delivery = [...holder.held.values()][which % holder.held.size] as Delivery;
    holder.held.delete(delivery.delivery);
    holder.confirmed.push(delivery);
    this.kept.confirmed(delivery.message, statusCode, this.nowMs());
    holder.ask(nativeConfirm(delivery, statusCode));
  }

  /** Somebody confirms what it does not hold: once more, or with another epoch. */
  confirmStale(again: boolean, which: number, whose: number): void {
    const holders = this.#alive().filter(({ held, confirmed }) =>
      again ? confirmed.length > 0 : held.size > 0,
    );
    const holder = holders[whose % Math.max(1, holders.length)];
    if (holder === undefined) return;
    const deliveries = again ? holder.confirmed : [...holder.held.values()];
    const { delivery, epoch } = deliveries[which % deliveries.length] as Delivery;
    holder.ask(nativeConfirm({ delivery, epoch: again ? epoch : epoch + 1 }));
  }

  /** Somebody writes to a stream, which it has to choose first. */
  async publish(
    stream: string,
    subjects: readonly string[],
    which: number,
    writers: readonly string[] = [...SENDERS, ...READERS],
  ): Promise<void> {
    const writer = this.#chosen(writers, which);
    if (writer === undefined) return;
    if (!writer.writes.has(stream)) await this.#chooseStream(writer, stream);
    const handle = writer.writes.get(stream);
    if (handle === undefined) return;
    const sent = subjects.map((subject) =>
      this.streams.send(`e${++this.#count}`, stream, subject, writer),
    );
    const padding = 'x'.repeat(this.#options.bodyBytes);
    if (writer.native) writer.publish(handle, sent, padding);
    else {
      const bodies = sent.map(({ id, subject }) =>
        v1.send(subject, Buffer.from(`${id} ${padding}`)),
      );
      writer.say(...bodies);
    }
  }

  async #chooseStream(writer: Session, stream: string): Promise<void> {
    if (writer.native) {
      const chosen = (value: unknown): void =>
        void writer.writes.set(stream, (value as { handle: number }).handle);
      writer.call('write', { stream }, chosen);
    } else {
      // MLM/1 writes to one stream at a time.
      writer.writes.clear();
      writer.writes.set(stream, 0);
      writer.say(v1.write(stream));
    }
    await this.settle();
  }

  read(
    fields: Pick<ReadingFields, 'stream' | 'pattern' | 'own' | 'cursor'>,
    from: unknown,
    credit: number,
    which: number,
  ): void {
    const reader = this.#chosen(READERS, which);
    if (reader === undefined) return;
    if (reader.native) {
      // One that is deaf learns too late where its cursor was.
      const cursor = reader.isDeaf ? undefined : fields.cursor;
      reader.read({ ...fields, cursor, reader }, from, credit);
      return;
    }
    const { stream, pattern } = fields;
    if (this.#options.mayMiss || reader.readings.has(stream)) return;
    const reading = new Reading({ ...fields, reader, own: false }, Infinity);
    // What is under way when it begins comes to it, or not.
    if (this.#isCalm) reading.since = this.streams.sent.length;
    reader.readings.set(stream, reading);
    this.streams.readings.push(reading);
    reader.say(v1.read(stream, pattern.source === '(?:)' ? '' : pattern.source));
  }

  /** A native reader grants more, has done with what it got, or ends. */
  go(what: 'grant' | 'confirm' | 'cancel', amount: number, which: number): void {
    const readings = this.#alive().flatMap((reader) =>
      [...reader.readings]
        .filter(([, { over }]) => !over && reader.native)
        .map(([handle, reading]) => ({ reader, handle: handle as number, reading })),
    );
    const chosen = readings[which % Math.max(1, readings.length)];
    if (chosen === undefined) return;
    const { reader, handle, reading } = chosen;
    if (what === 'grant') {
      reading.credit += amount;
      reader.ask({ name: 'CREDIT', handle, amount });
    } else if (what === 'cancel') {
      reading.over = true;
      reader.call('cancel', { handle }, () => undefined);
    } else {
      const { sequence } = reading.got[amount % Math.max(1, reading.got.length)] ?? {};
      if (sequence === undefined || reading.fields.cursor === undefined) return;
      this.streams.confirm(reading, sequence);
      reader.ask({ name: 'CONFIRM CURSOR', handle, sequence });
    }
  }

  /** How much a reader's socket holds that it does not read; what it holds now is read. */
  async pipe(messages: number, which: number): Promise<void> {
    const reader = this.#chosen(READERS, which);
    if (reader === undefined) return;
    reader.isDeaf = true;
    reader.peer.readFrames();
    reader.peer.pipeMessages = messages;
    if (messages !== Infinity) return;
    // The broker looks at a full socket again after a while.
    this.pass(FULL_MS);
    await this.settle();
    reader.isDeaf = false;
  }

  pass(ms: number): void {
    this.#world.clock.advance(ms);
  }

  disk(state: 'quick' | 'slow' | 'full' | 'free'): void {
    if (state === 'quick') this.#store.turns = 2;
    else if (state === 'slow') this.#store.turns = SLOW_TURNS;
    else this.#store.failing = state === 'full';
  }

  /** The broker is killed, or stops, and another one starts on its disk. */
  async restart(how: 'killed' | 'killed, the commit under way written' | 'stopped'): Promise<void> {
    const old = this.#world;
    // What waits for a commit that is under way is given out while it stops, though it was due before.
    const beginsMs = this.#isCalm ? this.nowMs() : -Infinity;
    old.network.onTaken = undefined;
    this.#sessions = [];
    let store: LateStore;
    if (how === 'stopped') {
      // Workers are given what becomes durable while it stops, and lose it with their sessions.
      if (!this.#isCalm) this.kept.givenUnseen();
      await old.stop();
      store = this.#store.reopen();
    } else {
      store = this.#store.kill(how !== 'killed');
      await old.stop();
    }
    const world = new World(store);
    world.clock.setWall(old.clock.wallMs() - world.clock.wallMs());
    this.#store = store;
    this.#world = world;
    this.#failuresBefore = 0;
    this.kept.restarted(how === 'stopped' ? beginsMs : this.nowMs(), this.nowMs());
    this.streams.restarted();
    await this.start();
  }

  /** All is well again: those who come take everything; then the books are checked. */
  async finish(): Promise<void> {
    this.disk('quick');
    this.disk('free');
    await this.#untilCalm();
    await this.#readAll();
    for (const address of [...WORKERS, ...BOXES]) {
      this.close([address], 0);
      await this.settle();
    }
    await this.#doAll();
    await this.#checkNothingIsLeft();
    this.check();
  }

  /** Settles until commits that were slow have ended. One is begun: what failed goes with it. */
  async #untilCalm(): Promise<void> {
    for (let turn = 0; turn < 2; turn++) {
      this.open(SENDERS[0], true);
      await this.settle();
      await this.publish(STREAMS[0], ['rest'], 0, [SENDERS[0]]);
      await this.settle();
    }
    for (let turn = 0; turn < SLOW_TURNS && !this.#isCalm; turn++) await this.settle();
    if (!this.#isCalm) this.fault('the broker never comes to rest');
  }

  async #readAll(): Promise<void> {
    for (const which of READERS.keys()) await this.pipe(Infinity, which);
    for (const session of this.#alive()) {
      for (const [handle, reading] of session.readings) {
        if (reading.over || !session.native) continue;
        reading.credit += MUCH;
        session.ask({ name: 'CREDIT', handle: handle as number, amount: MUCH });
      }
    }
    const auditor = this.open('auditor', true);
    await this.settle();
    for (const stream of STREAMS) {
      const fields = { reader: auditor, stream, pattern: new RegExp(''), own: true };
      auditor.read({ ...fields, cursor: undefined }, 'earliest', MUCH);
    }
    for (let turn = 0; turn < 4; turn++) {
      this.pass(FULL_MS);
      await this.settle();
    }
    this.streams.checkLog();
    this.streams.checkReadings();
  }

  async #doAll(): Promise<void> {
    for (const address of BOXES) this.open(address, true);
    this.open(WORKERS[0], true);
    await this.settle();
    for (const [which] of BOXES.entries()) this.grantMail(MUCH, which);
    for (const service of SERVICES) this.offer(service, '', 1000, 0);
    await this.settle();
    for (let turn = 0; turn < 3; turn++) {
      while (this.#alive().some(({ held }) => held.size > 0)) {
        const count = this.#alive().reduce((sum, { held }) => sum + held.size, 0);
        for (let n = 0; n < count; n++) this.confirm(200, 0, 0);
        await this.settle();
      }
      this.pass(LONG_MS);
      await this.settle();
    }
  }

  async #checkNothingIsLeft(): Promise<void> {
    const asker = this.open('asker', true);
    await this.settle();
    const dead = new Set<string>();
    for (const service of SERVICES) {
      asker.call('dead.list', { service }, (letters) => {
        for (const { tracker } of letters as { tracker: string }[]) {
          if (dead.has(tracker)) this.fault(`${tracker} is a dead letter twice`);
          dead.add(tracker);
        }
      });
    }
    await this.settle();
    this.kept.checkEnds(dead);
    const left = await this.#world.view<{ requests: number }[]>('services');
    if (left.some(({ requests }) => requests > 0)) this.fault(`left: ${JSON.stringify(left)}`);
    const mail = await this.#world.view<{ messages: number }[]>('mailboxes');
    if (mail.some(({ messages }) => messages > 0)) this.fault(`left: ${JSON.stringify(mail)}`);
  }
}

function matches(patterns: ReadonlySet<string>, subject: string): boolean {
  return [...patterns].some((pattern) => new RegExp(pattern).test(subject));
}

function heldOf(session: Session, { kind, name }: Queue): number {
  let count = 0;
  for (const { message } of session.held.values()) {
    const { queue } = message.fields;
    if (queue.kind === kind && queue.name === name) count++;
  }
  return count;
}

/** The command that sends a message. */
function sendingOf(
  { fields }: Message,
  parts: { timeout: number; priority: number; delay: number },
): Asked | Command {
  const { id: tracker, queue, sender, subject } = fields;
  const { timeout } = parts;
  if (queue.kind === 'mailbox') {
    return sender.native
      ? nativeMail(queue.name, subject, { tracker, timeout })
      : v1.mail(queue.name, subject, { tracker, timeout });
  }
  return sender.native
    ? nativeRequest(queue.name, subject, { tracker, ...parts })
    : v1.request(queue.name, subject, { tracker, timeout });
}
