// Warm first: workers that say what they have loaded, and requests that prefer who
// has it. Programs announce it, commands that stay say it by their lines.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MlmClient } from '../../client/index.js';
import { CommandWorkers } from '../../workers/commands/workers.js';
import { defineWorker, silentLog, type Worker } from '../../workers/index.js';
import { startTestBroker, type TestBroker } from '../../workers/testing/index.js';
import { configOf, nodeCommand } from '../unit/workers/commands-support.js';
import { until } from '../support/until.js';

let broker: TestBroker;
let client: MlmClient;
let folder: string;
const commands: CommandWorkers[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'malamute-test-'));
  broker = await startTestBroker();
  client = await broker.connect();
});

afterEach(async () => {
  await broker.close();
  await Promise.all(commands.splice(0).map((each) => each.close()));
  rmSync(folder, { recursive: true });
});

/** Longer than any test takes: a preferred worker is waited for. */
const PATIENT = { settleMs: 60_000 };

/** Who does a request for a model. */
async function whoDoes(model: string, subject = 'x'): Promise<string> {
  const wants = { prefers: { models: model }, ...PATIENT };
  return (await client.request('s', subject, undefined, wants)).sender;
}

/** The labels of the offer of a worker, as everybody sees them. */
async function labelsOf(address: string): Promise<unknown> {
  const reader = client.stream('$presence').read({ pattern: `^${address}$`, from: 'compact' });
  for await (const message of reader) {
    return (message.value() as { offers: { labels: unknown }[] }).offers[0]?.labels;
  }
  return undefined;
}

async function untilLabels(address: string, labels: unknown): Promise<void> {
  let seen: unknown;
  const wanted = JSON.stringify(labels);
  await until(async () => {
    seen = await labelsOf(address);
    return JSON.stringify(seen) === wanted;
  }, `the labels ${wanted} of ${address}`);
}

describe('workers of a program', () => {
  const idle = (): Worker => defineWorker({ service: 's', handle: () => 'done' });

  it('say before they start, and while they run, what they have loaded', async () => {
    const [a, b] = [idle(), idle()];
    b.announce({ models: ['sam3'] });
    await broker.start([a], { address: 'a' });
    await broker.start([b], { address: 'b' });
    expect(await whoDoes('sam3')).toBe('b');
    a.announce({ models: ['qwen', 'kokoro'] });
    await untilLabels('a', { models: ['qwen', 'kokoro'] });
    expect([await whoDoes('kokoro'), await whoDoes('sam3')]).toEqual(['a', 'b']);
    // The model moves from one to the other.
    b.announce({ models: undefined });
    a.announce({ models: ['sam3'] });
    await untilLabels('a', { models: ['sam3'] });
    await untilLabels('b', {});
    expect(await whoDoes('sam3')).toBe('a');
  });

  it('load a model for a request, and get the next one for it', async () => {
    const loads = (): Worker =>
      defineWorker({ service: 's', handle: ({ announce }) => announce({ models: ['sam3'] }) });
    await broker.start([loads()], { address: 'a' });
    await broker.start([loads()], { address: 'b' });
    // Nobody has it: after a short while, any worker will do.
    const wants = { prefers: { models: 'sam3' }, settleMs: 10 };
    const { sender } = await client.request('s', 'x', undefined, wants);
    await untilLabels(sender, { models: ['sam3'] });
    for (let n = 0; n < 3; n++) expect(await whoDoes('sam3')).toBe(sender);
  });

  it('a worker that has ended says nothing more', async () => {
    const worker = idle();
    const group = await broker.start([worker], { address: 'a' });
    await group.stop();
    worker.announce({ models: ['sam3'] });
    const again = await broker.start([worker], { address: 'b' });
    await untilLabels('b', { models: ['sam3'] });
    await again.stop();
  });
});

describe('a command that stays', () => {
  /** Is ready once the file is there; loads what a subject names, dies where it is "die". */
  const MODEL = `
    const [, go] = process.argv;
    const fs = require('fs');
    const say = (value) => process.stdout.write(JSON.stringify(value) + '\\n');
    const look = setInterval(() => {
      if (!fs.existsSync(go)) return;
      clearInterval(look);
      say({ ready: true, ...JSON.parse(fs.readFileSync(go, 'utf8')) });
    }, 5);
    require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
      const { id, subject } = JSON.parse(line);
      if (subject === 'die') { fs.rmSync(go); process.exit(1); }
      if (subject.startsWith('load ')) say({ labels: { models: [subject.slice(5)] } });
      if (subject === 'nonsense') say({ labels: { models: {} } });
      say({ id, result: subject });
    });
  `;

  /** Offers a model by its address. @returns lets it be ready; adds what it says then */
  async function offer(address: string, lines: string): Promise<(said?: object) => void> {
    const go = join(folder, address);
    const service = `${nodeCommand(MODEL, go)}\npersistent: true\nstartLimit: 60s\n${lines}`;
    const yaml = `services:\n  s:\n${service.replaceAll(/^/gm, '    ')}`;
    const workers = new CommandWorkers(configOf(yaml).services, silentLog);
    commands.push(workers);
    await broker.start(workers.workers, { address });
    return (said = {}) => {
      writeFileSync(`${go}.new`, JSON.stringify(said));
      renameSync(`${go}.new`, go);
    };
  }

  it('has its readyLabels while it is ready', async () => {
    const labels = 'labels: {gpu: true}\nreadyLabels: {models: [sam3]}';
    const ready = await offer('a', labels);
    await untilLabels('a', { gpu: true });
    ready();
    await untilLabels('a', { gpu: true, models: ['sam3'] });
    const job = await client.submit('s', 'die');
    await untilLabels('a', { gpu: true });
    // Tried again, it would be the death of the next one, too.
    await job.cancel();
    ready();
    await untilLabels('a', { gpu: true, models: ['sam3'] });
  });

  it('is preferred by requests for what it has loaded', async () => {
    const lines = 'labels: {models: []}\nreadyLabels: {models: [sam3]}';
    await offer('cold', lines);
    const ready = await offer('warm', lines);
    ready();
    expect(await whoDoes('sam3')).toBe('warm');
    expect(await labelsOf('cold')).toEqual({ models: [] });
  });

  it('may say itself what it has loaded', async () => {
    const ready = await offer('a', 'labels: {models: [], gpu: true}');
    ready({ labels: { models: ['qwen'] } });
    await untilLabels('a', { models: ['qwen'], gpu: true });
    expect(await whoDoes('qwen', 'load sam3')).toBe('a');
    await untilLabels('a', { models: ['sam3'], gpu: true });
    // What cannot be a label changes nothing, and breaks nothing.
    expect(await whoDoes('sam3', 'nonsense')).toBe('a');
    expect(await labelsOf('a')).toEqual({ models: ['sam3'], gpu: true });
  });
});
