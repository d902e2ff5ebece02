// What a session has told the broker about itself and must tell again when it
// is opened anew: the streams it reads and the services it offers, in order.
// STREAM WRITE is not among them: the wire repeats it before the next message.
import type { Command } from '../protocol/index.js';
import { ignore, type MlmError } from './errors.js';
import type { Answer, Wire } from './wire.js';

export type DeclaringCommand = Command<'STREAM READ' | 'SERVICE OFFER'>;

/** One thing declared. It is the answer to its own command, as often as that is sent. */
export class Declaration implements Answer {
  readonly command: DeclaringCommand;
  /** Resolves when the broker has accepted it for the first time. */
  readonly ready: Promise<void>;
  readonly #onRefused: (declaration: Declaration, error: MlmError) => void;
  #accepted = false;
  #resolve: () => void = ignore;
  #reject: (error: MlmError) => void = ignore;

  constructor(
    command: DeclaringCommand,
    onRefused: (declaration: Declaration, error: MlmError) => void,
  ) {
    this.command = command;
    this.#onRefused = onRefused;
    this.ready = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.ready.catch(ignore);
  }

  /** True once the broker has accepted it. */
  get isAccepted(): boolean {
    return this.#accepted;
  }

  accepted(): void {
    this.#accepted = true;
    this.#resolve();
  }

  refused(error: MlmError): boolean {
    this.fail(error);
    this.#onRefused(this, error);
    return true;
  }

  /** It will not be accepted any more. Changes nothing where it was. */
  fail(error: MlmError): void {
    this.#reject(error);
  }
}

export class Declarations {
  readonly #all = new Set<Declaration>();

  /**
   * Makes a declaration, which is repeated in each new session until `remove`.
   *
   * @param onRefused told when the broker refuses it, at first or later; it is
   *   not repeated after that
   */
  add(command: DeclaringCommand, onRefused: (error: MlmError) => void): Declaration {
    const declaration = new Declaration(command, (refused, error) => {
      this.#all.delete(refused);
      onRefused(error);
    });
    this.#all.add(declaration);
    return declaration;
  }

  remove(declaration: Declaration): void {
    this.#all.delete(declaration);
  }

  /** Sends all of them, in the order in which they were made. */
  replay(wire: Wire): void {
    for (const declaration of this.#all) wire.control(declaration.command, declaration);
  }

  /** There will be no session any more. */
  fail(error: MlmError): void {
    for (const declaration of this.#all) declaration.fail(error);
    this.#all.clear();
  }
}
