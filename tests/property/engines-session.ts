// One client of the property test of the engines, native or of MLM/1: what it
// asked for and what it holds. It tells the models what its socket was given, in
// the moment in which the broker hands it over; it judges nothing.
import { decode, type Command } from '../../protocol/index.js';
import { isBatch } from '../../protocol/index.js';
import {
  commandsOf,
  FakeNativePeer,
  type Asked,
  type Said,
  type SaidBy,
} from '../support/fake-native-peer.js';
import { readWorkerError } from '../../client/worker-error.js';
import type { World } from '../support/broker-world.js';
import type { FakePeer } from '../support/fake-transport.js';
import { messagesOf } from '../support/native-client.js';
import { open } from '../support/v1-commands.js';
import type { KeptModel, Message, Party, Span } from './engines-kept.js';
import {
  Reading,
  type ReadingFields,
  type StreamModel,
  type StreamSent,
} from './engines-streams.js';

/** What it tells, and to whom. */
export interface Models {
  readonly kept: KeptModel;
  readonly streams: StreamModel;
  fault(what: string): void;
  /** The time now, ms since 1970. */
  nowMs(): number;
  /** When what is seen now may have happened. */
  span(): Span;
  /** True where no commit has failed for as long as anything was under way. */
  clean(): boolean;
  /** The broker has answered OPEN, or CLOSE. */
  answered(session: Session): void;
}

/** A delivery, as it was given. */
export interface Delivery {
  readonly message: Message;
  readonly delivery: number;
  readonly epoch: number;
}

/** What a worker offered, until it is withdrawn. */
export interface Terms {
  readonly patterns: Set<string>;
  capacity: number;
}

type Sending = { readonly message: Message } | { readonly streamed: StreamSent };

export class Session implements Party {
  readonly address: string;
  readonly native: boolean;
  leaving = false;
  ended = false;
  isDeaf = false;
  /** True once the broker has answered its OPEN. */
  opened = false;
  readonly peer: FakePeer;
  /** What it holds, by delivery number. */
  readonly held = new Map<number, Delivery>();
  /** Deliveries that it has confirmed. */
  readonly confirmed: Delivery[] = [];
  /** Mail that it may still be given; native only. */
  mailCredit = 0;
  readonly offers = new Map<string, Terms>();
  /** What it writes to, by stream: its handle; of MLM/1, 0. */
  readonly writes = new Map<string, number>();
  readonly readings = new Map<string | number, Reading>();
  readonly #native: FakeNativePeer | undefined;
  readonly #models: Models;
  readonly #sendings = new Map<number, Sending>();
  readonly #answers = new Map<number, (result: SaidBy<'RESULT'>) => void>();
  #accepted = 0;

  constructor(world: World, address: string, native: boolean, models: Models) {
    this.address = address;
    this.native = native;
    this.#models = models;
    if (native) {
      this.#native = new FakeNativePeer(world, address);
      this.peer = this.#native.peer;
    } else {
      this.peer = world.network.connect();
      this.peer.send(open(address));
    }
  }

  /** Says something in MLM/1. */
  say(...commands: Command[]): void {
    this.peer.send(...commands);
  }

  /** Says something in a native session, in one batch. */
  ask(...commands: Asked[]): void {
    this.#native?.send(...commands);
  }

