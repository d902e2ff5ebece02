// Bodies from 1 to 256 MiB, through streams, mail and requests: they come as they
// were sent, the broker does not copy them around, and what is larger than the
// limit is refused in words and disturbs nothing else. How fast they travel is
// the benchmark's business.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PLAIN_REQUEST, type Command } from '../../protocol/index.js';
import { connect, type ConnectOptions, type MlmClient } from '../../client/index.js';
import { NativeClient } from '../support/native-client.js';
import { startBrokerProcess, type BrokerProcess } from '../support/broker-process.js';
import { useProcesses, type Child } from '../support/processes.js';
import { useRawClients } from '../support/raw-client.js';
import { coded, failureOf, range, take } from '../support/sessions.js';
import { brief, mail, PING, send, write } from '../support/v1-commands.js';

const MIB = 1024 * 1024;
/** How much a broker may take that carries a body all ways: so many copies, and so much beside. */
const COPIES_MAX = 4;
const BESIDE_BYTES = 150 * MIB;
/** A large body keeps heartbeats waiting behind it, longer where the machine is busy. */
const SILENCE_MS = 600_000;
const PATIENCE_MS = 240_000;

const clients: MlmClient[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
});
const rawClients = useRawClients();
// The broker is ended last.
const processes = useProcesses();

/** The built broker in a process of its own, whose memory is its own. */
function start(flags: Readonly<Record<string, string | number>>): Promise<BrokerProcess> {
  return startBrokerProcess(processes, { timeout: SILENCE_MS, ...flags });
}

async function open(endpoint: string, options: ConnectOptions = {}): Promise<MlmClient> {
  const client = await connect(endpoint, {
    connectTimeoutMs: PATIENCE_MS,
    brokerTimeoutMs: SILENCE_MS,
    ...options,
  });
  clients.push(client);
  return client;
}

/** A body that differs from any other of its size in every part of it. */
function bodyOf(bytes: number, seed: string): Buffer {
  return Buffer.alloc(bytes, `${seed} ${'x'.repeat(240)} `);
}

/** Whether a body came as it was sent; comparing it with `toEqual` would take minutes. */
function same(content: readonly Buffer[], body: Buffer): boolean {
  return content.length === 1 && content[0]!.equals(body);
}

/** The most memory that a process ever had, octets. */
function peakOf({ pid }: Child): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

/** Sends a body to a stream, reads it as it comes, and again from the log. */
async function throughStream(endpoint: string, body: Buffer): Promise<void> {
  const [writer, watcher] = [await open(endpoint), await open(endpoint)];
  const live = watcher.stream('large').read();
  await live.ready;
  const { sequence } = await writer.stream('large').send('body', body);
  const [came] = await take(live, 1);
  expect(came).toMatchObject({ sequence, subject: 'body' });
  expect(same(came!.content, body)).toBe(true);
  await live.return();
  await replayed(watcher, sequence!, body);
}

async function replayed(client: MlmClient, sequence: number, body: Buffer): Promise<void> {
  const reader = client.stream('large').read({ from: { sequence } });
  const [again] = await take(reader, 1);
  expect(again).toMatchObject({ sequence, subject: 'body' });
  expect(same(again!.content, body)).toBe(true);
  await reader.return();
}

async function throughMailbox(endpoint: string, body: Buffer): Promise<void> {
  const [sender, owner] = [await open(endpoint), await open(endpoint, { address: 'owner' })];
  // It waits with the broker first.
  await sender.sendTo('owner', 'body', body);
  const mailbox = owner.mailbox();
  const [came] = await take(mailbox, 1);
  expect(same(came!.content, body)).toBe(true);
  await came!.confirm();
  await mailbox.return?.();
}

/** There and back. */
async function throughService(endpoint: string, body: Buffer): Promise<void> {
  const [requester, worker] = [await open(endpoint), await open(endpoint)];
  await worker.offer('echo', ({ content }) => content);
  const { content } = await requester.request('echo', 'body', body, { timeoutMs: PATIENCE_MS });
  expect(same(content, body)).toBe(true);
}

const WAYS = { stream: throughStream, mailbox: throughMailbox, service: throughService };

