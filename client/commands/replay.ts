// `mlm replay`: sends a recorded stream again, message by message, as fast as it
// was recorded, faster or slower. The form of recordings is not its business.
import { setTimeout as sleep } from 'node:timers/promises';
import { compilePattern } from '../../protocol/index.js';
import { MlmError, type MlmClient, type Stream } from '../index.js';
import { BROKER_OPTIONS, oneText, type BrokerArguments } from './shared/arguments.js';
import type { Command, Context } from './shared/command.js';
import { CommandError, usageError } from './shared/failure.js';
import { checkPattern } from './shared/pattern.js';
import { Rate } from './shared/progress.js';
import type { RecordedLine, RecordingFile } from './shared/recording-file.js';
import { untilRead, withClient } from './shared/session.js';
import { count } from './shared/units.js';

interface ReplayArguments extends BrokerArguments {
  readonly file: string;
  readonly stream?: string;
  readonly speed?: number;
  readonly pattern?: string;
}

const SLEEP_MS_MAX = 2 ** 31 - 1;

export const replayCommand: Command<ReplayArguments> = {
  name: 'replay',
  takes: '<file> [stream]',
  about: 'Send a recorded stream again',
  details:
    'It sends the messages of a file that "mlm tail --record" wrote: their subjects and their bodies,\n' +
    'byte for byte, in their order. The sender is who replays, sequences and times are new.',
  examples: [
    ['weather.rec', 'to the stream that was recorded, as fast as it was'],
    ['weather.rec test --speed max', 'to the stream test, as fast as the broker accepts it'],
    ["weather.rec --speed 10 --pattern '^temp'", 'ten times as fast, some subjects only'],
  ],
  positionals: {
    file: 'the recording',
    stream: 'where to send it; the stream that was recorded unless said',
  },
  options: {
    speed: {
      ...oneText('speed', speedOf),
      describe: 'so many times as fast as recorded, as 2 or 0.5; max for no pauses; 1 unless said',
    },
    pattern: {
      ...oneText('pattern'),
      describe: 'send only subjects that match: a regular expression, searched',
    },
    ...BROKER_OPTIONS,
  },
  run: async (given, context) => {
    const { file, pattern = '' } = given;
    checkPattern(pattern);
    // What checks the format is large, and no other command needs it.
    const { RecordingFile } = await import('./shared/recording-file.js');
    const recording = await RecordingFile.open(file);
    try {
      const header = await recording.header();
      const stream = given.stream ?? header.stream;
      await withClient('replay', given, context, { kind: 'once' }, async (client) => {
        const replay = new Replay(client, stream, recording, context);
        await replay.run(given.speed ?? 1, pattern);
      });
    } finally {
      context.progress.stop();
      await recording.close();
    }
  },
};

/** @throws {CommandError} */
function speedOf(text: string): number {
  if (text === 'max') return Infinity;
  const speed = /^\d*\.?\d+$/.test(text) ? Number(text) : 0;
  if (speed > 0 && speed < Infinity) return speed;
  throw usageError(`--speed takes a number above 0, as 2 or 0.5, or max; not "${text}"`);
}

/** One sending of a recording. */
class Replay {
  readonly #client: MlmClient;
  readonly #stream: Stream;
  readonly #recording: RecordingFile;
  readonly #context: Context;
  #sent = 0;
  /** Octets of the file that were read. */
  #bytes = 0;
  /** What became of the message that was sent last. */
  #last: Promise<void> = Promise.resolve();
  /** The first message that was not accepted, and why. */
  #refused: { readonly line: number; readonly error: Error } | undefined;

  constructor(client: MlmClient, stream: string, recording: RecordingFile, context: Context) {
    this.#client = client;
    this.#stream = client.stream(stream);
    this.#recording = recording;
    this.#context = context;
  }

  /** @throws {CommandError} naming the line that is wrong, and how many messages were sent */
  async run(speed: number, pattern: string): Promise<void> {
    const { hint, warn, progress } = this.#context;
    const recording = this.#recording;
    const rate = new Rate(() => this.#sent);
    progress.start({
      total: await recording.size(),
      done: () => this.#bytes,
      text: () => `${count(this.#sent, 'message')}, ${rate.text()}`,
    });
    try {
      await this.#sendAll(speed, pattern);
      await this.#accepted();
    } catch (error) {
      await this.#accepted().catch(() => undefined);
      throw this.#explain(error);
    }
    progress.stop();
    if (!recording.isWhole) {
      warn(`${recording.path} has no end: the recording was broken off`);
    }
    hint(`sent ${count(this.#sent, 'message')} to the stream "${this.#stream.name}"`);
  }

  async #sendAll(speed: number, pattern: string): Promise<void> {
    const { signal } = this.#context;
    const wanted = compilePattern(pattern);
    const pace = new Pace(speed, signal);
    for await (const recorded of this.#recording.messages()) {
      const { message, bytes } = recorded;
      if (wanted.matches(message.subject)) {
        await pace.wait(message.timeMs);
        if (signal.aborted) throw new MlmError('ABORTED', 'replaying was aborted');
        await this.#send(recorded);
      }
      this.#bytes = bytes;
    }
  }

  async #send({ line, message }: RecordedLine): Promise<void> {
    await this.#stream.ready();
    if (this.#refused !== undefined) throw this.#refused.error;
    const { subject, frames } = message;
    this.#last = this.#stream.send(subject, frames.length === 0 ? undefined : frames).then(
      () => {
        this.#sent++;
      },
      (error: unknown) => {
        this.#refused ??= { line, error: error as Error };
      },
    );
  }

  /** Waits until the broker has all that was sent. */
  async #accepted(): Promise<void> {
    // What is sent is answered in its order.
    await this.#last;
    await untilRead(this.#client, this.#context.signal);
    if (this.#refused !== undefined) throw this.#refused.error;
  }

  #explain(error: unknown): unknown {
    const sent = `sent before: ${count(this.#sent, 'message')}`;
    if (error instanceof MlmError && error.code === 'ABORTED') {
      this.#context.warn(`ended early; ${sent}`);
      return error;
    }
    if (!(error instanceof CommandError || error instanceof MlmError)) return error;
    const where =
      this.#refused?.error === error ? `${this.#recording.path}, line ${this.#refused.line}: ` : '';
    return new CommandError(`${where}${error.message}; ${sent}`, undefined, error);
  }
}

/** When each message is to be sent. */
class Pace {
  readonly #speed: number;
  readonly #signal: AbortSignal;
  /** What lies between the clock of the recording and ours. */
  #start: { readonly recordedMs: number; readonly atMs: number } | undefined;

  constructor(speed: number, signal: AbortSignal) {
    this.#speed = speed;
    this.#signal = signal;
  }

  /** Waits until it is time for what was recorded at `timeMs`, or the user ends it. */
  async wait(timeMs: number): Promise<void> {
    this.#start ??= { recordedMs: timeMs, atMs: performance.now() };
    const { recordedMs, atMs } = this.#start;
    const dueMs = atMs + (timeMs - recordedMs) / this.#speed;
    for (;;) {
      const restMs = dueMs - performance.now();
      if (restMs < 1 || this.#signal.aborted) return;
      const slept = sleep(Math.min(restMs, SLEEP_MS_MAX), undefined, { signal: this.#signal });
      await slept.catch(() => undefined);
    }
  }
}