  /** Asks a question. @param then told of the answer, which must be 200 */
  call(method: string, given: Record<string, unknown>, then: (value: unknown) => void): void {
    const call = this.#native?.call(method, given) ?? 0;
    this.#answers.set(call, ({ statusCode, statusReason, value }) => {
      if (statusCode === 200) then(value);
      else this.#models.fault(`${method} was refused: ${statusReason}`);
    });
  }

  /** Sends mail or requests, each of which the model knows. */
  send(
    sendings: readonly { readonly message: Message; readonly command: Asked | Command }[],
  ): void {
    if (this.#native === undefined) {
      this.say(...sendings.map(({ command }) => command as Command));
      return;
    }
    let number = this.#native.sendings;
    for (const { message } of sendings) this.#sendings.set(++number, { message });
    this.ask(...sendings.map(({ command }) => command as Asked));
  }

  /** Writes to a stream, as a native session. */
  publish(handle: number, sent: readonly StreamSent[], padding: string): void {
    const first = this.#native?.sendToStream(
      handle,
      sent.map(({ subject, id }) => [subject, `${id} ${padding}`]),
    );
    for (const [at, streamed] of sent.entries()) {
      this.#sendings.set((first ?? 0) + at, { streamed });
    }
  }

  /** Opens a native reader. */
  read(fields: ReadingFields, from: unknown, credit: number): void {
    const { stream, pattern, own, cursor } = fields;
    const given = { stream, pattern: pattern.source, from, credit, own };
    const asked = cursor === undefined ? given : { ...given, cursor };
    const reading = new Reading(fields, credit);
    this.call('read', pattern.source === '(?:)' ? { ...asked, pattern: '' } : asked, (value) => {
      const { handle, from: first } = value as { handle: number; from: number };
      this.readings.set(handle, reading);
      this.#models.streams.begin(reading, first);
    });
  }

  /** Its socket was given something. */
  take(frames: Buffer[]): void {
    if (isBatch(frames[0])) for (const said of commandsOf(frames)) this.#takeNative(said);
    else this.#takeV1(decode(frames));
  }

  #takeV1(command: Command): void {
    const { kept, streams } = this.#models;
    switch (command.name) {
      case 'OK':
        if (this.opened && !this.leaving) return;
        this.opened = true;
        this.#models.answered(this);
        return;
      case 'MAILBOX DELIVER':
      case 'SERVICE DELIVER': {
        if (readWorkerError(command.sender, command.content) !== undefined) {
          this.#gaveUp(this.#known(command.tracker));
          return;
        }
        const message = this.#known(command.tracker);
        if (message !== undefined) kept.given(message, this, undefined, this.#models.span());
        return;
      }
      case 'STREAM DELIVER': {
        const reading = this.readings.get(command.address);
        const id = idOf(command.content[0]?.toString());
        if (reading === undefined) this.#models.fault(`${id} of a stream that it does not read`);
        else streams.givenV1(reading, id);
        return;
      }
      case 'CONFIRM':
        this.#told(command.tracker, command.statusCode);
        return;
      default:
        this.#models.fault(`${this.address} was told ${JSON.stringify(command)}`);
    }
  }

  #takeNative(said: Said): void {
    const { streams } = this.#models;
    switch (said.name) {
      case 'RESULT':
        this.#answers.get(said.call)?.(said);
        this.#answers.delete(said.call);
        return;
      case 'STORED':
        for (let n = 0; n < said.count; n++) this.#settle(said.first + n, said.sequence + n);
        return;
      case 'REFUSED':
        for (let n = 0; n < said.count; n++) this.#refuse(said.first + n);
        return;
      case 'ACCEPTED':
        if (said.upTo <= this.#accepted) this.#models.fault(`ACCEPTED ${said.upTo} twice`);
        for (let n = this.#accepted + 1; n <= said.upTo; n++) this.#settle(n);
        this.#accepted = said.upTo;
        return;
      case 'MAILBOX DELIVER':
        if (this.mailCredit-- <= 0)
          this.#models.fault(`mail for ${this.address} beyond its credit`);
        this.#hold(said);
        return;
      case 'SERVICE DELIVER':
        this.#checkOffer(said);
        this.#hold(said);
        return;
      case 'STREAM DELIVER': {
        const reading = this.readings.get(said.handle);
        // What was on its way when it was cancelled.
        if (reading === undefined || reading.over) return;
        for (const { content, subject, sender, sequence } of messagesOf(said.sections)) {
          streams.given(reading, idOf(content[0]), subject, sender, sequence);
        }
        return;
      }
      case 'GAP': {
        const reading = this.readings.get(said.handle);
        if (reading !== undefined) streams.missed(reading, said.first, said.last);
        return;
      }
      case 'CONFIRM':
        this.#told(said.tracker, said.statusCode);
        return;
      case 'PONG':
        // Said unasked as well, to find out who is not there any more.
        return;
      default:
        this.#models.fault(`${this.address} was told ${said.name}`);
    }
  }

  #known(tracker: string): Message | undefined {
    const message = this.#models.kept.get(tracker);
    if (message === undefined) this.#models.fault(`${tracker} was never sent`);
    return message;
  }

  #hold(said: SaidBy<'MAILBOX DELIVER'> | SaidBy<'SERVICE DELIVER'>): void {
    const { delivery, epoch, tracker, attempt } = said;
    const message = this.#known(tracker);
    if (message === undefined) return;
    this.#models.kept.given(message, this, attempt, this.#models.span());
    this.held.set(delivery, { message, delivery, epoch });
  }

  #checkOffer({ address, subject, tracker }: SaidBy<'SERVICE DELIVER'>): void {
    const terms = this.offers.get(address);
    const matches = [...(terms?.patterns ?? [])].some((pattern) =>
      new RegExp(pattern).test(subject),
    );
    if (!matches) this.#models.fault(`${tracker} came to ${this.address}, which does not do it`);
    let held = 0;
    for (const { message } of this.held.values()) if (message.fields.queue.name === address) held++;
    if (held >= (terms?.capacity ?? 0)) {
      this.#models.fault(`${tracker} came to ${this.address}, which held ${held} already`);
    }
  }

  /** A sending is accepted. */
  #settle(number: number, sequence?: number): void {
    const sending = this.#sendings.get(number);
    this.#sendings.delete(number);
    if (sending === undefined) return;
    if ('message' in sending) this.#models.kept.accepted(sending.message);
    else this.#models.streams.stored(sending.streamed, sequence);
  }

  #refuse(number: number): void {
    const sending = this.#sendings.get(number);
    this.#sendings.delete(number);
    if (sending === undefined) this.#models.fault(`sending ${number} has two fates`);
    else if ('message' in sending) this.#models.kept.refused(sending.message, this.#models.clean());
    else this.#models.streams.refused(sending.streamed);
  }

  /** A sender is told what became of a message. */
  #told(tracker: string, statusCode: number): void {
    const message = this.#known(tracker);
    if (message === undefined) return;
    const { kept } = this.#models;
    const { state, fields } = message;
    if (statusCode === 408) kept.expired(message, this.#models.nowMs());
    else if (statusCode === 200) {
      if (state !== 'done') this.#models.fault(`${tracker} was confirmed, and is ${state}`);
    } else if (state === 'sent' && !fields.sender.native) {
      kept.refused(message, this.#models.clean());
    } else this.#gaveUp(message);
  }

  /** A sender is told that a message failed for good. */
  #gaveUp(message: Message | undefined): void {
    if (message === undefined) return;
    // It may have been the last attempt of one who is about to go.
    if (message.holder?.leaving === true) this.#models.kept.ended(message.holder);
    const { state, fields } = message;
    if (state !== 'dead' && state !== 'done' && this.#models.kept.unseenAttempts === 0) {
      this.#models.fault(`${fields.id} was given up, and is ${state}`);
    }
  }
}

function idOf(body = ''): string {
  return body.split(' ')[0] ?? '';
}
