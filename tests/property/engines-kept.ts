// A simple model of what mailboxes and services keep: one list of messages, in
// the order in which they were sent, and for each what is known of it. It is told
// what clients do and what they are given, and says what the broker must not have
// done. It knows no wire, no store and no broker.

/** What became of a message, as far as it can be known from outside. */
export type State =
  /** Sent; nothing was heard of it. */
  | 'sent'
  /** It is kept: it waits, or somebody holds it. */
  | 'kept'
  /** It was never accepted. */
  | 'refused'
  /** A receiver has done with it, or given it up. */
  | 'done'
  /** It failed too often. */
  | 'dead'
  /** It waited too long. */
  | 'expired'
  /** Nobody can tell: its sender or the broker died before it was told. */
  | 'unknown';

/** Somebody with a session. Two of them are the same where they are the same object. */
export interface Party {
  readonly address: string;
  readonly native: boolean;
  /** True once it asked to leave, or another one for its address: it ends at any moment. */
  leaving: boolean;
  ended: boolean;
  /** True while its socket does not take all that it is told. */
  isDeaf: boolean;
}

/** A mailbox or a service. */
export interface Queue {
  readonly kind: 'mailbox' | 'service';
  readonly name: string;
}

export interface MessageFields {
  readonly id: string;
  readonly queue: Queue;
  readonly sender: Party;
  readonly subject: string;
  readonly priority: number;
  /** When it may be given to somebody at the earliest, ms since 1970. */
  readonly notBeforeMs: number;
  /** When it expires, ms since 1970; Infinity for never. */
  readonly expiresMs: number;
}

/** A message, and what is known of it. */
export class Message {
  readonly fields: MessageFields;
  readonly order: number;
  state: State = 'sent';
  /** True where the state outlives the broker. */
  firm = false;
  holder: Party | undefined;
  /** Deliveries that count. */
  attempts = 0;
  /** The attempts that the disk knows of: it is told when the message goes back. */
  attemptsOnDisk = 0;
  /** True where it went back, and the disk has not been told yet. */
  wentBack = false;
  /** True where the session ended that had it last: it may have been the reason. */
  wentWithSession = false;
  /** When it may be given out again after it failed, ms since 1970. */
  heldBackUntilMs = 0;
  /** What must become of it now that it was sent, where that can be told. */
  expected: 'kept' | 'refused' | undefined;

  constructor(fields: MessageFields, order: number) {
    this.fields = fields;
    this.order = order;
  }
}

/** From one moment to another, ms since 1970. */
export interface Span {
  readonly sinceMs: number;
  readonly nowMs: number;
}

export interface KeptLimits {
  readonly attemptsMax: number;
  readonly mailboxMessagesMax: number;
  readonly serviceMessagesMax: number;
}

/** The broker looks at the time in steps of at most so many ms. */
const STEP_MS = 10;
/** How long a request is held back for which a worker was not ready. */
const NOT_READY_MS = 1000;
/** How long one is that failed for the first time; twice as long each time. */
const RETRY_MS = 100;

export class KeptModel {
  readonly messages: Message[] = [];
  readonly #byId = new Map<string, Message>();
  readonly #limits: KeptLimits;
  readonly #fault: (what: string) => void;
  /** Deliveries that no socket took, and that count as attempts all the same: so many at most. */
  unseenAttempts = 0;
  /** When the broker started that runs now, ms since 1970. */
  #startedMs = 0;

  /** @param fault told what the broker must not have done */
  constructor(limits: KeptLimits, fault: (what: string) => void) {
    this.#limits = limits;
    this.#fault = fault;
  }

  get(id: string): Message | undefined {
    return this.#byId.get(id);
  }

  /**
   * A message is sent.
   *
   * @param calm true where nothing is under way, so that one can tell whether there is room
   */
  send(fields: MessageFields, nowMs: number, calm: boolean): Message {
    const message = new Message(fields, this.messages.length);
    if (calm) message.expected = this.#whatMustBecomeOf(fields, nowMs);
    this.messages.push(message);
    this.#byId.set(fields.id, message);
    return message;
  }

