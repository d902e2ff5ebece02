// A request as a worker gets it, and what may be said of it while it is worked
// on. How that is said, the session decides: see native/held-request.ts.
import { Message } from './message.js';
import { decodeValue } from './value.js';

/** How far a worker is with a request. */
export interface Progress {
  /** From 0 to 1. */
  readonly fraction?: number | undefined;
  readonly note?: string | undefined;
}

const NOTE_CHARACTERS_MAX = 1000;

/** What is said of a progress: a fraction from 0 to 1, a note of a length that travels. */
export function fittingProgress({ fraction, note }: Progress): Progress {
  return {
    ...(isNumber(fraction) && { fraction: Math.min(1, Math.max(0, fraction)) }),
    ...(note !== undefined && { note: note.slice(0, NOTE_CHARACTERS_MAX) }),
  };
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && !Number.isNaN(value);
}

/** Reads what a worker said of its progress; what is no such thing is left out. */
export function readProgress(content: readonly Buffer[]): Progress {
  let said: unknown;
  try {
    said = decodeValue(content);
  } catch {
    return {};
  }
  return progressIn(said);
}

/** The progress in a map that may hold more. */
export function progressIn(said: unknown): Progress {
  if (typeof said !== 'object' || said === null) return {};
  const { fraction, note } = said as Record<string, unknown>;
  return {
    ...(typeof fraction === 'number' && { fraction }),
    ...(typeof note === 'string' && { note }),
  };
}

/** What a request is tied to while a worker has it. */
export interface RequestContext {
  readonly signal: AbortSignal;
  /** True once the signal has fired. */
  readonly isOver: boolean;
  progress(progress: Progress): void;
  /** @throws {MlmError} */
  emit(body: unknown): void;
  /**
   * Emits one item of an async iterable; on MLM/1 it does nothing, since the reply holds them all.
   *
   * @returns resolves when there is room for the next
   */
  emitPart(body: unknown): Promise<void>;
  extend(): void;
}

/** A request, as a worker gets it. */
export class ServiceRequest extends Message {
  readonly service: string;
  /** The requester's name for this request; the id of a job; empty where it is not tracked. */
  readonly tracker: string;
  /** How often it was given to a worker, this time included. Undefined on MLM/1. */
  readonly attempt: number | undefined;
  /** When the broker accepted it, ms since 1970. Undefined on MLM/1. */
  readonly timeMs: number | undefined;
  readonly #context: RequestContext;

  constructor(
    service: string,
    sender: string,
    subject: string,
    tracker: string,
    content: Buffer[],
    context: RequestContext,
    attempt?: number,
    timeMs?: number,
  ) {
    super(subject, sender, content);
    this.service = service;
    this.tracker = tracker;
    this.#context = context;
    this.attempt = attempt;
    this.timeMs = timeMs;
  }

  /**
   * Fires when nobody wants the reply of this worker any more: the client is closed (CLOSED) or,
   * in native sessions, somebody cancelled the request (CANCELLED), its deadline is over
   * (EXPIRED), the broker has taken it back (REVOKED), or the session is lost (DISCONNECTED). The
   * reason is an `MlmError` with that code.
   */
  get signal(): AbortSignal {
    return this.#context.signal;
  }

  /** @internal True once the signal has fired. */
  get isOver(): boolean {
    return this.#context.isOver;
  }

  /**
   * Tells the requester how far the work is. Say it as often as you like: it is passed on about
   * ten times a second at most, the last word always. On MLM/1 it does nothing.
   *
   * @param fraction from 0 to 1; what lies outside is taken for the nearer one
   * @param note for people, 1000 characters at most
   */
  progress(fraction?: number, note?: string): void {
    this.#context.progress({ fraction, note });
  }

  /**
   * Sends the requester a part of the result: a token, a preview. Parts keep their order, and
   * none is left out; when an attempt fails, the next one sends its own from the start. The
   * reply is still what the handler returns.
   *
   * @param body see `encodeBody`
   * @throws {MlmError} UNSUPPORTED on MLM/1; BUFFER_FULL where the broker does not take as much as
   *   is emitted (return an async iterable instead: it is asked for no more than goes out);
   *   INVALID_ARGUMENT for what cannot be sent; CLOSED after the reply; the reason of the signal
   *   where that has fired
   */
  emit(body: unknown): void {
    this.#context.emit(body);
  }

  /** @internal See RequestContext.emitPart. */
  emitPart(body: unknown): Promise<void> {
    return this.#context.emitPart(body);
  }

  /**
   * Says that this worker still works on it: its lease begins anew. With `extend: 'auto'`, the
   * default of offers, the SDK does it by itself. On MLM/1 it does nothing.
   */
  extend(): void {
    this.#context.extend();
  }
}
