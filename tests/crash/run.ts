// The crash run: everybody at full speed while the broker is killed again and
// again at random moments, and stopped; and its clients likewise. Then a quiet
// end, and the books are handed over; they are judged in audit.ts.
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import { decode } from '@msgpack/msgpack';
import { BlockReader } from '../../protocol/index.js';
import { NativeClient } from '../support/native-client.js';
import type { Child } from '../support/processes.js';
import {
  insistentWriter,
  jobMaker,
  mailReceiver,
  mailSender,
  play,
  reader,
  requester,
  worker,
  writer,
  type Stage,
} from './actors.js';
import { lastingPort, startBroker, TIMEOUT_MS } from './broker.js';
import { newLedger, type Ledger } from './ledger.js';
import { isNothing, leftOver, type LeftOver } from './left-over.js';
import { Troupe } from './troupe.js';

export interface CrashOptions {
  /** How long brokers and clients are killed and stopped. */
  readonly seconds: number;
  /** A folder for the data, the ready files and the journals. */
  readonly folder: string;
  /** How long the quiet end may take, ms. */
  readonly endMs: number;
}

/** A message of a stream, without its body. */
export interface Logged {
  readonly sequence: number;
  readonly subject: string;
}

export interface CrashReport {
  readonly brokerKills: number;
  readonly brokerStops: number;
  readonly clientKills: number;
  readonly clientStops: number;
  readonly ledger: Ledger;
  /** The stream as it lies in the log at the end. */
  readonly log: readonly Logged[];
  /** What happened to each job, in order, by its id. */
  readonly jobs: ReadonlyMap<string, readonly string[]>;
  readonly left: LeftOver;
}

/** How long a process is stopped: longer than its peer waits for it. */
const STOP_MS = 1.6 * TIMEOUT_MS;
/** How long they go on sending after the last strike. */
const QUIET_AFTER_MS = 1000;
const QUIET_MS_MAX = 120_000;
const ANSWER_MS = 60_000;
const ASK_AGAIN_MS = 300;
/** Turns: clients alone die, the broker alone dies, both. */
const TURN_MS = 5000;
const CLIENTS_ALONE = 0;
const BROKER_ALONE = 1;
const TURNS = 3;
/** A writer's pause is longer where the run is: what is read in the end must fit into memory. */
const BATCH_MS_MIN = 8;
const BATCH_MS_PER_SECOND = 1 / 15;
const AUDITOR = 'auditor';
/** How long those who were killed may take to be gone. */
const GONE_MS = 10_000;

/** @throws {Error} saying what was under way when it took too long */
export async function crash({ seconds, folder, endMs }: CrashOptions): Promise<CrashReport> {
  const run = new Run(`tcp://127.0.0.1:${await lastingPort()}`, folder, seconds);
  const limitMs = seconds * 1000 + endMs;
  const playing = playToTheEnd(run);
  const report = await Promise.race([playing, pause(limitMs, undefined, { ref: false })]);
  if (report !== undefined) return report;
  const { phase } = run;
  await run.abandon();
  // Whoever was opening a session, or pausing, notices a little later.
  const over = playing.catch(() => undefined);
  await Promise.race([over, pause(GONE_MS, undefined, { ref: false })]);
  throw new Error(`after ${limitMs} ms: still ${phase}`);
}

async function playToTheEnd(run: Run): Promise<CrashReport> {
  try {
    return await run.play();
  } finally {
    await run.end();
  }
}

class Run {
  /** What is under way. */
  phase = 'starting the broker';
  readonly #endpoint: string;
  readonly #folder: string;
  readonly #seconds: number;
  readonly #ledger = newLedger();
  readonly #stage: Stage;
  #actors: Promise<void>[] = [];
  /** Actors of this process that still have something to send, or wait for the answer. */
  #senders = 0;
  #broker: Child | undefined;
  #troupe: Troupe | undefined;
  #abandoned = false;
  #brokerKills = 0;
  #brokerStops = 0;