  #whatMustBecomeOf({ queue }: MessageFields, nowMs: number): Message['expected'] {
    const { mailboxMessagesMax, serviceMessagesMax } = this.#limits;
    const max = queue.kind === 'mailbox' ? mailboxMessagesMax : serviceMessagesMax;
    let kept = 0;
    for (const { state, expected, fields, holder } of this.#of(queue)) {
      if (state === 'unknown' || (state === 'sent' && expected === undefined)) return undefined;
      // It expires just now, or not.
      if (state === 'kept' && holder === undefined && fields.expiresMs <= nowMs + STEP_MS) {
        return undefined;
      }
      if (state === 'kept' || expected === 'kept') kept++;
    }
    return kept < max ? 'kept' : 'refused';
  }

  /**
   * Somebody whose session ends may be given what waits, in the moment before: that counts as an
   * attempt, which may have been the reason, and nobody sees it.
   */
  givenUnseen(): void {
    this.unseenAttempts++;
    for (const message of this.messages) {
      if (message.state === 'sent' || message.state === 'kept') message.wentWithSession = true;
    }
  }

  /** The broker accepted a message. */
  accepted(message: Message): void {
    const { state, expected, fields } = message;
    if (state === 'refused') this.#fault(`${fields.id} was refused, then accepted`);
    if (expected === 'refused') this.#fault(`${fields.id} was accepted beyond a limit`);
    if (state === 'sent') message.state = 'kept';
  }

  /** The broker refused it. @param clean true where no commit has failed since it was sent */
  refused(message: Message, clean: boolean): void {
    const { state, expected, fields } = message;
    // One may expire before its commit fails: then its sender hears both.
    if (state !== 'sent' && state !== 'expired') {
      this.#fault(`${fields.id} was refused though it was ${state}`);
    }
    if (clean && expected === 'kept') this.#fault(`${fields.id} was refused: there was room`);
    message.state = 'refused';
    message.expected = undefined;
    message.firm = true;
  }

  /** Its sender was told that it expired. */
  expired(message: Message, nowMs: number): void {
    const { state, fields, holder } = message;
    if (fields.expiresMs > nowMs) this.#fault(`${fields.id} expired too early`);
    if (state === 'done' || state === 'refused' || state === 'dead') {
      this.#fault(`${fields.id} expired though it was ${state}`);
    }
    if (holder?.leaving === true) this.ended(holder);
    if (holder?.ended === false) this.#fault(`${fields.id} expired while somebody held it`);
    this.#end(message, 'expired');
  }

  /**
   * Somebody is given a message.
   *
   * @param attempt as the delivery says; undefined for MLM/1, which has it for good
   */
  given(
    message: Message,
    receiver: Party,
    attempt: number | undefined,
    { sinceMs, nowMs }: Span,
  ): void {
    const { id, queue } = message.fields;
    if (receiver.ended) this.#fault(`${id} came to ${receiver.address}, whose session had ended`);
    this.#checkMayBeGiven(message, sinceMs, nowMs);
    // Others are given what it held before it is told that it may go.
    if (message.holder?.leaving === true) this.ended(message.holder);
    if (message.holder !== undefined) {
      this.#fault(`${id} came to ${receiver.address} while ${message.holder.address} held it`);
    }
    if (queue.kind === 'mailbox') this.#checkIsNext(message, receiver, nowMs);
    // What is delivered is durable.
    message.state = 'kept';
    if (attempt === undefined) {
      this.#end(message, 'done');
      return;
    }
    const { attempts, attemptsOnDisk } = message;
    if (attempt <= attemptsOnDisk || attempt > attempts + 1 + this.unseenAttempts) {
      this.#fault(
        `${id}: attempt ${attempt} after ${attempts}, of which ${attemptsOnDisk} on disk`,
      );
    }
    message.attempts = attempt;
    message.wentBack = false;
    message.holder = receiver;
  }

  #checkMayBeGiven(
    { fields, state, heldBackUntilMs, attempts }: Message,
    sinceMs: number,
    nowMs: number,
  ): void {
    const { id, notBeforeMs } = fields;
    const isOver = state === 'done' || state === 'dead' || state === 'expired';
    if (isOver || state === 'refused') this.#fault(`${id} was given out though it was ${state}`);
    if (nowMs < notBeforeMs) this.#fault(`${id} was given out ${notBeforeMs - nowMs} ms early`);
    if (nowMs < heldBackUntilMs) this.#fault(`${id} was tried again too early`);
    // A request that a worker had in time may be tried again.
    if (fields.queue.kind === 'service' && attempts > 0) return;
    // What an earlier broker left is looked at when this one has run for a step.
    const expiresMs = Math.max(fields.expiresMs, this.#startedMs);
    if (sinceMs >= expiresMs + STEP_MS) this.#fault(`${id} was given out after its timeout`);
  }

  /** Mail comes in order: what was sent before is done with, or its owner holds it. */
  #checkIsNext(message: Message, owner: Party, nowMs: number): void {
    const { queue, id } = message.fields;
    for (const before of this.#of(queue)) {
      if (before === message) return;
      if (before.state !== 'kept' || before.holder === owner) continue;
      if (before.fields.expiresMs <= nowMs) continue;
      this.#fault(`mail ${id} came before ${before.fields.id}`);
    }
  }

  /** A receiver has done with a message that it holds: 200, or why not. */
  confirmed(message: Message, statusCode: number, nowMs: number): void {
    message.holder = undefined;
    message.wentBack = true;
    // A worker that is not ready says nothing of the request.
    if (statusCode !== 503) message.wentWithSession = false;
    if (message.fields.queue.kind === 'mailbox' || statusCode < 300) this.#end(message, 'done');
    else if (statusCode === 503) {
      message.attempts--;
      message.attemptsOnDisk = Math.min(message.attemptsOnDisk, message.attempts);
      message.heldBackUntilMs = nowMs + NOT_READY_MS;
    } else if (statusCode === 400 || message.attempts >= this.#limits.attemptsMax) {
      this.#end(message, 'dead');
    } else message.heldBackUntilMs = nowMs + RETRY_MS * 2 ** (message.attempts - 1);
  }

  /** A session has ended: what it held goes back. */
  ended(receiver: Party): void {
    receiver.ended = true;
    for (const message of this.messages) {
      if (message.holder !== receiver) continue;
      message.holder = undefined;
      message.wentBack = true;
      message.wentWithSession = true;
      const { attempts, fields } = message;
      if (fields.queue.kind === 'service' && attempts >= this.#limits.attemptsMax) {
        this.#end(message, 'dead');
      }
    }
  }

  /**
   * Nothing is under way, and everything so far is durable.
   *
   * @param clean true where no commit has failed since the last time
   */
  calm(clean: boolean): void {
    for (const message of this.messages) {
      if (message.state === 'sent') this.#resolve(message, clean);
      message.firm = true;
      message.expected = undefined;
      if (clean && message.wentBack) message.attemptsOnDisk = message.attempts;
      message.wentBack = false;
    }
  }

  /** What must be true by now of a message of which nothing was heard. */
  #resolve(message: Message, clean: boolean): void {
    const { expected, fields } = message;
    const { sender, id } = fields;
    if (!sender.ended && sender.native) this.#fault(`${id} was neither accepted nor refused`);
    if (clean && expected !== undefined) message.state = expected;
    // A sender of MLM/1 is told where its message is refused, and only then.
    else message.state = sender.ended ? 'unknown' : 'kept';
  }

  /**
   * The broker has ended, and another one has started on its disk.
   *
   * @param endedMs since when it wrote nothing; one that stops delivers until it has stopped
   */
  restarted(endedMs: number, nowMs: number): void {
    this.#startedMs = nowMs;
    for (const message of this.messages) {
      const { state, firm, fields, heldBackUntilMs } = message;
      if (state === 'sent' || (!firm && state !== 'kept' && state !== 'refused')) {
        message.state = 'unknown';
      }
      // A broker that takes its time to stop may have given it to a worker that does not confirm.
      const dueMs = Math.max(fields.notBeforeMs, heldBackUntilMs);
      if (state === 'kept' && dueMs > endedMs && dueMs <= nowMs) message.state = 'unknown';
      message.holder = undefined;
      message.expected = undefined;
      message.wentBack = false;
      // What is tried again later is held back in memory alone.
      message.heldBackUntilMs = 0;
    }
  }

  /** What waits, and for whom it may be: of a service the most urgent first. */
  *waiting({ kind, name }: Queue, nowMs: number): Generator<Message> {
    const messages = [...this.#of({ kind, name })];
    if (kind === 'service') messages.sort(servedFirst);
    for (const message of messages) {
      const { fields, state, holder, heldBackUntilMs } = message;
      const { expiresMs, notBeforeMs } = fields;
      if (state !== 'kept' || holder !== undefined || expiresMs <= nowMs) continue;
      if (notBeforeMs + STEP_MS <= nowMs && heldBackUntilMs + STEP_MS <= nowMs) yield message;
    }
  }

  /**
   * True where a request may only be given to a worker that holds nothing else: it may end its
   * worker, and has one attempt left. A worker that has it gets nothing else.
   */
  goesAlone({ wentWithSession, attempts, holder }: Message): boolean {
    const before = holder === undefined ? attempts : attempts - 1;
    return wentWithSession && before + this.unseenAttempts >= this.#limits.attemptsMax - 1;
  }

  /** True where such a request may be waiting: one that was tried may wait beyond its timeout. */
  somethingGoesAlone(queue: Queue): boolean {
    return [...this.#of(queue)].some(
      (message) =>
        message.state === 'kept' && message.holder === undefined && this.goesAlone(message),
    );
  }

  /** Everybody has taken all there is: each message must have come to an end. */
  checkEnds(dead: ReadonlySet<string>): void {
    for (const { fields, state, holder } of this.messages) {
      const { id, expiresMs } = fields;
      if (holder !== undefined) this.#fault(`${id} is still held by ${holder.address}`);
      const isDead = dead.has(id);
      if (state === 'dead' && !isDead) this.#fault(`${id} should be a dead letter`);
      if (state === 'kept' && !isDead && expiresMs === Infinity) {
        this.#fault(`${id} was accepted, and is lost`);
      }
      const mayBeDead = state === 'dead' || state === 'unknown' || this.unseenAttempts > 0;
      if (isDead && !mayBeDead) this.#fault(`${id} is a dead letter, and was ${state}`);
    }
  }

  #end(message: Message, state: State): void {
    message.state = state;
    message.firm = false;
  }

  *#of({ kind, name }: Queue): Generator<Message> {
    for (const message of this.messages) {
      const { queue } = message.fields;
      if (queue.kind === kind && queue.name === name) yield message;
    }
  }
}

/** The order in which requests that wait are served. */
export function servedFirst(a: Message, b: Message): number {
  return b.fields.priority - a.fields.priority || a.order - b.order;
}
