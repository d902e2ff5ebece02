// What the broker keeps on disk, and what happens when the disk is full, by a
// native peer and a broker in this process.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBroker, type Broker } from '../../broker/index.js';
import { PLAIN_REQUEST } from '../../protocol/index.js';
import { NativeClient } from '../support/native-client.js';
import { until } from '../support/until.js';

const BODY = Buffer.alloc(10_000, 'x');
let folder: string;
let brokers: Broker[] = [];
let clients: NativeClient[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'malamute-store-'));
});

afterEach(async () => {
  for (const client of clients) client.close();
  for (const broker of brokers) await broker.stop();
  clients = [];
  brokers = [];
  rmSync(folder, { recursive: true, force: true });
});

async function start(data = join(folder, 'data'), rules = {}): Promise<Broker> {
  const broker = await startBroker(
    // These clients send no heartbeats.
    { bind: ['tcp://127.0.0.1:*'], data, 'drain-timeout': 0, timeout: 3_600_000 },
    { rules },
  );
  brokers.push(broker);
  return broker;
}

async function open(broker: Broker, address: string): Promise<NativeClient> {
  const client = await NativeClient.open(broker.endpoints[0]!, address);
  clients.push(client);
  return client;
}

async function handleOf(
  client: NativeClient,
  method: 'write' | 'read',
  given: Record<string, unknown>,
) {
  const { handle } = await client.ask<{ handle: number }>(method, given);
  return handle;
}

const numbered = (from: number, count: number): [string, Buffer][] =>
  Array.from({ length: count }, (_, index) => [`n${from + index}`, BODY]);

describe('a broker that starts again on its data', () => {
  it('has every accepted message of a stream, its cursors, and goes on with its sequences', async () => {
    const first = await start();
    const writer = await open(first, 'writer');
    const handle = await handleOf(writer, 'write', { stream: 's' });
    await writer.sendToStream(handle, numbered(1, 20));
    expect(await writer.next('STORED')).toMatchObject({ first: 1, count: 20, sequence: 1 });
    await writer.ask('cursor.set', { stream: 's', cursor: 'c', sequence: 15 });
    await first.stop();

    const second = await start();
    const reader = await open(second, 'reader');
    await handleOf(reader, 'read', { stream: 's', cursor: 'c', credit: 100 });
    expect((await reader.messages(5)).map(({ sequence }) => sequence)).toEqual([
      16, 17, 18, 19, 20,
    ]);
    const again = await open(second, 'writer');
    await again.sendToStream(await handleOf(again, 'write', { stream: 's' }), numbered(21, 1));
    expect(await again.next('STORED')).toMatchObject({ sequence: 21 });
    expect((await reader.messages(1))[0]).toMatchObject({ sequence: 21, subject: 'n21' });
  });

  it('has the mail, requests and dead letters that nobody had done with', async () => {
    const first = await start();
    const sender = await open(first, 'sender');
    await sender.ask('offer', { service: 'svc', pattern: 'bad' });
    const mail = { address: 'absent', tracker: '', timeout: 0 };
    const request = { ...PLAIN_REQUEST, address: 'svc', tracker: 't', content: [BODY] };
    await sender.send(
      { name: 'MAILBOX SEND', subject: 'm1', ...mail, content: [BODY, Buffer.alloc(0)] },
      { name: 'MAILBOX SEND', subject: 'm2', ...mail, content: [] },
      { ...request, subject: 'bad' },
      { ...request, subject: 'waits' },
    );
    await sender.settled(4);
    const { delivery, epoch } = await sender.next('SERVICE DELIVER');
    await sender.send({
      name: 'CONFIRM DELIVERY',
      delivery,
      epoch,
      statusCode: 400,
      statusReason: 'no',
    });
    expect(await sender.next('CONFIRM')).toMatchObject({ statusCode: 300, statusReason: 'no' });
    await first.stop();

    const second = await start();
    const receiver = await open(second, 'absent');
    await receiver.send({ name: 'CREDIT', handle: 0, amount: 10 });
    expect(await receiver.next('MAILBOX DELIVER')).toMatchObject({
      subject: 'm1',
      sender: 'sender',
      content: [BODY, Buffer.alloc(0)],
    });
    expect(await receiver.next('MAILBOX DELIVER')).toMatchObject({ subject: 'm2', content: [] });
    await receiver.ask('offer', { service: 'svc' });
    expect(await receiver.next('SERVICE DELIVER')).toMatchObject({ subject: 'waits', attempt: 1 });
    expect(await receiver.ask('dead.list', { service: 'svc' })).toMatchObject([
      { subject: 'bad', attempts: 1, failures: [{ worker: 'sender', reason: 'no' }] },
    ]);
  });

  it('keeps what a rule says is for memory only while it runs', async () => {
    const rules = { streams: [{ match: '^gone$', durability: 'memory' }] };
    const first = await start(undefined, rules);
    const writer = await open(first, 'writer');
    for (const stream of ['gone', 'kept']) {
      await writer.sendToStream(await handleOf(writer, 'write', { stream }), numbered(1, 1));
    }
    await writer.settled();
    await first.stop();
    const second = await start(undefined, rules);
    const asker = await open(second, 'asker');
    expect(await asker.ask('stream.info', { stream: 'kept' })).toMatchObject({ lastSequence: 1 });
    expect(await asker.call('stream.info', { stream: 'gone' })).toMatchObject({ statusCode: 300 });
  });
});