  constructor(endpoint: string, folder: string, seconds: number) {
    this.#endpoint = endpoint;
    this.#folder = folder;
    this.#seconds = seconds;
    this.#stage = {
      endpoint,
      ledger: this.#ledger,
      batchMs: Math.max(BATCH_MS_MIN, seconds * BATCH_MS_PER_SECOND),
      sending: true,
      running: true,
      open: new Set(),
    };
  }

  async play(): Promise<CrashReport> {
    await this.#startBroker();
    // It may have come while all was being given up: nobody else is to be born.
    this.#checkGoesOn();
    const troupe = (this.#troupe = new Troupe(this.#endpoint, this.#folder));
    this.#actors = cast().map(([address, role]) => this.#act(address, role));
    const endsAtMs = performance.now() + this.#seconds * 1000;
    this.phase = 'killing and stopping';
    await Promise.all([this.#killBrokers(endsAtMs), this.#killClients(troupe, endsAtMs)]);
    // A broker that starts afresh finds again what it forgot to take back: this one goes on.
    this.phase = 'striking all at once';
    await troupe.strikeAll(STOP_MS);
    this.#cutAll();
    await pause(QUIET_AFTER_MS);
    this.#stage.sending = false;
    troupe.quiet();
    this.phase = 'waiting until nothing is left';
    const left = await this.#untilQuiet(troupe);
    this.phase = 'reading the log';
    const log = await this.#readStream('events', ({ sequence, subject }) => ({
      sequence,
      subject,
    }));
    this.phase = 'reading what happened to the jobs';
    const jobs = await this.#readJobs();
    this.phase = 'ending the clients';
    await troupe.end();
    this.phase = 'reading the journals';
    troupe.addJournals(this.#ledger);
    this.#ledger.faults.push(...troupe.endedByThemselves.map((who) => `${who}, by itself`));
    return {
      brokerKills: this.#brokerKills,
      brokerStops: this.#brokerStops,
      clientKills: troupe.kills,
      clientStops: troupe.stops,
      ledger: this.#ledger,
      log,
      jobs,
      left,
    };
  }

  async end(): Promise<void> {
    this.#stage.sending = false;
    this.#stage.running = false;
    this.#cutAll();
    this.phase += ', or sending the actors home';
    await Promise.all(this.#actors);
    this.phase += ', or ending clients and broker';
    await this.#troupe?.end();
    await this.#broker?.stop();
  }

  /** Kills whoever is left, also where they are stopped: what is under way comes to nothing. */
  async abandon(): Promise<void> {
    this.#abandoned = true;
    this.#stage.sending = false;
    this.#stage.running = false;
    this.#cutAll();
    this.#broker?.signal('SIGKILL');
    const gone = Promise.all([this.#troupe?.end(), this.#broker?.ended]);
    await Promise.race([gone, pause(GONE_MS, undefined, { ref: false })]);
  }

  async #act(address: string, role: Role): Promise<void> {
    const isSender = !CAST_AT_THE_END.includes(address);
    if (isSender) this.#senders++;
    await play(this.#stage, address, role);
    if (isSender) this.#senders--;
  }

  #checkGoesOn(): void {
    if (this.#abandoned) throw new Error('abandoned');
  }

  async #startBroker(): Promise<void> {
    this.#checkGoesOn();
    await startBroker(this.#endpoint, this.#folder, (broker) => (this.#broker = broker));
  }

  /** At least once, however short the run is. */
  async #killBrokers(endsAtMs: number): Promise<void> {
    for (let turn = 0; turn === 0 || this.#goesOn(endsAtMs);) {
      await pause(200 + Math.random() * 1500);
      if (turn > 0 && turnAt(endsAtMs) === CLIENTS_ALONE) continue;
      if (turn++ % 5 === 0) await this.#stopBroker();
      await this.#killBroker();
    }
  }

  #goesOn(endsAtMs: number): boolean {
    return !this.#abandoned && performance.now() < endsAtMs;
  }

  /** Those in this process vanish, without a word. */
  #cutAll(): void {
    for (const client of [...this.#stage.open]) client.close();
  }

  /** Stops the process for longer than its clients wait for it, and it for them. */
  async #stopBroker(): Promise<void> {
    this.#brokerStops++;
    this.#broker?.signal('SIGSTOP');
    await pause(STOP_MS);
    this.#broker?.signal('SIGCONT');
    await pause(500);
  }

  async #killBroker(): Promise<void> {
    this.#broker?.signal('SIGKILL');
    await this.#broker?.ended;
    this.#brokerKills++;
    this.#cutAll();
    await this.#startBroker();
  }

  async #killClients(troupe: Troupe, endsAtMs: number): Promise<void> {
    for (let number = 1; this.#goesOn(endsAtMs); number++) {
      await pause(300 + Math.random() * 900);
      if (turnAt(endsAtMs) === BROKER_ALONE) continue;
      if (number % 3 === 0) troupe.stopOne(STOP_MS);
      else await troupe.killOne();
    }
  }

  /** Waits until nothing is left, or long enough to say that something will be for ever. */
  async #untilQuiet(troupe: Troupe): Promise<LeftOver> {
    const expected = [...CAST_AT_THE_END, ...troupe.addresses];
    const endsAtMs = performance.now() + QUIET_MS_MAX;
    for (;;) {
      const left = await this.#ask((client) => {
        // Looked at first: who has finished by now has left nothing that comes later.
        return leftOver(client, expected, this.#senders > 0 || !troupe.finished);
      });
      if (isNothing(left) || performance.now() > endsAtMs) return left;
      await pause(300);
    }
  }

  async #readJobs(): Promise<Map<string, string[]>> {
    const jobs = new Map<string, string[]>();
    const events = await this.#readStream('$jobs', (message) => ({
      id: message.subject.slice(message.subject.indexOf('/') + 1),
      event: (decode(message.content()[0] as Buffer) as { event: string }).event,
    }));
    for (const { id, event } of events) jobs.set(id, [...(jobs.get(id) ?? []), event]);
    return jobs;
  }

  /** A whole stream, from the log. */
  #readStream<T>(stream: string, take: (message: BlockReader) => T): Promise<T[]> {
    return this.#ask(async (client) => {
      const { lastSequence } = await client.ask<{ lastSequence: number }>('stream.info', {
        stream,
      });
      await client.ask('read', { stream, from: 'earliest', credit: 2 ** 31 });
      const messages: T[] = [];
      for (let reached = 0; reached < lastSequence;) {
        const block = new BlockReader((await client.next('STREAM DELIVER')).sections);
        // Much comes at once, and everybody here has to say in between that it is alive.
        await turn();
        while (block.next()) {
          messages.push(take(block));
          reached = block.sequence;
        }
      }
      return messages;
    });
  }

  /**
   * Asks in a session of its own; again where the broker took it for dead meanwhile: this process
   * may have stood still.
   *
   * @throws {Error} where the answer takes too long
   */
  async #ask<T>(question: (client: NativeClient) => Promise<T>): Promise<T> {
    const endsAtMs = performance.now() + ANSWER_MS;
    for (;;) {
      try {
        return await this.#askOnce(question);
      } catch (error) {
        if (this.#abandoned || performance.now() > endsAtMs) throw error;
      }
      await pause(ASK_AGAIN_MS);
    }
  }

  async #askOnce<T>(question: (client: NativeClient) => Promise<T>): Promise<T> {
    const client = await NativeClient.open(this.#endpoint, AUDITOR, ANSWER_MS);
    const ping = setInterval(() => {
      client.send({ name: 'PING' }).catch(() => undefined);
    }, TIMEOUT_MS / 5);
    const giveUp = setTimeout(() => client.close(), ANSWER_MS);
    try {
      return await question(client);
    } finally {
      clearInterval(ping);
      clearTimeout(giveUp);
      client.close();
    }
  }
}

/** Those of the cast who still have something to do when nobody sends any more. */
const CAST_AT_THE_END = ['reader', 'box', 'worker-1', 'worker-2'];

type Role = Parameters<typeof play>[2];

function cast(): [address: string, role: Role][] {
  return [
    ['writer-1', writer('w1')],
    ['writer-2', writer('w2')],
    ['insistent', insistentWriter('i1')],
    ['reader', reader('bare-reader')],
    ['mailer', mailSender('m1')],
    ['box', mailReceiver],
    ['', requester('r1')],
    ['job-maker', jobMaker('j1')],
    ['worker-1', worker],
    ['worker-2', worker],
  ];
}

/** Which turn it is, counted from the end. */
function turnAt(endsAtMs: number): number {
  return Math.floor(Math.max(0, endsAtMs - performance.now()) / TURN_MS) % TURNS;
}
