// The original Malamute in C against ours: its client with our broker, our SDK
// with its broker, every pattern, and each client through a restart of each
// broker. Run by c-malamute.sh, which compiles the C driver; not part of
// `npm test`, since few machines have the C Malamute.
import { setTimeout as sleep } from 'node:timers/promises';
import { startBroker } from '../../broker/index.js';
import { useProcesses, type Child } from '../support/processes.js';
import { startBrokerProcess } from '../support/broker-process.js';
import { cEnvironment, startCBroker } from './c-broker.js';
import { LinePeer } from './line-peer.js';
import { cTranscripts } from './own-transcripts.js';
import { SCENARIOS, TRACKER_SCENARIOS } from './patterns.js';
import type { Peer } from './peer.js';
import { replay } from './replay.js';
import { SdkPeer } from './sdk-peer.js';
import { declareAll, expectAllBack } from './restart.js';

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

interface Running {
  endpoint: string;
  child: Child;
}

/** Both brokers as processes, with a way to start the same one again. */
const PROCESSES: Record<string, () => (bind?: string) => Promise<Running>> = {
  'our broker': () => {
    const data = processes.folder();
    return async (bind) =>
      startBrokerProcess(processes, { data, ...(bind === undefined ? {} : { bind }) });
  },
  'the C broker': () => async (bind) => startCBroker(processes, prefix, bind),
};

describe.each(Object.entries(PROCESSES))('%s is killed and comes back', (_, prepare) => {
  it.each(Object.entries(PEERS))('%s goes on', async (__, make) => {
    const start = prepare();
    const { endpoint, child } = await start();
    const survivors = { writer: await make(), reader: await make(), worker: await make() };
    await declareAll(endpoint, survivors);
    await child.stop('SIGKILL');
    await start(endpoint);
    await expectAllBack(endpoint, survivors, await c());
  });
});

it('our broker is away for so long that the C client gives it up; then it goes on', async () => {
  const data = processes.folder();
  const { endpoint, child } = await startBrokerProcess(processes, { data });
  const survivors = { writer: await c(), reader: await c(), worker: await c() };
  await declareAll(endpoint, survivors);
  await child.stop();
  while ((await survivors.writer.command('connected'))[0] === 'yes') await sleep(200);
  await startBrokerProcess(processes, { data, bind: endpoint });
  await expectAllBack(endpoint, survivors, await c());
});

describe('the C broker plays the transcripts', () => {
  it.each(cTranscripts.map(({ name, steps }) => [name, steps] as const))('%s', async (_, steps) => {
    const { endpoint } = await startCBroker(processes, prefix);
    await replay(endpoint, steps);
  });
});
