// The original Malamute in C against ours: its client with our broker, our SDK
// with its broker, every pattern, and its client through a restart of our
// broker. Run by c-malamute.sh, which compiles the C driver; not part of
// `npm test`, since few machines have the C Malamute.
import { setTimeout as sleep } from 'node:timers/promises';
import { startBroker } from '../../broker/index.js';
import { useProcesses } from '../support/processes.js';
import { startBrokerProcess } from './broker-process.js';
import { cEnvironment, startCBroker } from './c-broker.js';
import { LinePeer } from './line-peer.js';
import { cTranscripts } from './own-transcripts.js';
import { SCENARIOS, TRACKER_SCENARIOS } from './patterns.js';
import type { Peer } from './peer.js';
import { replay } from './replay.js';
import { SdkPeer } from './sdk-peer.js';
import { declareAll, expectAllBack, type Survivors } from './restart.js';

const prefix = fromScript('MALAMUTE_C_PREFIX');
const cClient = fromScript('MALAMUTE_C_CLIENT');
const processes = useProcesses();

function fromScript(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run tests/interop/c-malamute.sh`);
  return value;
}

/** Called after each test, before the processes end. */
const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  // Clients before their broker: last in, first out.
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function c(): Promise<LinePeer> {
  return new LinePeer(await processes.start(cClient, [], { env: cEnvironment(prefix) }));
}

async function ourBroker(): Promise<string> {
  const broker = await startBroker({ bind: ['tcp://127.0.0.1:*'] });
  cleanups.push(async () => broker.stop());
  return broker.endpoints[0]!;
}

async function cBroker(): Promise<string> {
  return (await startCBroker(processes, prefix)).endpoint;
}

const PEERS = {
  'C client': c,
  SDK: (): Promise<Peer> => {
    const peer = new SdkPeer();
    cleanups.push(async () => peer.close());
    return Promise.resolve(peer);
  },
};

const PAIRS = [
  ['C client', 'C client'],
  ['C client', 'SDK'],
  ['SDK', 'C client'],
  ['SDK', 'SDK'],
] as const;

const STAGES = Object.entries({
  'our broker': { start: ourBroker, scenarios: { ...SCENARIOS, ...TRACKER_SCENARIOS } },
  'the C broker': { start: cBroker, scenarios: SCENARIOS },
});

describe.each(STAGES)('through %s', (_, { start, scenarios }) => {
  describe.each(PAIRS)('%s to %s', (one, other) => {
    it.each(Object.entries(scenarios))('%s', async (__, scenario) => {
      const endpoint = await start();
      await scenario({ endpoint, one: await PEERS[one](), other: await PEERS[other]() });
    });
  });
});

describe('the C client outlives our broker', () => {
  async function survivors(): Promise<Survivors & { writer: LinePeer }> {
    return { writer: await c(), reader: await c(), worker: await c() };
  }

  it('killed and back at once', async () => {
    const data = processes.folder();
    const { endpoint, child } = await startBrokerProcess(processes, data);
    const clients = await survivors();
    await declareAll(endpoint, clients);
    await child.stop('SIGKILL');
    await startBrokerProcess(processes, data, endpoint);
    await expectAllBack(endpoint, clients, await c());
  });

  it('away for so long that the client gives it up', async () => {
    const data = processes.folder();
    const { endpoint, child } = await startBrokerProcess(processes, data);
    const clients = await survivors();
    await declareAll(endpoint, clients);
    await child.stop();
    while ((await clients.writer.command('connected'))[0] === 'yes') await sleep(200);
    await startBrokerProcess(processes, data, endpoint);
    await expectAllBack(endpoint, clients, await c());
  });
});

describe('the C broker plays the transcripts', () => {
  it.each(cTranscripts.map(({ name, steps }) => [name, steps] as const))('%s', async (_, steps) => {
    const { endpoint } = await startCBroker(processes, prefix);
    await replay(endpoint, steps);
  });
});