describe('a data directory', () => {
  it('is not shared by two brokers', async () => {
    await start();
    await expect(start()).rejects.toThrow(/in use by another broker/);
  });

  it('is refused where it is not one', async () => {
    writeFileSync(join(folder, 'letter.txt'), 'dear broker');
    await expect(start(folder)).rejects.toThrow(
      /not a data directory.*letter\.txt.*choose an empty one/,
    );
  });

  it('is refused where another format is in it', async () => {
    const data = join(folder, 'data');
    mkdirSync(data);
    writeFileSync(join(data, 'malamute.json'), '{"format": 999}');
    await expect(start(data)).rejects.toThrow(/format 999.*run the version that wrote it/);
  });

  it('is refused where its database is damaged, and left as it was', async () => {
    const broker = await start();
    await broker.stop();
    const file = join(folder, 'data', 'fsync.mdb');
    writeFileSync(file, Buffer.alloc(65_536, 'garbage'));
    await expect(start()).rejects.toThrow(
      /fsync\.mdb is damaged.*restore it from a backup.*with fsync\.mdb-log-1 and fsync\.mdb-log-2/,
    );
    for (const name of readdirSync(join(folder, 'data'))) {
      if (name.startsWith('fsync.mdb')) renameSync(join(folder, 'data', name), join(folder, name));
    }
    await start();
  });
});

describe('retention', () => {
  it('keeps a stream to its messages, and says which ones a reader missed', async () => {
    const broker = await start(undefined, { streams: [{ match: '', 'messages-max': 10 }] });
    const writer = await open(broker, 'writer');
    const handle = await handleOf(writer, 'write', { stream: 's' });
    const reader = await open(broker, 'reader');
    await handleOf(reader, 'read', { stream: 's', from: 'earliest', credit: 0 });
    for (let at = 1; at <= 50; at++) {
      await writer.sendToStream(handle, numbered(at, 1));
      await writer.settled();
    }
    const info = await writer.ask<{ firstSequence: number }>('stream.info', { stream: 's' });
    expect(info.firstSequence).toBe(41);
    const again = await handleOf(reader, 'read', {
      stream: 's',
      from: { sequence: 1 },
      credit: 100,
    });
    expect(await reader.next('GAP')).toMatchObject({ handle: again, first: 1, last: 40 });
    expect((await reader.messages(10)).map(({ sequence }) => sequence)[0]).toBe(41);
  });
});

const isRoot = process.getuid?.() === 0;

// Mounting needs root; elsewhere this is what `npm test` leaves out.
(isRoot ? describe : describe.skip)('a full disk', () => {
  let disk: string;

  beforeEach(() => {
    disk = join(folder, 'disk');
    mkdirSync(disk);
    mount('-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', disk);
  });

  afterEach(async () => {
    for (const client of clients) client.close();
    // With room for what is left to be written.
    mount('-o', 'remount,size=64m', disk);
    for (const broker of brokers) await broker.stop();
    spawnSync('umount', ['-l', disk]);
  });

  function mount(...words: string[]): void {
    const { status, stderr } = spawnSync('mount', words, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`mount: ${stderr}`);
  }

  /** Sends until something is refused. @returns the sequences that were accepted */
  async function fill(writer: NativeClient, handle: number): Promise<number> {
    for (let sent = 0; sent < 100; sent++) {
      await writer.sendToStream(handle, numbered(sent, 20));
      await writer.settled();
      if (writer.inbox.some(({ name }) => name === 'REFUSED')) break;
    }
    expect(writer.inbox.some(({ name }) => name === 'REFUSED')).toBe(true);
    let last = 0;
    for (const item of writer.inbox)
      if (item.name === 'STORED') last = item.sequence + item.count - 1;
    return last;
  }

  it('refuses senders, serves readers, loses nothing, and takes messages again once there is room', async () => {
    const broker = await start(join(disk, 'data'));
    const writer = await open(broker, 'writer');
    const handle = await handleOf(writer, 'write', { stream: 's' });
    const accepted = await fill(writer, handle);
    expect(accepted).toBeGreaterThan(100);
    const reader = await open(broker, 'reader');
    await handleOf(reader, 'read', { stream: 's', from: 'earliest', credit: 10_000 });
    const sequences = (await reader.messages(accepted)).map(({ sequence }) => sequence);
    expect(sequences).toEqual(Array.from({ length: accepted }, (_, index) => index + 1));

    mount('-o', 'remount,size=24m', disk);
    writer.inbox.length = 0;
    await writer.sendToStream(handle, numbered(0, 20));
    await writer.settled();
    const stored = await writer.next('STORED');
    expect(stored.sequence).toBeGreaterThan(accepted);
    const more = await reader.messages(20);
    expect(more[0]?.sequence).toBe(stored.sequence);
  });

  it('has room again once a stream is trimmed', async () => {
    const broker = await start(join(disk, 'data'));
    const writer = await open(broker, 'writer');
    const handle = await handleOf(writer, 'write', { stream: 's' });
    await fill(writer, handle);
    await writer.ask('stream.trim', { stream: 's', bytes: 1_000_000 });
    writer.inbox.length = 0;
    // The database is told of what goes within a second, or later where the machine is busy.
    await until(async () => {
      await writer.sendToStream(handle, numbered(0, 5));
      await writer.settled();
      return writer.inbox.some(({ name }) => name === 'STORED');
    }, 'something is stored');
  });
});
