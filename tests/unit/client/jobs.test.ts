// Jobs as the SDK sees them: ids, patterns, what events say, and how those who
// wait get them, one by one or many together.
import { encode as pack } from '@msgpack/msgpack';
import type { MlmClient } from '../../../client/client.js';
import {
  JobIds,
  patternFor,
  readAnyJobEvent,
  readJobEvent,
  subjectOf,
} from '../../../client/jobs.js';
import { StreamMessage } from '../../../client/message.js';
import { BlockWriter, compilePattern, textBytes } from '../../../protocol/index.js';
import { settle } from './fakes.js';
import { NativeFakeBroker, Refusal } from './native-fakes.js';
import { failureOf } from '../../support/failure.js';

describe('ids', () => {
  it('sort by the time at which they were made, and are unlike each other', () => {
    const ids = new JobIds();
    const made = [5, 5, 5, 4, 6, 1_800_000_000_000].map((nowMs) => ids.next(nowMs));
    expect(made.toSorted()).toEqual(made);
    expect(new Set(made).size).toBe(made.length);
    for (const id of made) expect(id).toMatch(/^[0-9a-z]{12}-[0-9a-f]{12}$/);
  });

  it('go on sorting where more are made in a millisecond than it has room for', () => {
    const ids = new JobIds();
    let last = ids.next(7);
    for (let n = 0; n < 36 ** 3 + 10; n++) {
      const next = ids.next(7);
      if (next <= last) throw new Error(`${next} comes after ${last}`);
      last = next;
    }
  });
});

describe('a pattern', () => {
  it.each(['plain', 'a.b*c', 'x\\d+', '(a|b)', '^$', '[k]', 'q?', '{2}', 'ä ö/ü', '日本', 'a\nb'])(
    'matches the job %j and no other',
    (id) => {
      const subject = subjectOf({ service: 's.1', id });
      const pattern = compilePattern(patternFor(subject));
      expect(pattern.matches(subject)).toBe(true);
      expect(pattern.matches(`x${subject}`)).toBe(false);
      expect(pattern.matches(`${subject}x`)).toBe(false);
      expect(pattern.matches(subject.replace('s.1', 'sx1'))).toBe(false);
    },
  );

  it('matches all jobs of a service', () => {
    const pattern = compilePattern(patternFor('a.b/', { prefix: true }));
    const matched = ['a.b/1', 'a.b/', 'axb/1', 'a.bc/1', 'xa.b/1'].map((s) => pattern.matches(s));
    expect(matched).toEqual([true, true, false, false, false]);
  });

  it.each(['.', 'x', 'ä'])('is never longer than the wire has room for (%j)', (letter) => {
    const subject = subjectOf({ service: 's', id: letter.repeat(253 / textBytes(letter)) });
    const pattern = patternFor(subject);
    expect(textBytes(pattern)).toBeLessThanOrEqual(255);
    expect(compilePattern(pattern).matches(subject)).toBe(true);
  });
});

describe('an event', () => {
  const message = (subject: string, said: Record<string, unknown>): StreamMessage =>
    new StreamMessage('$jobs', '$broker', subject, [Buffer.from(pack(said))]);

  it.each([
    ['a', 'b'],
    ['a/b', 'c'],
    ['a', 'b/c'],
    ['/', '/'],
    ['', '/x'],
  ])('says of which job it is (%j, %j)', (service, id) => {
    const event = readAnyJobEvent(message(`${service}/${id}`, { event: 'queued', service }));
    expect(event).toMatchObject({ service, id, event: 'queued' });
  });

  it('that does not say so is of a job without a slash in its id', () => {
    const event = readAnyJobEvent(message('a/b/c', { event: 'started', worker: 'w' }));
    expect(event).toMatchObject({ service: 'a/b', id: 'c', worker: 'w' });
  });

  it('of another job with the same subject is not of this one', () => {
    const [mine, other] = ['a/b', 'a'].map((service) =>
      message('a/b/c', { event: 'queued', service }),
    );
    expect(readJobEvent({ service: 'a/b', id: 'c' }, mine!)).toMatchObject({ service: 'a/b' });
    expect(readJobEvent({ service: 'a/b', id: 'c' }, other!)).toBeUndefined();
    expect(readJobEvent({ service: 'a', id: 'b/c' }, other!)).toMatchObject({ id: 'b/c' });
  });

  it.each([{}, { event: 'of a kind to come' }, { service: 's' }])('%j tells nothing', (said) => {
    expect(readAnyJobEvent(message('s/j', said))).toBeUndefined();
  });
});

