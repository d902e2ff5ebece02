// Writing to more streams than may be open at a time: handles are closed when
// others are needed, and every message leaves under the handle of its stream.
import type { MlmClient } from '../../../client/client.js';
import { BlockReader, type NativeCommand } from '../../../protocol/index.js';
import { MlmError } from '../../../client/errors.js';
import { range } from '../../support/sessions.js';
import { settle } from './fakes.js';
import { NativeFakeBroker } from './native-fakes.js';

const OPEN_MAX = 1000;

let broker: NativeFakeBroker;
let client: MlmClient;
/** The streams that are open at the broker, by handle. */
let open: Map<number, string>;
let handles: number;
let mostOpen: number;

beforeEach(async () => {
  open = new Map();
  handles = mostOpen = 0;
  broker = new NativeFakeBroker();
  broker.script = (method, given) => {
    if (method === 'unwrite') open.delete(given['handle'] as number);
    if (method !== 'write') return {};
    open.set(++handles, given['stream'] as string);
    mostOpen = Math.max(mostOpen, open.size);
    return { handle: handles };
  };
  client = await broker.connect();
});

/** The messages that left, as `stream/subject`; each must leave under a handle that is open then. */
function sent(): string[] {
  const names = new Map<number, string>();
  const messages: string[] = [];
  let handle = 0;
  for (const command of broker.link.said) {
    if (command.name === 'CALL' && command.method === 'write') {
      names.set(++handle, (command.arguments as { stream: string }).stream);
    } else if (command.name === 'CALL' && command.method === 'unwrite') {
      names.delete((command.arguments as { handle: number }).handle);
    } else if (command.name === 'STREAM SEND') messages.push(...messagesOf(command, names));
  }
  return messages;
}

function messagesOf(
  { handle, sections }: NativeCommand<'STREAM SEND'>,
  names: ReadonlyMap<number, string>,
): string[] {
  const reader = new BlockReader(sections);
  const messages: string[] = [];
  while (reader.next()) messages.push(`${names.get(handle)}/${reader.subject}`);
  return messages;
}

it('many streams, one after the other, leaves so many open at most', async () => {
  for (const n of range(1, 2500)) {
    client.stream(`s${n}`).publish('x');
    if (n % 100 === 0) await client.flush();
  }
  await client.flush();
  expect(sent()).toEqual(range(1, 2500).map((n) => `s${n}/x`));
  expect(mostOpen).toBe(OPEN_MAX);
  expect([...open.values()]).toContain('s2500');
});

it('many streams at once, again and again, keeps their order', async () => {
  const streams = range(1, 1200).map((n) => client.stream(`s${n}`));
  for (const round of [1, 2, 3]) {
    for (const stream of streams) stream.publish(String(round));
    await client.flush();
  }
  const rounds = [1, 2, 3].flatMap((round) => streams.map(({ name }) => `${name}/${round}`));
  expect(sent()).toEqual(rounds);
  expect(mostOpen).toBe(OPEN_MAX);
});

it('what is in use stays open, and what was closed is opened again', async () => {
  const busy = client.stream('busy');
  for (const n of range(1, 1500)) {
    client.stream(`s${n}`).publish('x');
    busy.publish(String(n));
    await settle();
  }
  await client.flush();
  const calls = broker.link.calls('write').map(({ stream }) => stream);
  expect(calls.filter((stream) => stream === 'busy')).toHaveLength(1);
  client.stream('s1').publish('again');
  await client.flush();
  expect(sent().slice(-1)).toEqual(['s1/again']);
});

it('in a new session nothing is taken for open', async () => {
  for (const n of range(1, 1100)) client.stream(`s${n}`).publish('x');
  await client.flush();
  open.clear();
  handles = mostOpen = 0;
  broker.link.cut(new MlmError('DISCONNECTED', 'gone'));
  await broker.clock.pass(1000);
  for (const n of range(1, 1100)) client.stream(`s${n}`).publish('y');
  await client.flush();
  expect(sent()).toEqual(range(1, 1100).map((n) => `s${n}/y`));
  expect(mostOpen).toBe(OPEN_MAX);
});
