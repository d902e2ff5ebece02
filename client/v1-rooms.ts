// The rooms of a client on MLM/1: brings each delivery to the room it is for.
import type { Command } from '../protocol/index.js';
import { closedError, notOnV1, type MlmError } from './errors.js';
import { Mailbox } from './mailbox.js';
import { Requests } from './requests.js';
import type { Room } from './room.js';
import type { JobVerbs, Rooms } from './rooms.js';
import { Services } from './services.js';
import type { Stream } from './stream.js';
import { Streams, V1Stream } from './v1-streams.js';
import type { Delivery } from './wire.js';

export class V1Rooms implements Rooms {
  readonly mailbox: Mailbox;
  readonly requests: Requests;
  readonly services: Services;
  readonly jobs: JobVerbs = {
    submit: () => Promise.reject(notOnV1('a job')),
    job: () => {
      throw notOnV1('a job');
    },
  };
  readonly #streams: Streams;
  readonly #room: Room;

  constructor(room: Room) {
    this.#room = room;
    this.#streams = new Streams(room);
    this.mailbox = new Mailbox(room);
    this.requests = new Requests(room);
    this.services = new Services(room);
  }

  stream(name: string): Stream {
    return new V1Stream(name, this.#streams);
  }

  call(method: string): Promise<unknown> {
    return Promise.reject(notOnV1(method));
  }

  flush(): Promise<void> {
    return this.#streams.settled();
  }

  deliver(delivery: Delivery): void {
    switch (delivery.name) {
      case 'STREAM DELIVER':
        this.#streams.deliver(delivery);
        break;
      case 'MAILBOX DELIVER':
        if (!this.requests.onMail(delivery)) this.mailbox.deliver(delivery);
        break;
      case 'SERVICE DELIVER':
        this.services.deliver(delivery);
        break;
      case 'CONFIRM':
        this.#confirmed(delivery);
        break;
    }
  }

  end(error: MlmError | undefined): void {
    const pending = error ?? closedError();
    this.services.stopAll();
    this.#streams.end(error);
    this.mailbox.end(error, pending);
    this.requests.end(pending);
  }

  #confirmed(confirm: Command<'CONFIRM'>): void {
    if (this.requests.onConfirm(confirm) || this.mailbox.onConfirm(confirm)) return;
    const { tracker, statusCode: status, statusReason: reason } = confirm;
    this.#room.events.emit('confirm', { tracker, status, reason });
  }
}