/** `$jobs` as a broker keeps it, behind the calls by which it is read. */
class JobsLog {
  readonly broker = new NativeFakeBroker();
  /** The readers that are open, by their handle, and what they asked for. */
  readonly readers = new Map<number, Record<string, unknown>>();
  readonly #messages: { subject: string; content: Buffer[] }[] = [];
  #handles = 0;

  constructor() {
    this.broker.script = (method, given) => this.#answer(method, given);
  }

  /** What is accepted, but not durable: unseen by whoever looks, and before those who read `new`. */
  gathered = 0;

  add(id: string, event: string, more: Record<string, unknown> = {}, content: Buffer[] = []): void {
    const head = Buffer.from(pack({ event, ...more }));
    this.#messages.push({ subject: `s/${id}`, content: [head, ...content] });
    const sequence = this.#messages.length;
    for (const [handle, { pattern, start }] of this.readers) {
      const wanted = compilePattern(pattern as string).matches(`s/${id}`);
      if (wanted && sequence >= (start as number)) this.#deliver(handle, sequence);
    }
  }

  readsOf(kind: string): unknown[] {
    return [...this.readers.values()].filter(
      ({ from }) => typeof from === 'object' && kind in from!,
    );
  }

  #answer(method: string, given: Record<string, unknown>): unknown {
    const end = this.#messages.length;
    if (method === 'stream.info') return { lastSequence: end };
    if (method === 'stream.last') return { sequence: this.#lastOf(given['subject'] as string) };
    if (method === 'cancel') this.readers.delete(given['handle'] as number);
    if (method !== 'read') return {};
    const handle = ++this.#handles;
    const from = given['from'] as { sequence?: number } | string;
    const first = end + this.gathered + 1;
    const start = typeof from === 'object' ? (from.sequence ?? 1) : from === 'earliest' ? 1 : first;
    this.readers.set(handle, { ...given, start });
    setImmediate(() => setImmediate(() => this.#replay(handle, given, start, end)));
    return { handle, from: start };
  }

  #replay(handle: number, given: Record<string, unknown>, start: number, end: number): void {
    const pattern = compilePattern(given['pattern'] as string);
    const isCompact = typeof given['from'] === 'object' && 'compact' in given['from']!;
    for (let sequence = start; sequence <= end; sequence++) {
      const { subject } = this.#messages[sequence - 1]!;
      if (!pattern.matches(subject)) continue;
      if (!isCompact || this.#lastOf(subject, end) === sequence) this.#deliver(handle, sequence);
    }
  }

  #lastOf(subject: string, end = this.#messages.length): number {
    return this.#messages.slice(0, end).findLastIndex((each) => each.subject === subject) + 1;
  }

  #deliver(handle: number, sequence: number): void {
    const writer = new BlockWriter();
    const { subject, content } = this.#messages[sequence - 1]!;
    writer.append(sequence, 1_700_000_000_000 + sequence, '$broker', subject, content);
    const sections = Buffer.concat(writer.take().map(({ bytes }) => bytes));
    this.broker.link.bring({ name: 'STREAM DELIVER', handle, sections });
  }
}

