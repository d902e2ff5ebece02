// What becomes of the requests of a service: attempts that fail and are made
// again, replies, leases, deadlines, cancelling, dead letters. Which worker gets a
// request is decided in service.ts.
import { decode as unpack } from '@msgpack/msgpack';
import { contentBytes, PROGRESS_KIND, STATUS } from '../../protocol/index.js';
import { newServiceCounters } from '../counters.js';
import type { Session } from '../sessions/session.js';
import {
  goesAlone,
  NOT_READY_DELAY_MS,
  noteFailure,
  retryDelayMs,
  SESSION_ENDED,
} from './attempts.js';
import type { Held } from './held.js';
import { Keys } from './keys.js';
import { KeptQueue, type Kept, type Sending } from './kept-queue.js';
import type { Delay, Message, RequestKeeper } from './message.js';
import { tooLarge } from '../refusal.js';
import { nativeOutgoing } from '../sessions/outbox.js';
import type { Failure } from '../store/store.js';
import { RequestTable, WANTS_MAX, type RequestName } from './request-table.js';
import type { Result } from './results.js';
import { Sharing, type Outcome } from './sharing.js';
import { readWants } from './wants.js';

/** A reply that nobody fetches is of no use: those who waited for it are gone. */
const REPLY_TIMEOUT_MS = 600_000;

export abstract class RequestQueue extends KeptQueue implements RequestKeeper {
  override readonly requests: RequestKeeper = this;
  readonly counts = newServiceCounters();
  protected readonly keys = new Keys();
  protected readonly sharing = new Sharing({
    results: () => this.context.results.of(this.name, this.place),
    end: (message, outcome) => this.#endSpared(message, outcome),
    putBack: (message) => this.putBack(message),
    watchDeadline: (message) => this.watchHeld(message),
    expire: (message) => this.expire(message),
    again: () => this.commits.touch(this),
  });
  readonly #table = new RequestTable();

  /** A request may be given to a worker, or wait for one. */
  protected abstract dispatch(message: Message): void;
  abstract settle(message: Message): void;
  /** A worker holds one request less. */
  protected abstract free(session: Session): void;
  /** A worker may be able to take more. */
  protected abstract serveWorker(session: Session): void;

  override send(origin: Session, sending: Sending, sender = origin.address): Kept | string {
    const { subject, tracker, job = 0, again = false } = sending;
    const reason = this.#whyNot(sending);
    if (reason !== undefined) {
      this.noteRefused(sender, reason);
      return reason;
    }
    if (job !== 1) return this.#accept(origin, sending, sender);
    const { jobs } = this.context;
    const earlier = again ? undefined : jobs.known(this.name, tracker);
    if (earlier !== undefined) return { commits: this.commits, repeats: earlier };
    if (this.#table.job(tracker) !== undefined) {
      return `service ${this.name} keeps a job with the id "${tracker}" already`;
    }
    const result = this.#accept(origin, sending, sender);
    if (typeof result === 'string') return result;
    jobs.remember(this.name, tracker);
    jobs.note(this.name, { job: true, tracker }, 'queued', { sender, subject });
    return result;
  }

