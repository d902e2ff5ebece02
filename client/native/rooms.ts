// The rooms of a client in native sessions: brings each delivery to the room it
// is for.
import { STATUS, type NativeCommand } from '../../protocol/index.js';
import { closedError, MlmError } from '../errors.js';
import type { Room } from '../room.js';
import type { Rooms } from '../rooms.js';
import type { Stream } from '../stream.js';
import { HeldDelivery } from './held.js';
import { NativeJobs } from './jobs.js';
import { NativeMailbox } from './mailbox.js';
import { NativeRequests } from './requests.js';
import { NativeServices } from './services.js';
import type { NativeDelivery } from './session.js';
import { NativeStream, NativeStreams } from './streams.js';

export class NativeRooms implements Rooms {
  readonly mailbox: NativeMailbox;
  readonly requests: NativeRequests;
  readonly services: NativeServices;
  readonly jobs: NativeJobs;
  readonly #streams: NativeStreams;
  readonly #room: Room;

  constructor(room: Room) {
    this.#room = room;
    this.#streams = new NativeStreams(room);
    this.jobs = new NativeJobs(room, this.#streams);
    this.requests = new NativeRequests(room, this.jobs, () => this.mailbox.balance());
    this.mailbox = new NativeMailbox(room, () => this.requests.awaited);
    this.services = new NativeServices(room);
  }

  stream(name: string): Stream {
    return new NativeStream(name, this.#room, this.#streams);
  }

  call(method: string, given: Record<string, unknown>): Promise<unknown> {
    const { connection, native } = this.#room;
    if (connection.over !== undefined) return Promise.reject(connection.over);
    return new Promise((resolve, reject) => {
      const message = `the session was lost: whether ${method} was done is unknown`;
      native.call(method, given, {
        done: resolve,
        refused: reject,
        dropped: () => reject(new MlmError('DISCONNECTED', message)),
      });
    });
  }

  flush(): Promise<void> {
    const { connection, native } = this.#room;
    if (connection.over !== undefined) return Promise.reject(connection.over);
    return native.outbox.flushed();
  }

  deliver(delivery: NativeDelivery): void {
    switch (delivery.name) {
      case 'STREAM DELIVER':
      case 'GAP':
        this.#streams.deliver(delivery);
        break;
      case 'MAILBOX DELIVER':
        this.#mailCame(delivery);
        break;
      case 'SERVICE DELIVER':
        this.services.deliver(delivery);
        break;
      case 'REVOKED':
        this.services.revoked(delivery);
        break;
      case 'PROGRESSED':
        this.requests.onProgressed(delivery);
        break;
      case 'CONFIRM':
        this.#confirmed(delivery);
    }
  }

  end(error: MlmError | undefined): void {
    const pending = error ?? closedError();
    this.services.stopAll();
    this.services.end(pending);
    this.#streams.end(error);
    this.mailbox.end(error, pending);
    this.requests.end(pending);
    this.jobs.end(pending);
  }

  #mailCame(delivery: NativeCommand<'MAILBOX DELIVER'>): void {
    // The broker's own mail takes no credit.
    if (delivery.delivery !== 0) this.mailbox.came(delivery);
    const held = new HeldDelivery(this.#room.native, delivery);
    if (!this.requests.onMail(delivery)) {
      this.mailbox.deliver(delivery, held);
      return;
    }
    held.settle(STATUS.SUCCESS);
    this.mailbox.balance();
  }

  #confirmed(confirm: NativeCommand<'CONFIRM'>): void {
    if (this.requests.onConfirm(confirm) || this.mailbox.onConfirm(confirm)) return;
    const { tracker, statusCode: status, statusReason: reason } = confirm;
    this.#room.events.emit('confirm', { tracker, status, reason });
  }
}
