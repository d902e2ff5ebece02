// The golden vectors of the native wire: each batch is read and written to the
// last octet as tests/fixtures/native.json says.
import {
  BatchReader,
  BatchWriter,
  isBatch,
  NATIVE_COMMANDS,
  type NativeCommand,
} from '../../../protocol/index.js';
import { commandOf, nativeVectors } from '../../support/native-vectors.js';

const vectors = nativeVectors();

function read(frames: readonly Buffer[]): NativeCommand[] {
  const batch = new BatchReader(frames);
  const commands: NativeCommand[] = [];
  for (let next = batch.next(); next !== undefined; next = batch.next()) commands.push(next);
  return commands;
}

function write(commands: readonly NativeCommand[]): Buffer[] | undefined {
  const batch = new BatchWriter();
  for (const command of commands) batch.add(command);
  return batch.take();
}

it.each(vectors)('$about', ({ commands, frames }) => {
  const wanted = commands.map(commandOf);
  const octets = frames.map((frame) => Buffer.from(frame, 'hex'));
  expect(isBatch(octets[0])).toBe(true);
  expect(write(wanted)?.map((frame) => frame.toString('hex'))).toEqual(frames);
  expect(read(octets)).toEqual(wanted);
});

it('the vectors hold every command', () => {
  const names = new Set(vectors.flatMap(({ commands }) => commands.map(({ name }) => name)));
  expect([...names].toSorted()).toEqual(Object.keys(NATIVE_COMMANDS).toSorted());
});

it('a batch is what docs/protocol.md draws', () => {
  // AA A9 | PING: number 8, no frames of its own, no payload | CREDIT: 7, 0, 8 octets: handle, amount
  const octets = Buffer.from('aaa9' + '080000000000' + '070000000008' + '00000000000003e8', 'hex');
  expect(read([octets])).toEqual([{ name: 'PING' }, { name: 'CREDIT', handle: 0, amount: 1000 }]);
});

it('what is large travels in frames of its own, which nobody copies', () => {
  const large = Buffer.alloc(16 * 1024, 1);
  const small = Buffer.from('s');
  const mail = (content: Buffer[]): NativeCommand => {
    return { name: 'MAILBOX SEND', address: 'a', subject: '', tracker: '', timeout: 0, content };
  };
  const commands = [mail([small, large]), mail([small]), mail([large])];
  const frames = write(commands) as Buffer[];
  expect(frames.slice(1)).toEqual([small, large, large]);
  expect(frames[2]).toBe(large);
  expect(read(frames)).toEqual(commands);
  expect(() => read(frames.slice(0, -1))).toThrow('1 frames announced, 0 there');
});