it.each([1, 16, 64, 256])(
  'a body of %d MiB comes as it was sent, and is not copied around',
  async (mebibytes) => {
    const { child, endpoint } = await start({
      'message-bytes-max': 256 * MIB,
      'stream-bytes-max': 512 * MIB,
      'mailbox-bytes-max': 512 * MIB,
    });
    const before = peakOf(child);
    for (const [name, carry] of Object.entries(WAYS)) {
      await carry(endpoint, bodyOf(mebibytes * MIB, name));
    }
    expect(peakOf(child) - before).toBeLessThan(COPIES_MAX * mebibytes * MIB + BESIDE_BYTES);
  },
  PATIENCE_MS,
);

it(
  'bodies of 64 MiB outlive a broker that is killed, and are not copied around by the next one',
  async () => {
    const data = join(processes.folder(), 'data');
    const body = bodyOf(64 * MIB, 'kept');
    const first = await start({ data });
    const before = peakOf(first.child);
    const sender = await open(first.endpoint);
    const { sequence } = await sender.stream('large').send('body', body);
    await sender.sendTo('owner', 'body', body);
    expect(peakOf(first.child) - before).toBeLessThan(COPIES_MAX * body.length + BESIDE_BYTES);
    await first.child.stop('SIGKILL');

    const second = await start({ data });
    const owner = await open(second.endpoint, { address: 'owner' });
    await replayed(owner, sequence!, body);
    const [mail] = await take(owner.mailbox(), 1);
    expect(same(mail!.content, body)).toBe(true);
    expect(peakOf(second.child) - before).toBeLessThan(COPIES_MAX * body.length + BESIDE_BYTES);
  },
  PATIENCE_MS,
);

