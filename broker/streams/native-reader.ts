// A reader of a native session. It gets whole blocks as they lie in the log,
// or what of them matches, never more than its credit; messages that retention
// took before it came to them are named in a gap marker. While it keeps up it is
// given each block as it becomes durable; else it reads the log.
import {
  selectSections,
  type Block,
  type NativeCommand,
  type Pattern,
  type Selection,
} from '../../protocol/index.js';
import type { StreamContext } from './stream-context.js';
import { CompactStart } from './compact-start.js';
import { stepIntoLog } from './log-reader.js';
import { nativeOutgoing } from '../sessions/outbox.js';
import type { Session } from '../sessions/session.js';
import type { Stream } from './stream.js';

/** Blocks read from the log in one go, before others have their turn. */
const BLOCKS_AT_ONCE = 16;
/** Octets of one block that are sent as one command. */
const CREDIT_MAX = Number.MAX_SAFE_INTEGER;

export interface NativeReaderOptions {
  readonly session: Session;
  readonly stream: Stream;
  /** The number by which the client knows it. */
  readonly handle: number;
  readonly pattern: Pattern;
  /** The first sequence it is to get. */
  readonly position: number;
  /** Up to here it gets only the last message of each subject; undefined where it gets all. */
  readonly compactTo?: number | undefined;
  /** Messages it may be sent before it grants more. */
  readonly credit: number;
  /** True where it also gets what it wrote itself. */
  readonly own: boolean;
  /** The cursor that its confirms move. */
  readonly cursor: string | undefined;
}

export class NativeReader {
  readonly session: Session;
  readonly stream: Stream;
  readonly handle: number;
  readonly cursor: string | undefined;
  /** Up to here it gets only the last message of each subject; undefined where it gets all. */
  readonly compactTo: number | undefined;
  /** True while it gets blocks as they come; false while it reads the log. */
  live = false;
  /** The next sequence to look at. */
  position: number;
  credit: number;
  readonly #pattern: Pattern;
  readonly #without: string | undefined;
  readonly #context: StreamContext;
  /** How it begins, while it has not come to the end of that. */
  #compact: CompactStart | undefined;

  constructor(options: NativeReaderOptions, context: StreamContext) {
    this.session = options.session;
    this.stream = options.stream;
    this.handle = options.handle;
    this.cursor = options.cursor;
    this.position = options.position;
    this.credit = options.credit;
    this.#pattern = options.pattern;
    this.#without = options.own || this.session.address === '' ? undefined : this.session.address;
    this.#context = context;
    this.compactTo = options.compactTo;
    if (this.compactTo !== undefined) this.#compact = this.#compactStart(this.compactTo);
  }

  #compactStart(upTo: number): CompactStart {
    const { stream, session, position: from } = this;
    const known = (): void => {
      session.continueSoon();
      this.#context.wake();
    };
    const index = this.#context.indexes.of(stream);
    return new CompactStart({ stream, index, pattern: this.#pattern, from, upTo, known });
  }

  /** Finds out what it is to begin with, where that is to be found out. */
  begin(): void {
    this.#compact?.begin();
  }

  /** It is over. */
  close(): void {
    this.#compact?.stop();
  }

  /** The client grants more. */
  grant(amount: number): void {
    this.credit = Math.min(CREDIT_MAX, this.credit + amount);
    this.resume();
  }

  /** A block has just become durable. */
  deliver(block: Block): void {
    if (!this.live || block.last < this.position) return;
    this.#take(block);
    // What the credit or the outbox did not take is read from the log.
    if (this.position <= block.last) this.live = false;
  }

  /** Goes on in the log, as far as credit and outbox allow. */
  resume(): void {
    for (let blocks = 0; !this.live; blocks++) {
      if (blocks === BLOCKS_AT_ONCE) {
        this.session.continueSoon();
        return;
      }
      if (this.credit === 0 || !this.session.hasRoomFor('stream')) return;
      if (this.#compact !== undefined) {
        if (!this.#compact.isKnown) return;
        this.#takeCompact(this.#compact);
        continue;
      }
      const step = stepIntoLog(this.stream, this.position);
      if (step === undefined) {
        this.#passEnd();
        this.live = true;
        return;
      }
      this.position = step.from;
      if (step.missed > 0) this.#missed(step.missed);
      this.#take(step.block);
    }
  }

  /** At the end of the log: one that was emptied has no block after the gap. */
  #passEnd(): void {
    const left = this.stream.lastSequence + 1 - this.position;
    if (left <= 0) return;
    // Behind the last block are sequences of messages that were refused.
    if (this.stream.readBlock(0) === undefined) this.#missed(left);
    else this.position += left;
  }

  /** Sends what is wanted of a block, within credit and outbox, and moves on. */
  #take(block: Block): void {
    if (this.credit === 0 || !this.session.hasRoomFor('stream')) return;
    const pattern = this.#pattern;
    const selection = selectSections(block.bytes, {
      from: this.position,
      max: this.credit,
      matches: pattern.matchesAll ? undefined : (subject) => pattern.matches(subject),
      without: this.#without,
    });
    this.position = selection.count < this.credit ? block.last + 1 : selection.next;
    if (selection.count > 0) this.#send(selection);
  }

  /** Sends of what it begins with as much as lies together; after the last of it, it gets all. */
  #takeCompact(compact: CompactStart): void {
    if (compact.isOver) {
      this.position = compact.upTo + 1;
      this.#compact = undefined;
      return;
    }
    const { bytes, count, missed } = compact.take(this.credit, this.#without);
    if (count > 0) this.#send({ bytes, count });
    if (missed !== undefined) this.#noteGap(missed, missed);
  }

  #send({ bytes, count }: Pick<Selection, 'bytes' | 'count'>): void {
    this.credit -= count;
    this.#context.counters.streamDeliveries += count;
    const command: NativeCommand<'STREAM DELIVER'> = {
      name: 'STREAM DELIVER',
      handle: this.handle,
      sections: bytes,
    };
    this.session.deliver('stream', nativeOutgoing(command, bytes.length));
  }

  /** Messages from where it is on are not there any more. */
  #missed(count: number): void {
    const first = this.position;
    this.position += count;
    this.#noteGap(first, first + count - 1);
  }

  #noteGap(first: number, last: number): void {
    this.#context.counters.streamGaps += last - first + 1;
    this.session.deliver(
      'stream',
      nativeOutgoing({
        name: 'GAP',
        handle: this.handle,
        first,
        last,
        reason: 'the retention of the stream had removed them',
      }),
    );
  }
}
