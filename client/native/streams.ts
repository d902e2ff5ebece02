// Streams in native sessions: messages are written straight into the sections
// that travel, and readers get theirs by handle. Sending, acceptance and the
// opening of sessions are not its business.
import { contentBytes, type NativeCommand } from '../../protocol/index.js';
import { encodeBody, isFrames } from '../body.js';
import { aborted, MlmError } from '../errors.js';
import { Message } from '../message.js';
import { checkSignal, checkText } from '../options.js';
import type { Sent } from '../outbox.js';
import type { Room } from '../room.js';
import type { ReadOptions, SendOptions, Stream, StreamReader } from '../stream.js';
import { encodeShared } from '../value.js';
import { NativeReader } from './reader.js';
import { checkBody } from './sending.js';
import type { StreamWriter } from './stream-writer.js';

/** What gathers for a stream becomes a sending of its own at this size, octets. */
const SECTION_BYTES = 128 * 1024;
/** No text of so few characters can take more octets than the wire has. */
const SHORT_TEXT = 85;

/** A stream in native sessions. */
export class NativeStream implements Stream {
  readonly name: string;
  readonly #room: Room;
  readonly #streams: NativeStreams;
  #writer: StreamWriter | undefined;

  constructor(name: string, room: Room, streams: NativeStreams) {
    this.name = name;
    this.#room = room;
    this.#streams = streams;
  }

  send(subject: string, body?: unknown, options?: SendOptions): Promise<Sent> {
    try {
      if (options?.signal !== undefined || options?.id !== undefined) {
        return this.#sendAlone(subject, body, options);
      }
      const writer = this.#put(subject, body);
      const accepted = new Promise<Sent>((resolve, reject) => {
        writer.await((sequence) => resolve({ sequence }), reject);
      });
      this.#sendSoon(writer);
      return accepted;
    } catch (error) {
      if (!(error instanceof MlmError)) throw error;
      return Promise.reject(error);
    }
  }

  publish(subject: string, body?: unknown): boolean {
    const { events, native } = this.#room;
    try {
      this.#sendSoon(this.#put(subject, body));
    } catch (error) {
      if (!(error instanceof MlmError) || error.code !== 'REFUSED') throw error;
      events.refused({ stream: this.name, count: 1, error });
    }
    return native.outbox.hasRoom;
  }

  ready(): Promise<void> {
    const { connection, native } = this.#room;
    return connection.over === undefined ? native.outbox.room() : Promise.reject(connection.over);
  }

  read(options: ReadOptions = {}): StreamReader {
    return this.#streams.read(this.name, options);
  }

  /** Puts a message behind those that gather. @throws {MlmError} */
  #put(subject: string, body: unknown): StreamWriter {
    if (typeof subject !== 'string' || subject.length > SHORT_TEXT) {
      checkText('subject', subject, { empty: true });
    }
    const { connection, native, options } = this.#room;
    if (connection.over !== undefined) throw connection.over;
    native.outbox.checkRoom();
    if (this.#writer === undefined || this.#writer.retired) {
      this.#writer = native.writers.for(this.name, options.address);
    }
    const writer = this.#writer;
    const bytes = write(writer, subject, body, native.messageBytesMax);
    writer.bytes += bytes;
    native.outbox.gathered(writer, bytes);
    return writer;
  }

  #sendSoon(writer: StreamWriter): void {
    const { native } = this.#room;
    if (writer.sections.bytes >= SECTION_BYTES) native.outbox.sealWriter(writer);
    native.wake();
  }

  /** A message that has an id, or may be taken back, travels alone. @throws {MlmError} */
  #sendAlone(subject: string, body: unknown, { signal, id }: SendOptions): Promise<Sent> {
    checkSignal('sending', signal);
    if (id !== undefined) this.#checkId(id);
    const { native } = this.#room;
    native.outbox.seal();
    const writer = this.#put(subject, body);
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        if (sending !== undefined) native.outbox.withdraw(sending);
        if (signal !== undefined) reject(aborted('sending', signal));
      };
      const settled = (): void => signal?.removeEventListener('abort', onAbort);
      writer.await(
        (sequence) => {
          settled();
          resolve({ sequence });
        },
        (error) => {
          settled();
          reject(error);
        },
      );
      signal?.addEventListener('abort', onAbort, { once: true });
      const { outbox } = native;
      const sending = id === undefined ? outbox.sealWriter(writer) : outbox.sealWithId(writer, id);
      native.wake();
    });
  }

  #checkId(id: string): void {
    checkText('id', id);
    const { native, options } = this.#room;
    if (options.address === '') {
      const message = 'a message with an id needs a client with an address: this one is anonymous';
      throw new MlmError('INVALID_ARGUMENT', message);
    }
    native.outbox.checkRoomForId();
  }
}

/** Writes a message. @returns the octets it takes. @throws {MlmError} REFUSED, INVALID_ARGUMENT */
function write(writer: StreamWriter, subject: string, body: unknown, bytesMax: number): number {
  const { sections } = writer;
  if (body === undefined || body instanceof Message || isFrames(body)) {
    const frames = encodeBody(body);
    checkBody(contentBytes(frames), bytesMax);
    return sections.appendFrames(subject, frames);
  }
  const frame = body instanceof Uint8Array ? body : encodeShared(body);
  checkBody(frame.length, bytesMax);
  return sections.append(subject, frame);
}

export class NativeStreams {
  readonly #room: Room;
  /** By the handle that the broker gave in this session. */
  readonly #readers = new Map<number, NativeReader>();
  readonly #all = new Set<NativeReader>();

  constructor(room: Room) {
    this.#room = room;
    room.native.join({
      sessionOpened: () => undefined,
      sessionLost: () => this.#readers.clear(),
    });
  }

  read(stream: string, options: ReadOptions): NativeReader {
    const { connection } = this.#room;
    const reader = new NativeReader(stream, options, this.#room, {
      opened: (handle) => this.#readers.set(handle, reader),
      closed: (handle) => this.#readers.delete(handle),
      ended: () => this.#all.delete(reader),
    });
    if (connection.over !== undefined) throw connection.over;
    if (options.signal?.aborted === true) reader.finish();
    else {
      this.#all.add(reader);
      reader.start();
    }
    return reader;
  }

  deliver(delivery: NativeCommand<'STREAM DELIVER' | 'GAP'>): void {
    // What was on its way when a reader left has no reader.
    this.#readers.get(delivery.handle)?.deliver(delivery);
  }

  /** The client is over: every reader ends after what it has. */
  end(error: MlmError | undefined): void {
    for (const reader of this.#all) reader.end(error);
    this.#all.clear();
  }
}
