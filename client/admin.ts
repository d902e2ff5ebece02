// Looking after streams, cursors and dead letters: questions that a broker
// answers in native sessions. It checks that answers have the shape promised,
// and does nothing else.
import { MlmError } from './errors.js';
import { checkText } from './options.js';

/** How far readers with a cursor's name have come: everything up to `sequence` is dealt with. */
export interface CursorInfo {
  readonly stream: string;
  readonly name: string;
  readonly sequence: number;
}

/** What a stream holds, and who uses it. */
export interface StreamInfo {
  readonly stream: string;
  /** The first and last sequence that it holds; where it is empty, `first` is `last` + 1. */
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Octets of its log. */
  readonly bytes: number;
  readonly writers: number;
  readonly readers: number;
  /** How many of the readers read the log, because they are behind. */
  readonly behind: number;
  readonly cursors: readonly CursorInfo[];
}

/** How one attempt to do a request failed. */
export interface FailedAttempt {
  /** ms since 1970. */
  readonly timeMs: number;
  /** The address of the worker; empty where its session ended. */
  readonly worker: string;
  readonly reason: string;
}

/** A request that failed for good, and is kept until somebody decides about it. */
export interface DeadLetter {
  /** Its number among the dead letters of the service. */
  readonly letter: number;
  readonly sender: string;
  readonly subject: string;
  readonly tracker: string;
  /** When the broker accepted the request, ms since 1970. */
  readonly acceptedMs: number;
  readonly attempts: number;
  /** The newest failures, oldest first. */
  readonly failures: readonly FailedAttempt[];
  /** Octets of its body. */
  readonly bytes: number;
}

/** How many dead letters a service has. */
export interface DeadLetterCount {
  readonly service: string;
  readonly letters: number;
}

/**
 * The verbs of administration. Each rejects with UNSUPPORTED on MLM/1, REFUSED
 * with the broker's reason, DISCONNECTED where the session is lost before the
 * answer (whether it was done is then unknown), CLOSED or INVALID_ARGUMENT.
 */
export abstract class Admin {
  /** @internal */
  protected abstract call(method: string, given: Record<string, unknown>): Promise<unknown>;

  async streamInfo(stream: string): Promise<StreamInfo> {
    checkText('stream', stream);
    return asMap(await this.call('stream.info', { stream })) as StreamInfo;
  }

  /** Drops the oldest messages, until the stream's log has at most so many octets. */
  async trimStream(stream: string, bytes: number): Promise<StreamInfo> {
    checkText('stream', stream);
    checkNumber('bytes', bytes);
    return asMap(await this.call('stream.trim', { stream, bytes })) as StreamInfo;
  }

  /** Removes a stream and all it holds. REFUSED where somebody reads or writes it. */
  async deleteStream(stream: string): Promise<void> {
    checkText('stream', stream);
    await this.call('stream.delete', { stream });
  }

  /** The cursors of a stream. */
  async cursors(stream: string): Promise<CursorInfo[]> {
    checkText('stream', stream);
    return asList(await this.call('cursor.list', { stream })) as CursorInfo[];
  }

  /** Puts a cursor anywhere, and makes it where there is none: its next reader begins after `sequence`. */
  async setCursor(stream: string, cursor: string, sequence: number): Promise<void> {
    checkText('stream', stream);
    checkText('cursor', cursor);
    checkNumber('sequence', sequence);
    await this.call('cursor.set', { stream, cursor, sequence });
  }

  async deleteCursor(stream: string, cursor: string): Promise<void> {
    checkText('stream', stream);
    checkText('cursor', cursor);
    await this.call('cursor.delete', { stream, cursor });
  }

  /** How many dead letters each service has. */
  deadLetters(): Promise<DeadLetterCount[]>;
  /** The dead letters of a service. */
  deadLetters(service: string): Promise<DeadLetter[]>;
  async deadLetters(service?: string): Promise<DeadLetter[] | DeadLetterCount[]> {
    if (service === undefined)
      return asList(await this.call('dead.counts', {})) as DeadLetterCount[];
    checkText('service', service);
    return asList(await this.call('dead.list', { service })) as DeadLetter[];
  }

  /** Makes a request of a dead letter again, in the name of its first sender. */
  async retryDeadLetter(service: string, letter: number): Promise<DeadLetter> {
    checkText('service', service);
    checkNumber('letter', letter);
    return asMap(await this.call('dead.retry', { service, letter })) as DeadLetter;
  }

  /** Throws a dead letter away. */
  async dropDeadLetter(service: string, letter: number): Promise<DeadLetter> {
    checkText('service', service);
    checkNumber('letter', letter);
    return asMap(await this.call('dead.drop', { service, letter })) as DeadLetter;
  }
}

function checkNumber(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  const message = `${name} is ${String(value)}; it must be a whole number of 0 or more`;
  throw new MlmError('INVALID_ARGUMENT', message);
}

/** @throws {MlmError} INVALID_BODY */
function asMap(value: unknown): object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new MlmError('INVALID_BODY', 'the broker answered with what is not a map');
}

/** @throws {MlmError} INVALID_BODY */
function asList(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  throw new MlmError('INVALID_BODY', 'the broker answered with what is not a list');
}
