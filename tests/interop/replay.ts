// Replays a recorded transcript with raw sockets against a broker and reports
// the first difference. Frames must be the recorded ones octet by octet; only
// the text of a status reason is free. It uses neither the SDK nor the codec:
// what it compares is bytes.
import { setTimeout as sleep } from 'node:timers/promises';
import { Dealer } from 'zeromq';
import { fromHex, type RecordedFields, type TranscriptStep } from '../support/vectors.js';

const ANSWER_WAIT_MS = 30_000;
/** What the transcripts were recorded with: `null` says nothing came within this time. */
const SILENCE_MS = 400;

/** OK and ERROR: signature, number, status code; then the reason, which is free. */
const STATUS_ID = /^aaa80[ef]/;
const REASON_AT = 5;

/** A step, with what our own expectations may add to the recorded form. */
export interface Step extends TranscriptStep {
  /** What the status reason must name. */
  reason_names?: string[];
}

/**
 * Plays all steps in order; each client letter is one DEALER socket. After the last step,
 * nothing more may come to any client.
 *
 * @throws {Error} at the first difference, saying at which step
 */
export async function replay(endpoint: string, steps: readonly Step[]): Promise<void> {
  const clients = new Map<string, Dealer>();
  try {
    for (const [index, step] of steps.entries()) {
      const where = `step ${index}, client ${step.client}`;
      const client = clients.get(step.client) ?? dealer(endpoint);
      clients.set(step.client, client);
      if (step.send) await client.send(fromHex(step.send));
      else if (step.receive) await expectFrames(client, step, where);
      else await expectNothing(client, SILENCE_MS, where);
    }
    await sleep(SILENCE_MS);
    for (const [letter, client] of clients) {
      await expectNothing(client, 0, `after the last step, client ${letter}`);
    }
  } finally {
    for (const client of clients.values()) client.close();
  }
}

function dealer(endpoint: string): Dealer {
  const client = new Dealer({ linger: 0 });
  client.connect(endpoint);
  return client;
}

async function expectNothing(client: Dealer, waitMs: number, where: string): Promise<void> {
  const frames = await receive(client, waitMs);
  if (frames) throw new Error(`${where}: came ${frames.join(' ')} where nothing should come`);
}

async function expectFrames(client: Dealer, step: Step, where: string): Promise<void> {
  const recorded = step.receive ?? [];
  const frames = await receive(client, ANSWER_WAIT_MS);
  if (!frames) throw new Error(`${where}: nothing came instead of ${described(step.decoded)}`);
  const same = STATUS_ID.test(recorded[0] ?? '')
    ? sameStatus(frames, recorded)
    : frames.join(' ') === recorded.join(' ');
  if (!same) {
    const expected = `${recorded.join(' ')} (${described(step.decoded)})`;
    throw new Error(`${where}: came ${frames.join(' ')}, not ${expected}`);
  }
  for (const name of step.reason_names ?? []) {
    const reason = fromHex(frames)[0]!.toString('utf8', REASON_AT + 1);
    if (!reason.includes(name)) throw new Error(`${where}: the reason "${reason}" lacks ${name}`);
  }
}

/** One frame, the same command and status code, one well-formed reason and nothing after it. */
function sameStatus(frames: string[], recorded: string[]): boolean {
  const [came, ...rest] = fromHex(frames);
  const [expected] = fromHex(recorded);
  if (!came || !expected || rest.length > 0 || came.length <= REASON_AT) return false;
  const reasonEnd = REASON_AT + 1 + came.readUInt8(REASON_AT);
  return (
    came.subarray(0, REASON_AT).equals(expected.subarray(0, REASON_AT)) && came.length === reasonEnd
  );
}

/** The frames of the next message in hex, or undefined where none comes in time. */
async function receive(client: Dealer, waitMs: number): Promise<string[] | undefined> {
  client.receiveTimeout = waitMs;
  try {
    return (await client.receive()).map((frame) => frame.toString('hex'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined;
    throw error;
  }
}

function described(decoded: (RecordedFields & { message: string }) | undefined): string {
  return JSON.stringify(decoded);
}