describe('the limit of one message', () => {
  const LIMIT = MIB;
  const REASON = 'octets are more than a message may have';

  it('is exact for every way and every kind of client, and counts nothing but the body', async () => {
    const { endpoint } = await start({ 'message-bytes-max': LIMIT });
    const client = await open(endpoint, { address: 'a client with a long address' });
    const inTwo = (bytes: number): Buffer[] => [Buffer.alloc(10), Buffer.alloc(bytes - 10)];
    const stream = client.stream('s');
    await client.offer('echo', ({ content }) => content);
    await client.offer('grow', ({ content }) => [Buffer.alloc(1), ...content]);
    const ways: Record<string, (bytes: number) => Promise<unknown>> = {
      stream: (bytes) => stream.send('subject', Buffer.alloc(bytes)),
      'stream, with an id': (bytes) =>
        stream.send('subject', Buffer.alloc(bytes), { id: `an id for ${bytes}` }),
      'stream, in two frames': (bytes) => stream.send('subject', inTwo(bytes)),
      mailbox: (bytes) => client.sendTo('nobody', 'subject', Buffer.alloc(bytes)),
      'mailbox, in two frames': (bytes) => client.sendTo('nobody', 'subject', inTwo(bytes)),
      'service and its reply': (bytes) => client.request('echo', 'subject', Buffer.alloc(bytes)),
    };
    for (const [way, sendBytes] of Object.entries(ways)) {
      await sendBytes(LIMIT);
      const failure = await failureOf(sendBytes(LIMIT + 1));
      expect([way, failure]).toEqual([way, coded('REFUSED')]);
      expect(failure.message).toContain(`${LIMIT + 1} ${REASON}`);
    }
    const failure = await failureOf(client.request('grow', 'subject', Buffer.alloc(LIMIT)));
    expect(failure).toMatchObject({ code: 'WORKER_ERROR' });
    expect(failure.message).toContain(`${LIMIT + 1}`);
  });

  it('is the broker’s own, whatever the client knows of it', async () => {
    const { endpoint } = await start({ 'message-bytes-max': LIMIT });
    const client = await NativeClient.open(endpoint, 'bare', PATIENCE_MS);
    try {
      const { handle } = await client.ask<{ handle: number }>('write', { stream: 's' });
      const sizes = [LIMIT, LIMIT + 1, 1];
      const rest = { subject: '', tracker: '', timeout: 0 };
      for (const bytes of sizes) {
        await client.sendToStream(handle, [['', Buffer.alloc(bytes)]]);
        const content = [Buffer.alloc(bytes)];
        await client.send(
          { name: 'MAILBOX SEND', address: 'nobody', ...rest, content },
          { ...PLAIN_REQUEST, address: 'nobody', subject: '', content },
        );
        client.sendings += 2;
      }
      await client.settled();
      const refused = client.inbox.filter((command) => command.name === 'REFUSED');
      // Refusals that follow one another come as one command, or as several.
      const numbers = refused.flatMap(({ first, count }) => range(first, first + count - 1));
      expect(numbers).toEqual([4, 5, 6]);
      for (const { statusReason } of refused) {
        expect(statusReason).toContain(`${LIMIT + 1} ${REASON}`);
      }
      // Many together may be more than one message may be.
      const many = Array.from({ length: 3 }, (): [string, Buffer] => ['', Buffer.alloc(LIMIT / 2)]);
      await client.sendToStream(handle, many);
      await client.settled();
      expect(await client.ask('stream.info', { stream: 's' })).toMatchObject({ lastSequence: 5 });
    } finally {
      client.close();
    }
  });

  it('holds for MLM/1: mail is answered, a stream message is counted, and the session goes on', async () => {
    const { endpoint } = await start({ 'message-bytes-max': LIMIT });
    const client = await rawClients.open(endpoint, 'old');
    await client.ask(write('s'), 'OK 200');
    for (const bytes of [LIMIT, LIMIT + 1]) {
      const content = [Buffer.alloc(bytes)];
      await client.send(send('', ...content), mail('old', `${bytes}`, { tracker: 't', content }));
    }
    // The refusal need not wait for the disk, as the delivery does.
    const answers = (await client.collect(2)).map(brief);
    expect(new Set(answers)).toEqual(new Set([`${LIMIT}`, 'CONFIRM t 300']));
    const { streamMessages, refused } = await client.view<Record<string, number>>('stats');
    expect({ streamMessages, refused }).toEqual({ streamMessages: 1, refused: 2 });
  });

  it('disturbs nobody: neither what is sent beside it nor who is far beyond it', async () => {
    const { endpoint } = await start({ 'message-bytes-max': LIMIT });
    const [client, other] = [await open(endpoint, { address: 'c' }), await open(endpoint)];
    const disturbed: unknown[] = [];
    for (const each of [client, other]) each.on('disconnected', (why) => disturbed.push(why));
    const stream = client.stream('s');
    const reader = other.stream('s').read();
    await reader.ready;
    const sizes = [10, LIMIT + 1, 20, 8 * LIMIT, LIMIT, 30];
    const sent = sizes.map((bytes) => failureOf(stream.send(`${bytes}`, Buffer.alloc(bytes))));
    const mailed = sizes.map((bytes) =>
      failureOf(client.sendTo('c', `${bytes}`, Buffer.alloc(bytes))),
    );
    const codes = (await Promise.all([...sent, ...mailed])).map(({ code }) => code);
    const expected = sizes.map((bytes) => (bytes > LIMIT ? 'REFUSED' : undefined));
    expect(codes).toEqual([...expected, ...expected]);
    const fitting = ['10', '20', `${LIMIT}`, '30'];
    expect((await take(reader, 4)).map(({ subject }) => subject)).toEqual(fitting);
    expect((await take(client.mailbox(), 4)).map(({ subject }) => subject)).toEqual(fitting);
    expect(disturbed).toEqual([]);
  });

  it('cuts off who sends a frame far beyond it, and nobody else', async () => {
    const { endpoint } = await start({ 'message-bytes-max': LIMIT });
    const hostile = await rawClients.open(endpoint, 'hostile');
    const bystander = await rawClients.open(endpoint, 'bystander');
    await hostile.send(mail('bystander', 'far too large', { content: [Buffer.alloc(4 * LIMIT)] }));
    // The socket connects again, as somebody new; what it sent before that may be lost.
    let answer: Command | undefined;
    while (answer === undefined) {
      await hostile.send(PING);
      answer = await hostile.poll(200);
    }
    expect(brief(answer)).toBe('ERROR 500');
    await bystander.send(mail('bystander', 'fits', { content: [Buffer.alloc(LIMIT)] }));
    await bystander.expect('fits');
  });
});
