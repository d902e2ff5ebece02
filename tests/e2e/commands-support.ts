// What the tests of the commands share: the built commands and broker as real
// processes, a client beside them that sees what they do, and a peer that speaks
// MLM/1 as a C broker does.
import { join } from 'node:path';
import { Router } from 'zeromq';
import { connect, type MlmClient } from '../../client/index.js';
import { decode, encode, type Command, type CommandName } from '../../protocol/index.js';
import { startBrokerProcess, type BrokerProcess } from '../support/broker-process.js';
import {
  PATIENCE_MS,
  useProcesses,
  type Child,
  type Exit,
  type Processes,
} from '../support/processes.js';
import { until } from '../support/until.js';

export const MLM = join(process.cwd(), 'dist', 'client', 'commands', 'mlm.js');
export const MLM_TAIL = join(process.cwd(), 'dist', 'client', 'commands', 'mlm-tail.js');

/** A broker process. */
export type Broker = BrokerProcess;

/** How a command ended, and what it printed. */
export interface Result extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

export interface Commands extends Processes {
  /** Starts a broker. @param bind default: any free port */
  broker: (bind?: string) => Promise<Broker>;
  /** A client beside the commands; closed after the test. */
  client: (endpoint: string, address?: string) => Promise<MlmClient>;
  /** Starts `mlm …`, or `mlm-tail …` where the first argument is `mlm-tail`. */
  begin: (endpoint: string | undefined, args: readonly string[]) => Promise<Child>;
  /** Runs a command to its end, with nothing on its standard input. */
  run: (endpoint: string | undefined, args: readonly string[], input?: string) => Promise<Result>;
  /** Runs a line of shell in which `$MLM` and `$MLM_TAIL` are the commands. */
  shell: (endpoint: string, line: string) => Promise<Result>;
}

/** Call it once at the top of a test file. */
export function useCommands(): Commands {
  const clients = new Set<MlmClient>();
  // Before the brokers end: what is on its way still arrives.
  afterEach(async () => {
    await Promise.all([...clients].map((client) => client.close()));
    clients.clear();
  });
  const processes = useProcesses();

  const begin: Commands['begin'] = (endpoint, [first = '', ...rest]) => {
    const args = first === 'mlm-tail' ? [MLM_TAIL, ...rest] : [MLM, first, ...rest];
    return processes.start(process.execPath, args, { env: { MLM_ENDPOINT: endpoint } });
  };

  return {
    ...processes,
    begin,

    broker: (bind) => startBrokerProcess(processes, bind === undefined ? {} : { bind }),

    client: async (endpoint, address) => {
      const client = await connect(endpoint, { address, connectTimeoutMs: PATIENCE_MS });
      clients.add(client);
      return client;
    },

    run: async (endpoint, args, input = '') => {
      const child = await begin(endpoint, args);
      child.write(input);
      child.endInput();
      return resultOf(child);
    },

    shell: async (endpoint, line) => {
      const child = await processes.start('bash', ['-o', 'pipefail', '-c', line], {
        env: {
          MLM_ENDPOINT: endpoint,
          MLM: `${process.execPath} ${MLM}`,
          MLM_TAIL: `${process.execPath} ${MLM_TAIL}`,
        },
      });
      child.endInput();
      return resultOf(child);
    },
  };
}

export async function resultOf(child: Child): Promise<Result> {
  const exit = await child.waitForExit();
  return { ...exit, stdout: child.stdout, stderr: child.stderr };
}

/** Waits until so many clients read a stream. */
export async function untilRead(client: MlmClient, stream: string, readers = 1): Promise<void> {
  await until(async () => {
    const rows = (await client.request('$broker', 'streams')).value();
    const row = (rows as { stream: string; readers: number }[]).find(
      (each) => each.stream === stream,
    );
    return (row?.readers ?? 0) === readers;
  }, `${readers} readers of ${stream}`);
}

/** A peer that opens and closes sessions of MLM/1 and answers PINGs, and has nothing else. */
export interface V1Peer {
  readonly endpoint: string;
  /** What it received, without PINGs. */
  readonly received: Command[];
  close: () => Promise<void>;
}

/** @param brings what it sends after its answer to the command `after` */
export async function startV1Peer(
  brings: readonly Command[] = [],
  after: CommandName = 'CONNECTION OPEN',
): Promise<V1Peer> {
  const router = new Router({ linger: 0 });
  await router.bind('tcp://127.0.0.1:*');
  const received: Command[] = [];
  const answersTo = (command: Command): Command[] => {
    const ok: Command = { name: 'OK', statusCode: 200, statusReason: '' };
    const more = command.name === after ? brings : [];
    switch (command.name) {
      case 'CONNECTION OPEN':
      case 'CONNECTION CLOSE':
      case 'STREAM READ':
      case 'STREAM CANCEL':
      case 'STREAM WRITE':
        return [ok, ...more];
      case 'CONNECTION PING':
        return [{ name: 'CONNECTION PONG' }];
      default:
        return [];
    }
  };
  const serving = (async () => {
    for await (const [id, ...frames] of router) {
      const command = decode(frames);
      if (command.name !== 'CONNECTION PING') received.push(command);
      for (const answer of answersTo(command)) await router.send([id!, ...encode(answer)]);
    }
  })();
  const close = async (): Promise<void> => {
    router.close();
    await serving;
  };
  return { endpoint: router.lastEndpoint!, received, close };
}
