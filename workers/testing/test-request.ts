// A request that no broker has brought: it keeps what its handler says of it. What
// may be said, and how it is read, is decided by the SDK's own rules; nothing is
// sent, and nothing is left out because it was said too often.
import { encodeBody, MlmError, type Progress } from '../../client/index.js';
import { Message } from '../../client/message.js';
import { fittingProgress, type RequestContext } from '../../client/service-request.js';
import { Body } from '../job.js';

/** Told while the handler runs. */
interface RequestWatch {
  readonly onProgress: (progress: Progress) => void;
  readonly onPartial: (part: Body) => void;
}

export class TestRequest implements RequestContext {
  readonly progressed: Progress[] = [];
  readonly partials: Body[] = [];
  /** How often the handler said that it still works on it. */
  extended = 0;
  readonly #watch: RequestWatch;
  readonly #controller = new AbortController();
  #answered = false;

  constructor(watch: RequestWatch) {
    this.#watch = watch;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get isOver(): boolean {
    return this.signal.aborted;
  }

  /** It is to be worked on no more: its signal fires with this error. */
  end(error: Error): void {
    this.#controller.abort(error);
  }

  /** What is said of it from now on comes too late. */
  answered(): void {
    this.#answered = true;
  }

  progress(progress: Progress): void {
    if (this.isOver || this.#answered) return;
    const fitting = fittingProgress(progress);
    this.progressed.push(fitting);
    this.#watch.onProgress(fitting);
  }

  /** @throws {MlmError} see ServiceRequest.emit */
  emit(body: unknown): void {
    const part = bodyOf(encodeBody(body));
    this.signal.throwIfAborted();
    if (this.#answered) {
      throw new MlmError('CLOSED', 'the request was answered: nothing more can be emitted');
    }
    this.partials.push(part);
    this.#watch.onPartial(part);
  }

  emitPart(body: unknown): Promise<void> {
    this.emit(body);
    return Promise.resolve();
  }

  extend(): void {
    if (!this.isOver && !this.#answered) this.extended++;
  }
}

/** A body as whoever receives it reads it. */
export function bodyOf(content: Buffer[]): Body {
  return new Body(new Message('', '', content));
}
