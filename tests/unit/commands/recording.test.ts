// Recordings: their lines, and files of them that are whole, damaged or no
// recordings at all.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RecordingFile } from '../../../client/commands/shared/recording-file.js';
import { Recorder } from '../../../client/commands/shared/recorder.js';
import {
  endLine,
  headerLine,
  messageLine,
  readHeader,
  readLine,
} from '../../../client/commands/shared/recording.js';
import { StreamMessage } from '../../../client/message.js';

const HEADER = { stream: 's', recorded: '2026-01-31T10:52:07.501Z' };
let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'malamute-test-'));
  path = join(folder, 'a.rec');
});
afterEach(() => rmSync(folder, { recursive: true }));

function message(sequence: number, ...content: Buffer[]): StreamMessage {
  return new StreamMessage('s', 'who', `n.${sequence}`, content, sequence, 1000 + sequence);
}

/** What a file tells, message by message, until it ends or fails. */
async function read(text: string | Buffer): Promise<{ messages: number[]; whole: boolean }> {
  writeFileSync(path, text);
  const file = await RecordingFile.open(path);
  const messages: number[] = [];
  try {
    await file.header();
    for await (const { message } of file.messages()) messages.push(message.sequence);
    return { messages, whole: file.isWhole };
  } catch (error) {
    const { message } = error as Error;
    throw new Error(`after ${messages.join()}: ${message}`, { cause: error });
  } finally {
    await file.close();
  }
}

it('a message comes out of its line as it went in, octet by octet', () => {
  const every = Buffer.from(Array.from({ length: 256 }, (_, octet) => octet));
  for (const content of [[], [Buffer.alloc(0)], [every], [Buffer.from('a'), every.subarray(1)]]) {
    const subject = 'sübject "\n\u2028\u0000';
    const line = messageLine(new StreamMessage('s', 'sénder', subject, content, 7, 1234));
    expect(line.trimEnd()).not.toContain('\n');
    expect(readLine(line)).toEqual({
      kind: 'message',
      sequence: 7,
      timeMs: 1234,
      sender: 'sénder',
      subject,
      frames: content,
    });
  }
});

it('the first and the last line say what the file is', () => {
  expect(headerLine(HEADER)).toBe(
    '{"format":"malamute-recording","version":1,"stream":"s","recorded":"2026-01-31T10:52:07.501Z"}\n',
  );
  expect(readHeader(headerLine(HEADER))).toEqual(HEADER);
  expect(endLine(3)).toBe('{"end":true,"messages":3}\n');
  expect(readLine(endLine(3))).toEqual({ kind: 'end', messages: 3 });
});

it('what a later program adds to a line is passed over', () => {
  const line = '{"sequence":1,"timeMs":2,"sender":"","subject":"","frames":[],"more":{}}';
  expect(readLine(line)).toMatchObject({ sequence: 1, frames: [] });
});

it.each([
  ['{"sequence":1', 'it is not JSON'],
  ['[1]', 'it is not a JSON object'],
  ['{"sequence":-1,"timeMs":2,"sender":"","subject":"","frames":[]}', 'sequence: '],
  ['{"sequence":1,"timeMs":"2","sender":"","subject":"","frames":[]}', 'timeMs: '],
  ['{"sequence":1,"timeMs":2,"sender":"","frames":[]}', 'subject: '],
  ['{"sequence":1,"timeMs":2,"sender":"","subject":"","frames":["YQ==","a b"]}', 'frames.1: '],
  ['{"sequence":1,"timeMs":2,"sender":"","subject":"","frames":"YQ=="}', 'frames: '],
  ['{"end":true}', 'messages: '],
])('the line %s says what is wrong with it', (line, complaint) => {
  expect(() => readLine(line)).toThrow(complaint);
});

describe('a file', () => {
  const head = headerLine(HEADER);
  const one = messageLine(message(1, Buffer.from('a')));
  const two = messageLine(message(2, Buffer.alloc(3_000_000, 7)));

  it('is read message by message, however long its lines are', async () => {
    expect(await read(head + one + two + one + endLine(3))).toEqual({
      messages: [1, 2, 1],
      whole: true,
    });
    expect(await read(head + endLine(0))).toEqual({ messages: [], whole: true });
  });

  it('that was broken off between two lines is read, and known not to be whole', async () => {
    expect(await read(head + one)).toEqual({ messages: [1], whole: false });
    expect(await read(head)).toEqual({ messages: [], whole: false });
  });

  it.each([
    ['', 'after : PATH is empty: it is not a recording'],
    ['hello\n', 'after : PATH, line 1: it is not JSON; it is not a recording'],
    ['{"a":1}\n', 'after : PATH, line 1: format: it is not "malamute-recording"'],
    [
      head.replace('"version":1', '"version":2'),
      'after : PATH, line 1: version: this program reads 1 only',
    ],
    [head.slice(0, 20), 'after : PATH, line 1: it is cut off'],
    [head + one + one.slice(0, -1), 'after 1: PATH, line 3: it is cut off'],
    [`${head}${one}\n${one}`, 'after 1: PATH, line 3: it is not JSON'],
    [head + one + one + endLine(3), 'after 1,1: PATH, line 4: it tells of 3, but there are 2'],
    [head + one + endLine(1) + one, 'after 1: PATH, line 4: something stands after the end'],
    [head + one + head, 'after 1: PATH, line 3: sequence: '],
  ])('like %j fails with the line that is wrong', async (text, complaint) => {
    await expect(read(text)).rejects.toThrow(complaint.replace('PATH', path));
  });

  it('that is none says so', async () => {
    await expect(RecordingFile.open(join(folder, 'none'))).rejects.toThrow(
      /there is no file .*none/,
    );
    const directory = await RecordingFile.open(folder);
    await expect(directory.header()).rejects.toThrow(/cannot read .*: it is a directory/);
    await directory.close();
  });
});

describe('a recorder', () => {
  it('writes a file that is whole', async () => {
    const recorder = await Recorder.create(path, false, HEADER);
    await recorder.add([message(1, Buffer.from('a')), message(2)]);
    await recorder.add([message(3)]);
    await recorder.end();
    expect(recorder.messages).toBe(3);
    const file = await RecordingFile.open(path);
    expect(await file.header()).toEqual(HEADER);
    const seen: string[] = [];
    for await (const { line, message: recorded } of file.messages()) {
      seen.push(`${line} ${recorded.subject} ${recorded.frames.join()}`);
    }
    expect([seen, file.isWhole]).toEqual([['2 n.1 a', '3 n.2 ', '4 n.3 '], true]);
    await file.close();
  });

  it('leaves a file alone that is there, unless it is to overwrite it', async () => {
    writeFileSync(path, 'precious');
    await expect(Recorder.create(path, false, HEADER)).rejects.toThrow(
      `${path} is there already: --force overwrites it`,
    );
    const recorder = await Recorder.create(path, true, HEADER);
    await recorder.end();
    await expect(read(head() + endLine(0))).resolves.toMatchObject({ whole: true });
  });

  it.each([
    [() => join(folder, 'none', 'a.rec'), /cannot create .*: its folder does not exist/],
    [() => folder, /cannot create .*: it is a directory/],
  ])('says why it cannot create a file', async (where, complaint) => {
    await expect(Recorder.create(where(), true, HEADER)).rejects.toThrow(complaint);
  });

  it('says that the disk is full', async () => {
    await expect(Recorder.create('/dev/full', true, HEADER)).rejects.toThrow(
      'cannot write /dev/full: there is no room left; 0 messages are in it',
    );
  });
});

function head(): string {
  return headerLine(HEADER);
}
