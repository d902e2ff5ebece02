// A request that this client holds in a native session: what its handler may say
// of it, how often, and until when. When the broker takes it back or the session
// is lost, its signal fires, and nothing more is said of it but that the handler
// has stopped.
import { encode } from '@msgpack/msgpack';
import { contentBytes, PROGRESS_KIND, STATUS, type NativeCommand } from '../../protocol/index.js';
import { encodeBody } from '../body.js';
import type { Timer } from '../clock.js';
import { MlmError } from '../errors.js';
import type { Room } from '../room.js';
import { fittingProgress, type Progress, type RequestContext } from '../service-request.js';
import { asBuffer } from '../value.js';
import { HeldDelivery } from './held.js';

/** Between two words about the progress of one request, at least, ms. */
const PROGRESS_EVERY_MS = 100;

export class HeldRequest implements RequestContext {
  readonly #room: Room;
  readonly #held: HeldDelivery;
  /** Made when somebody asks for the signal. */
  #controller: AbortController | undefined;
  #over: MlmError | undefined;
  /** True where the broker has taken it back: nothing more is to be said of it. */
  #revoked = false;
  #progress: Progress | undefined;
  /** Runs while the last word about progress is not long ago. */
  #pace: Timer | undefined;

  constructor(room: Room, delivery: NativeCommand<'SERVICE DELIVER'>) {
    this.#room = room;
    this.#held = new HeldDelivery(room.native, delivery);
  }

  get delivery(): number {
    return this.#held.delivery;
  }

  get epoch(): number {
    return this.#held.epoch;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#over !== undefined) this.#controller.abort(this.#over);
    }
    return this.#controller.signal;
  }

  get isOver(): boolean {
    return this.#over !== undefined;
  }

  /** The broker has taken it back. */
  revoke(error: MlmError): void {
    this.#revoked = true;
    this.end(error);
  }

  /** It is to be worked on no more: its signal fires with this error. */
  end(error: MlmError): void {
    if (this.#over !== undefined) return;
    this.#over = error;
    this.#stopPace();
    this.#controller?.abort(error);
  }

  progress(progress: Progress): void {
    if (this.isOver || !this.#held.isHeld) return;
    this.#progress = fittingProgress(progress);
    if (this.#pace === undefined) this.#sayProgress();
  }

  /** @throws {MlmError} see ServiceRequest.emit */
  emit(body: unknown): void {
    const content = encodeBody(body);
    if (this.#over !== undefined) throw this.#over;
    if (!this.#held.isHeld) {
      throw new MlmError('CLOSED', 'the request was answered: nothing more can be emitted');
    }
    const tooLarge = this.whyTooLarge(content);
    if (tooLarge !== undefined) throw new MlmError('INVALID_ARGUMENT', tooLarge);
    const { native, options } = this.#room;
    if (native.wordBytes >= options.bufferBytesMax) {
      const message = `${native.wordBytes} octets that were emitted wait to be sent: emit less, or return an async iterable`;
      throw new MlmError('BUFFER_FULL', message);
    }
    this.#held.progress(PROGRESS_KIND.partial, content);
  }

  emitPart(body: unknown): Promise<void> {
    this.emit(body);
    return this.#room.native.wordsLeft();
  }

  extend(): void {
    if (!this.isOver) this.#held.extend();
  }

  /** Says the reply. The last progress goes before it. */
  reply(content: readonly Buffer[]): void {
    this.#sayLastProgress();
    if (this.#revoked) this.#held.settle(STATUS.NOT_READY, 'stopped');
    else this.#held.reply(content);
  }

  /** Says what became of it, where that is no reply. */
  settle(statusCode: number, reason: string): void {
    this.#sayLastProgress();
    this.#held.settle(statusCode, reason);
  }

  /** Why a body is more than the broker takes; undefined where it is not. */
  whyTooLarge(content: readonly Buffer[]): string | undefined {
    const { messageBytesMax } = this.#room.native;
    const bytes = contentBytes(content);
    if (bytes <= messageBytesMax) return undefined;
    return `a result of ${bytes} octets is more than the broker takes, which is ${messageBytesMax}`;
  }

  #sayProgress(): void {
    this.#pace = undefined;
    if (this.#progress === undefined) return;
    this.#say(this.#progress);
    this.#progress = undefined;
    this.#pace = this.#room.clock.start(PROGRESS_EVERY_MS, () => this.#sayProgress());
  }

  #sayLastProgress(): void {
    if (!this.isOver && this.#progress !== undefined) this.#say(this.#progress);
    this.#stopPace();
  }

  #say(progress: Progress): void {
    this.#held.progress(PROGRESS_KIND.progress, [asBuffer(encode(progress))]);
  }

  #stopPace(): void {
    this.#room.clock.stop(this.#pace);
    this.#pace = undefined;
    this.#progress = undefined;
  }
}