  #accept(origin: Session, sending: Sending, sender: string): Kept | string {
    const result = super.send(origin, sending, sender);
    if (typeof result !== 'string') this.counts.accepted++;
    return result;
  }

  protected override countDelivery(): void {
    super.countDelivery();
    this.counts.done++;
  }

  #whyNot({ wants, tracker, job = 0 }: Sending): string | undefined {
    if (wants !== undefined) {
      const read = readWants(wants, job === 1);
      if (typeof read === 'string') return read;
      if (!this.#table.hasRoomFor(wants)) {
        return `requests of service ${this.name} want ${WANTS_MAX} different things already`;
      }
    }
    return job === 1 ? this.context.jobs.whyNot(this.name, tracker) : undefined;
  }

  protected override enqueue(message: Message): void {
    this.#table.add(message);
  }

  protected override unstored({ job, tracker, attempts }: Message, why: string): void {
    const reason = `it could not be stored: ${why}`;
    this.context.jobs.note(this.name, { job, tracker }, 'failed', { attempt: attempts, reason });
  }

  /** A worker is done with a request, well or not: it may have another one. */
  override confirm(held: Held, statusCode: number, reason: string): void {
    const { message, session } = held;
    this.#letGo(held);
    this.free(session);
    if (statusCode < STATUS.FAILED) {
      this.#noteSuccess(message, { worker: session.address, content: [] });
    }
    super.confirm(held, statusCode, reason);
    this.serveWorker(session);
  }

  reply(held: Held, content: readonly Buffer[]): void {
    const { message, session } = held;
    const { messageBytesMax } = this.context.limits;
    const bytes = contentBytes(content);
    if (bytes > messageBytesMax) {
      const reason = `the reply is refused: ${tooLarge(bytes, messageBytesMax)}`;
      this.confirm(held, STATUS.BAD_INPUT, reason);
      return;
    }
    this.#letGo(held);
    this.free(session);
    const result = { worker: session.address, content };
    this.#noteSuccess(message, result);
    this.#mailReply(message, result);
    this.sharing.succeeded(message, result);
    this.countDelivery();
    this.release(message);
    this.serveWorker(session);
  }

  /** A request was not run for itself. @returns false where what it was to get is lost */
  #endSpared(message: Message, outcome: Outcome): boolean {
    if (outcome.kind === 'bad-input') {
      const { worker, reason } = outcome;
      this.#noteFailure(message, { worker, reason });
      this.#bury(message, reason);
      return true;
    }
    const result =
      outcome.kind === 'kept' ? this.context.results.read(this.name, outcome.kept) : outcome.result;
    if (result === undefined) return false;
    this.#noteSuccess(message, result, { cached: true });
    this.#mailReply(message, result);
    this.counts.done++;
    this.counts.reused++;
    this.context.counters.resultsReused++;
    this.release(message);
    return true;
  }

  #noteSuccess(
    message: Message,
    { worker, content }: Result,
    more: object = { attempt: message.attempts },
  ): void {
    this.context.jobs.note(this.name, message, 'succeeded', { worker, ...more }, content);
  }

  /** The reply to a job is read from its events. */
  #mailReply(message: Message, { worker, content }: Result): void {
    if (message.job) return;
    const { sender, subject, tracker } = message;
    if (sender === '') return;
    const reply = { subject, tracker, timeout: REPLY_TIMEOUT_MS, quiet: true, content };
    const refused = this.context.sendReply(worker, sender, reply);
    if (refused === undefined) return;
    const reason = `the reply was refused: ${refused}`;
    this.context.confirmations.tellNative(message, tracker, STATUS.FAILED, reason);
  }

  progress(held: Held, kind: number, content: readonly Buffer[]): void {
    this.extend(held);
    const { message, session } = held;
    if (!message.job) {
      this.context.confirmations.progress(message, message.tracker, kind, content);
      return;
    }
    const by = { worker: session.address, attempt: message.attempts };
    const { jobs } = this.context;
    if (kind === PROGRESS_KIND.partial) jobs.note(this.name, message, 'partial', by, content);
    else jobs.note(this.name, message, 'progress', { ...by, ...readProgress(content) });
  }

  extend(held: Held): void {
    if (held.leaseMs > 0) this.context.leases.watch(held, held.leaseMs);
    if (held.extended) return;
    held.extended = true;
    // What takes long is worth remembering: an attempt that takes the whole machine down counts.
    this.rewrite(held.message);
  }

  leaseOver(held: Held): void {
    const { message, session } = held;
    const failure = { worker: session.address, reason: 'the worker did not extend its lease' };
    this.#revoke(held, STATUS.FAILED, failure.reason);
    this.#noteFailure(message, failure);
    this.#tryAgain(message, failure, retryDelayMs(message.attempts));
  }

  freed({ session }: Held): void {
    this.free(session);
    this.serveWorker(session);
  }

  /** The worker that held a request ended without confirming it. */
  override takeBack(message: Message): void {
    const { holder } = message;
    if (holder === undefined) {
      super.takeBack(message);
      return;
    }
    this.#letGo(holder);
    this.context.counters.takenBack++;
    const { address: worker } = holder.session;
    const failure = { worker, reason: SESSION_ENDED, lost: true } as const;
    this.#noteFailure(message, failure);
    this.#tryAgain(message, failure, 0);
  }

  /** True where a worker is to have a request by itself. */
  protected goesAlone(message: Message): boolean {
    return goesAlone(message, this.context.limits.attemptsMax);
  }

  protected override giveUp(
    message: Message,
    { address: worker }: Session,
    statusCode: number,
    reason: string,
  ): void {
    const failure = { worker, reason };
    if (statusCode === STATUS.NOT_READY) {
      message.attempts--;
      this.#tryAgain(message, failure, NOT_READY_DELAY_MS);
      return;
    }
    this.#noteFailure(message, failure);
    if (statusCode === STATUS.BAD_INPUT) {
      this.sharing.refused(message, worker, reason);
      this.#bury(message, reason);
    } else this.#tryAgain(message, failure, retryDelayMs(message.attempts));
  }

  override expire(message: Message): void {
    const { holder } = message;
    if (holder === undefined) {
      if (!this.sharing.outwaits(message, this.context.clock.nowMs())) super.expire(message);
      return;
    }
    this.#revoke(holder, STATUS.EXPIRED, 'the deadline of the request is over');
    this.release(message);
    this.tellExpired(message);
  }

  protected override tellExpired(message: Message): void {
    super.tellExpired(message);
    const reason = message.doneByMs > 0 ? 'not done in time' : 'no worker took it in time';
    this.context.jobs.note(this.name, message, 'expired', { reason });
  }

  /**
   * Gives up a request that somebody does not want any more.
   *
   * @param by who wants that, for those who look later
   * @returns where it was, or why it cannot be cancelled
   */
  cancel(name: RequestName, by: string): { readonly was: 'waiting' | 'running' } | string {
    const { tracker } = name;
    const message = this.#table.find(name);
    if (message === undefined) {
      return `service ${this.name} keeps no request with the tracker "${tracker}"`;
    }
    const { holder } = message;
    const reason = `cancelled by ${by === '' ? 'an anonymous client' : by}`;
    if (holder !== undefined) {
      this.#revoke(holder, STATUS.CANCELLED, reason);
      this.release(message);
    } else if (this.#isOut(message)) {
      return 'a worker that speaks MLM/1 has it, and cannot be stopped';
    } else this.drop(message);
    this.context.jobs.note(this.name, message, 'cancelled', { reason });
    this.context.confirmations.tellNative(message, tracker, STATUS.CANCELLED, reason);
    return { was: holder === undefined ? 'waiting' : 'running' };
  }

  /** True where a message is in the outbox of a session of MLM/1. */
  #isOut({ line, notBeforeWallMs, sequence }: Message): boolean {
    return line === undefined && notBeforeWallMs === 0 && sequence <= this.durableSequence;
  }

  protected override release(message: Message): void {
    super.release(message);
    this.#table.remove(message);
    this.#unwatchDelays(message);
    this.sharing.leave(message);
    message.content = [];
    const next = this.keys.leave(message);
    if (next === undefined) return;
    next.order = Math.max(next.order, this.lastSequence);
    this.dispatch(next);
  }

  /** A delivery has ended. */
  #letGo(held: Held): void {
    this.context.leases.unwatch(held);
    held.message.holder = undefined;
  }

  /** Takes a request from a worker that still works on it. It counts as busy until it says that it stopped. */
  #revoke(held: Held, statusCode: number, statusReason: string): void {
    this.#letGo(held);
    held.revoked = true;
    const { session, delivery, epoch } = held;
    // Behind the delivery itself, which may still be on its way.
    session.deliver(
      'service',
      nativeOutgoing({ name: 'REVOKED', delivery, epoch, statusCode, statusReason }),
    );
  }

  #noteFailure(message: Message, failure: Omit<Failure, 'timeMs'>): void {
    this.counts.failed++;
    noteFailure(message, this.context.clock.wallMs(), failure);
  }

  /** Back into the queue, unless it has failed too often. */
  #tryAgain(message: Message, { worker, reason }: Omit<Failure, 'timeMs'>, delayMs: number): void {
    this.sharing.leave(message);
    const { attempts: attempt } = message;
    if (attempt >= this.context.limits.attemptsMax) {
      this.#bury(message, `${attempt} attempts failed; the last one: ${reason}`);
      return;
    }
    this.context.jobs.note(this.name, message, 'retrying', { attempt, worker, reason, delayMs });
    this.rewrite(message);
    if (delayMs === 0) this.putBack(message);
    else this.#holdBack(message, delayMs);
  }

  /** To the dead letters, which are written in the same commit in which the queue gives it up. */
  #bury(message: Message, reason: string): void {
    this.counts.dead++;
    const { attempts, failures } = message;
    this.context.deadLetters.add(this.name, message);
    const worker = failures.at(-1)?.worker ?? '';
    this.context.jobs.note(this.name, message, 'failed', { attempt: attempts, worker, reason });
    this.release(message);
    this.context.log.warn('a request went to the dead letters', {
      service: this.name,
      attempts,
      reason,
    });
    this.context.confirmations.tellFailed(message, worker, reason);
  }

  #holdBack(message: Message, delayMs: number): void {
    message.notBeforeWallMs = this.context.clock.wallMs() + delayMs;
    this.watchWaiting(message);
    message.heldBack = this.watchDelay(message, delayMs);
  }

  /** Has `due`, or `settle`, called with a message after a while, unless it is released before. */
  protected watchDelay(message: Message, delayMs: number, settles = false): Delay {
    const delay = { message, settles, expiresAtMs: 0, heapIndex: -1 };
    this.context.delays.watch(delay, delayMs);
    return delay;
  }

  #unwatchDelays({ heldBack, settling }: Message): void {
    if (heldBack !== undefined) this.context.delays.unwatch(heldBack);
    if (settling !== undefined) this.context.delays.unwatch(settling);
  }
}

/** What a worker said by PROGRESS; what it may not say is left out. */
function readProgress(content: readonly Buffer[]): { fraction?: number; note?: string } {
  let said: unknown;
  try {
    said = content[0] === undefined ? undefined : unpack(content[0]);
  } catch {
    return {};
  }
  if (typeof said !== 'object' || said === null) return {};
  const { fraction, note } = said as Record<string, unknown>;
  return {
    ...(typeof fraction === 'number' ? { fraction } : {}),
    ...(typeof note === 'string' ? { note } : {}),
  };
}