describe('a job', () => {
  let log: JobsLog;
  let client: MlmClient;
  beforeEach(async () => {
    log = new JobsLog();
    client = await log.broker.connect();
  });
  afterEach(() => client.close());

  it('is a request with an id', async () => {
    const options = { id: 'j1', key: 'k', deadlineMs: 10, needs: { gpu: true }, priority: 4 };
    const job = await client.submit('s', 'x', 'body', options);
    await client.submit('s', 'x');
    const sent = log.broker.link.ofName('SERVICE SEND');
    expect(sent[0]).toMatchObject({ tracker: 'j1', job: 1, key: 'k', deadline: 10, priority: 4 });
    expect(sent[0]).toMatchObject({ timeout: 0, wants: { needs: { gpu: true } } });
    expect(sent[1]!.tracker).toMatch(/^[0-9a-z]{12}-/);
    expect([job.service, job.id]).toEqual(['s', 'j1']);
  });

  it.each([
    ['succeeded', undefined, undefined],
    ['failed', 'WORKER_ERROR', 'bad-input: no picture'],
    ['cancelled', 'CANCELLED', 'by boss'],
    ['expired', 'EXPIRED', 'not done in time'],
  ])('ends: %s', async (event, code, reason) => {
    const result = failureOf(client.job('s', 'j').result());
    await settle();
    log.add('j', 'queued', { sender: 'me', subject: 'x' });
    log.add('j', 'started', { worker: 'w', attempt: 1 });
    log.add('other', 'succeeded', {}, [Buffer.from('wrong')]);
    log.add('j', event, { worker: 'w', attempt: 1, reason }, [Buffer.from('reply')]);
    const failure = await result;
    expect(failure.code).toBe(code);
    if (reason !== undefined) expect(failure.message).toContain(reason);
    expect((await client.job('s', 'j').state())?.event).toBe(event);
    await settle();
    expect(log.readers.size).toBe(0);
  });

  it('that nobody waits for any more is not followed', async () => {
    const controller = new AbortController();
    const aborted = failureOf(client.job('s', 'j').result(controller));
    const late = failureOf(client.job('s', 'j').result({ timeoutMs: 50 }));
    await settle();
    expect(log.readers.size).toBe(1);
    controller.abort();
    await log.broker.clock.pass(50);
    expect([(await aborted).code, (await late).code]).toEqual(['ABORTED', 'TIMEOUT']);
    await settle();
    expect(log.readers.size).toBe(0);
    // Nothing was cancelled by that.
    expect(log.broker.link.calls('request.cancel')).toEqual([]);
  });

  it('of many is followed with the others, however they come in', async () => {
    // Accepted, not durable yet: a reader of what is new would never see it.
    log.gathered = 5;
    const ids = Array.from({ length: 30 }, (_, n) => `j${n}`);
    for (const id of ids.slice(0, 15)) log.add(id, 'started', { worker: 'w', attempt: 1 });
    log.add('j12', 'succeeded', { worker: 'w' }, [Buffer.from('j12')]);
    const results = ids.map(async (id) => (await client.job('s', id).result()).text());
    for (let turn = 0; turn < 5; turn++) await settle();
    expect(log.readsOf('compact')).toHaveLength(8);
    // One for all others, behind what can be looked up.
    expect(log.readsOf('sequence')[0]).toMatchObject({ pattern: '^s/', start: 17 });
    for (const id of ids) if (id !== 'j12') log.add(id, 'succeeded', {}, [Buffer.from(id)]);
    expect(await Promise.all(results)).toEqual(ids);
    await settle();
    expect(log.readers.size).toBe(0);
  });

  it('is looked up again where the broker reads its log still', async () => {
    log.add('j', 'queued', { sender: 'me', subject: 'x' });
    const { script } = log.broker;
    let asked = 0;
    log.broker.script = (method, given) =>
      method === 'stream.last' && ++asked < 3
        ? { sequence: 0, known: false }
        : script(method, given);
    const state = client.job('s', 'j').state();
    for (let beat = 0; beat < 5; beat++) {
      await settle();
      await log.broker.clock.pass(50);
    }
    expect(await state).toMatchObject({ event: 'queued', sender: 'me', subject: 'x', sequence: 1 });
    expect(asked).toBe(3);
    expect(await client.job('s', 'unknown').state()).toBeUndefined();
  });

  it('has events, to the last of them', async () => {
    log.add('j', 'queued', { sender: 'me', subject: 'x' });
    log.add('j', 'failed', { attempt: 5, reason: 'RangeError: no' });
    log.add('j', 'queued', { sender: 'me', subject: 'x' });
    const names: string[] = [];
    const reading = (async () => {
      for await (const { event } of client.job('s', 'j').events()) names.push(event);
    })();
    await settle();
    log.add('j', 'progress', { fraction: 0.5, worker: 'w', attempt: 1 });
    log.add('j', 'of a kind to come');
    log.add('j', 'succeeded', { worker: 'w', attempt: 1 });
    await reading;
    expect(names).toEqual(['queued', 'failed', 'queued', 'progress', 'succeeded']);
  });

  it('is cancelled once; where there is none, that is said', async () => {
    const { script } = log.broker;
    log.broker.script = (method, given) => {
      if (method !== 'request.cancel') return script(method, given);
      if (given['tracker'] === 'gone') throw new Refusal('there is no such request');
      return { was: 'running' };
    };
    expect(await client.job('s', 'j').cancel()).toBe('running');
    expect(await failureOf(client.job('s', 'gone').cancel())).toMatchObject({ code: 'REFUSED' });
    expect(log.broker.link.calls('request.cancel')[0]).toEqual({ service: 's', tracker: 'j' });
  });
});
