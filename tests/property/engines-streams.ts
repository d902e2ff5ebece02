// A simple model of streams: which message has which sequence, and what each
// reader was given, from where, and what it was told that it missed. It is told
// what clients do and get, and says what the broker must not have done.
import type { Party } from './engines-kept.js';

/** A message that was sent to a stream. */
export interface StreamSent {
  readonly id: string;
  readonly stream: string;
  readonly subject: string;
  readonly sender: Party;
  readonly order: number;
  state: 'sent' | 'kept' | 'refused' | 'unknown';
  sequence: number | undefined;
  /** True where a commit failed while nobody could tell its sender what became of it. */
  inDoubt: boolean;
}

export interface ReadingFields {
  readonly reader: Party;
  readonly stream: string;
  readonly pattern: RegExp;
  /** True where it also gets what its own address wrote. */
  readonly own: boolean;
  readonly cursor: string | undefined;
}

/** What one reader got of one stream. */
export class Reading {
  readonly fields: ReadingFields;
  /** The first sequence that it is to get; of MLM/1, unknown. */
  from: number | undefined;
  /** How many messages had been sent when it began, where that is what it is to get; MLM/1 only. */
  since: number | undefined;
  credit: number;
  over = false;
  readonly got: StreamSent[] = [];
  readonly gaps: { first: number; last: number }[] = [];

  constructor(fields: ReadingFields, credit: number) {
    this.fields = fields;
    this.credit = credit;
  }
}

/** A named cursor: where it is, and where it is at least when the broker dies now. */
interface Cursor {
  at: number;
  /** Undefined where the disk may not know it at all. */
  onDisk: number | undefined;
  /** True since the broker died, until somebody reads with it. */
  isVague: boolean;
}

export class StreamModel {
  readonly sent: StreamSent[] = [];
  readonly readings: Reading[] = [];
  readonly #byId = new Map<string, StreamSent>();
  readonly #bySequence = new Map<string, StreamSent>();
  readonly #cursors = new Map<string, Cursor>();
  readonly #mayMiss: boolean;
  readonly #fault: (what: string) => void;

  /**
   * @param mayMiss true where retention removes messages that nobody has read
   * @param fault told what the broker must not have done
   */
  constructor(mayMiss: boolean, fault: (what: string) => void) {
    this.#mayMiss = mayMiss;
    this.#fault = fault;
  }

  send(id: string, stream: string, subject: string, sender: Party): StreamSent {
    const order = this.sent.length;
    const sent: StreamSent = {
      ...{ id, stream, subject, sender, order },
      state: 'sent',
      inDoubt: false,
      sequence: undefined,
    };
    this.sent.push(sent);
    this.#byId.set(id, sent);
    return sent;
  }

  /** The broker accepted a message. @param sequence undefined where it did not say which */
  stored(sent: StreamSent, sequence: number | undefined): void {
    if (sent.state === 'refused') this.#fault(`${sent.id} was refused, then accepted`);
    sent.state = 'kept';
    if (sequence !== undefined) this.#place(sent, sequence);
  }

  refused(sent: StreamSent): void {
    if (sent.state !== 'sent') this.#fault(`${sent.id} was refused though it was ${sent.state}`);
    sent.state = 'refused';
  }

  /** A reader begins. @param from the first sequence that it is to get, as the broker says */
  begin(reading: Reading, from: number): void {
    reading.from = from;
    this.readings.push(reading);
    const { cursor, stream } = reading.fields;
    if (cursor === undefined) return;
    const key = `${stream}/${cursor}`;
    const known = this.#cursors.get(key);
    const isNew = known === undefined || (known.isVague && known.onDisk === undefined);
    if (!isNew) {
      const least = known.isVague ? (known.onDisk ?? 0) : known.at;
      if (from - 1 < least || from - 1 > known.at) {
        this.#fault(`cursor ${key} is at ${from - 1}, not from ${least} to ${known.at}`);
      }
    }
    const onDisk = isNew ? undefined : known.onDisk;
    this.#cursors.set(key, { at: from - 1, onDisk, isVague: false });
  }

  /** A reader with a cursor has done with everything up to a sequence. */
  confirm({ fields, over }: Reading, sequence: number): void {
    const cursor = this.#cursors.get(`${fields.stream}/${fields.cursor ?? ''}`);
    if (over || cursor === undefined) return;
    cursor.at = Math.max(cursor.at, sequence);
  }

  /** A native reader is given a message. */
  given(reading: Reading, id: string, subject: string, sender: string, sequence: number): void {
    const sent = this.#byId.get(id);
    if (sent === undefined) {
      this.#fault(`${id} was never sent`);
      return;
    }
    if (sent.sender.address !== sender || sent.subject !== subject) {
      this.#fault(`${id} came as ${subject} of ${sender}`);
    }
    this.#place(sent, sequence);
    if (reading.credit-- <= 0) this.#fault(`${id} came beyond the credit`);
    if (sequence < (reading.from ?? 0)) this.#fault(`${id} lies before where the reader began`);
    const last = Math.max(reading.got.at(-1)?.sequence ?? 0, reading.gaps.at(-1)?.last ?? 0);
    if (sequence <= last) this.#fault(`${id} (${sequence}) came after ${last}`);
    this.#take(reading, sent);
  }

  /** A reader of MLM/1 is given a message. */
  givenV1(reading: Reading, id: string): void {
    const sent = this.#byId.get(id);
    if (sent === undefined) this.#fault(`${id} was never sent`);
    else this.#take(reading, sent);
  }

  #take(reading: Reading, sent: StreamSent): void {
    const { reader, stream, pattern } = reading.fields;
    const { id, subject } = sent;
    if (reader.ended) this.#fault(`${id} came to ${reader.address}, whose session had ended`);
    if (sent.stream !== stream || !pattern.test(subject)) this.#fault(`${id} was not asked for`);
    if (this.#isOwn(reading, sent)) this.#fault(`${id} came back to its own writer`);
    if (sent.state === 'refused') this.#fault(`${id} was refused, and came to a reader`);
    // What is delivered is durable.
    sent.state = 'kept';
    reading.got.push(sent);
  }

  /** A reader is told that it will not get these. */
  missed(reading: Reading, first: number, last: number): void {
    const before = Math.max(reading.got.at(-1)?.sequence ?? 0, reading.gaps.at(-1)?.last ?? 0);
    if (!this.#mayMiss && this.#hasAny(reading.fields.stream, last)) {
      this.#fault(`a gap from ${first} to ${last}, and no retention`);
    }
    if (first > last || first <= before || first < (reading.from ?? 0)) {
      this.#fault(`a gap from ${first} to ${last} after ${before}`);
    }
    reading.gaps.push({ first, last });
  }

  /** Where all that a log ever got was refused, that cannot be told from a log that was emptied. */
  #hasAny(stream: string, upTo: number): boolean {
    return this.sent.some((sent) => sent.stream === stream && (sent.sequence ?? Infinity) <= upTo);
  }

  ended(reader: Party): void {
    for (const reading of this.readings) if (reading.fields.reader === reader) reading.over = true;
  }

  /** Nothing is under way. @param clean true where no commit has failed since the last time */
  calm(clean: boolean): void {
    for (const sent of this.sent) {
      if (sent.state !== 'sent') continue;
      const { native, ended, isDeaf } = sent.sender;
      if (native && !ended && isDeaf) {
        if (!clean) sent.inDoubt = true;
        continue;
      }
      if (native && !ended) this.#fault(`${sent.id} was neither accepted nor refused`);
      sent.state = clean && !sent.inDoubt ? 'kept' : 'unknown';
    }
    if (!clean) return;
    for (const cursor of this.#cursors.values()) {
      if (!cursor.isVague) cursor.onDisk = cursor.at;
    }
  }

  restarted(): void {
    for (const sent of this.sent) if (sent.state === 'sent') sent.state = 'unknown';
    for (const reading of this.readings) reading.over = true;
    for (const cursor of this.#cursors.values()) cursor.isVague = true;
  }

  /** Sequences are given once, and each writer's rise in the order in which it sent. */
  checkLog(): void {
    const lastOf = new Map<string, StreamSent>();
    for (const sent of this.sent) {
      if (sent.sequence === undefined) {
        if (sent.state === 'kept' && !this.#mayMiss) this.#fault(`${sent.id} is not in the log`);
        continue;
      }
      const key = `${sent.stream} ${sent.sender.address}`;
      const before = lastOf.get(key);
      if ((before?.sequence ?? 0) >= sent.sequence) {
        this.#fault(
          `${sent.id} has sequence ${sent.sequence}; ${before?.id ?? ''} has a later one`,
        );
      }
      lastOf.set(key, sent);
    }
  }

  /** Every reader has got all there is, if it is still there; else all up to what it got last. */
  checkReadings(): void {
    for (const reading of this.readings) {
      const got = new Set(reading.got);
      const { reader, stream } = reading.fields;
      for (const sent of this.#wanted(reading)) {
        if (got.has(sent)) continue;
        this.#fault(`${reader.address} never got ${sent.id} (${stream} ${sent.sequence ?? '?'})`);
      }
      this.#checkOrder(reading);
    }
  }

  #checkOrder({ got, fields }: Reading): void {
    let last = 0;
    for (const { id, sequence = 0 } of got) {
      if (sequence <= last) this.#fault(`${fields.reader.address} got ${id} out of order`);
      last = sequence;
    }
  }

  /** What a reader must have got, and was not told that it missed. */
  *#wanted(reading: Reading): Generator<StreamSent> {
    const { fields, over, got, gaps, from, since } = reading;
    const upTo = over ? (got.at(-1)?.sequence ?? 0) : Infinity;
    const first = from ?? got[0]?.sequence ?? Infinity;
    for (const sent of this.sent) {
      const { sequence, stream, subject, state, order } = sent;
      if (stream !== fields.stream || state !== 'kept' || sequence === undefined) continue;
      if (sequence > upTo || !fields.pattern.test(subject) || this.#isOwn(reading, sent)) continue;
      if (sequence < first && order < (since ?? Infinity)) continue;
      if (gaps.some((gap) => gap.first <= sequence && sequence <= gap.last)) continue;
      yield sent;
    }
  }

  #isOwn({ fields }: Reading, { sender }: StreamSent): boolean {
    return !fields.own && sender.address === fields.reader.address;
  }

  #place(sent: StreamSent, sequence: number): void {
    const key = `${sent.stream} ${sequence}`;
    const there = this.#bySequence.get(key);
    if (there !== undefined && there !== sent) {
      this.#fault(`${there.id} and ${sent.id} have the sequence ${sequence}`);
    }
    if (sent.sequence !== undefined && sent.sequence !== sequence) {
      this.#fault(`${sent.id} had sequence ${sent.sequence}, now ${sequence}`);
    }
    this.#bySequence.set(key, sent);
    sent.sequence = sequence;
  }
}
