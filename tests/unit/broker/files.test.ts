import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfigFile } from '../../../broker/config-file.js';
import { OptionError } from '../../../broker/options.js';
import { removeReadyFile, writeReadyFile } from '../../../broker/ready-file.js';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'malamute-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a config file', () => {
  function readBack(text: string): Record<string, unknown> {
    const path = join(folder, 'broker.yaml');
    writeFileSync(path, text);
    return readConfigFile(path);
  }

  function messageOf(text: string): string {
    try {
      readBack(text);
    } catch (error) {
      expect(error).toBeInstanceOf(OptionError);
      return (error as Error).message;
    }
    throw new Error('the file was taken');
  }

  it('is YAML', () => {
    const text = 'timeout: 500\nbind:\n  - tcp://127.0.0.1:1\n  - ipc:///run/mlm\n# a comment\n';
    expect(readBack(text)).toEqual({ timeout: 500, bind: ['tcp://127.0.0.1:1', 'ipc:///run/mlm'] });
  });

  it('may be JSON', () => {
    expect(readBack('{"timeout": 500, "log-level": "warn"}')).toEqual({
      timeout: 500,
      'log-level': 'warn',
    });
  });

  it.each(['', '# nothing but a comment\n', '{}'])('may say nothing: %j', (text) => {
    expect(readBack(text)).toEqual({});
  });

  it.each(['- a\n- b\n', 'timeout', '7', '"x"'])('is not %j', (text) => {
    expect(messageOf(text)).toContain(`${join(folder, 'broker.yaml')}: `);
  });

  it('that does not parse is named with the line', () => {
    const message = messageOf('timeout: 500\nbind: [tcp://127.0.0.1:1\n');
    expect(message).toMatch(/broker\.yaml:[23]: /);
    expect(message).not.toContain('\n');
  });

  it('with the same key twice is refused', () => {
    expect(messageOf('timeout: 500\ntimeout: 600\n')).toContain('broker.yaml:2: ');
  });

  it.each([
    ['is not there', 'none.yaml', 'ENOENT'],
    ['is a folder', '.', 'EISDIR'],
    ['is no text', 'picture.yaml', 'it is not UTF-8'],
  ])('that %s is named', (_, name, why) => {
    writeFileSync(join(folder, 'picture.yaml'), Buffer.from([0x74, 0x3a, 0x20, 0xff, 0xfe]));
    const path = join(folder, name);
    expect(() => readConfigFile(path)).toThrow(OptionError);
    expect(() => readConfigFile(path)).toThrow(`cannot read the config file ${path}: ${why}`);
  });

  it('may begin with a byte order mark', () => {
    expect(readBack('\ufefftimeout: 500\n')).toEqual({ timeout: 500 });
  });

  it('does not grow beyond what it is', () => {
    const levels = ['a: &a [x,x,x,x,x,x,x,x,x,x]'];
    for (const [from, to] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg']) {
      levels.push(`${to}: &${to} [${new Array(10).fill(`*${from}`).join(',')}]`);
    }
    expect(messageOf(levels.join('\n'))).toMatch(/^[^\n]*broker\.yaml: .*alias/);
  });
});

describe('the ready file', () => {
  it('says where the broker listens and which process it is, and goes again', () => {
    const path = join(folder, 'ready.json');
    writeReadyFile(path, ['tcp://127.0.0.1:4711', 'ipc:///run/mlm']);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
      pid: process.pid,
      endpoints: ['tcp://127.0.0.1:4711', 'ipc:///run/mlm'],
    });
    expect(readdirSync(folder)).toEqual(['ready.json']);
    removeReadyFile(path);
    removeReadyFile(path);
    expect(existsSync(path)).toBe(false);
  });

  it.each(['{"pid": 1, "endpoints": []}', 'not JSON', 'null', ''])(
    'that is not ours any more stays: %j',
    (text) => {
      const path = join(folder, 'ready.json');
      writeFileSync(path, text);
      removeReadyFile(path);
      expect(readFileSync(path, 'utf8')).toBe(text);
    },
  );

  it('does not take the place of a folder', () => {
    expect(() => writeReadyFile(folder, [])).toThrow(`cannot write the ready file ${folder}`);
    expect(existsSync(`${folder}.${process.pid}`)).toBe(false);
  });

  it('that cannot be written is named, and leaves nothing behind', () => {
    const path = join(folder, 'nowhere', 'ready.json');
    expect(() => writeReadyFile(path, [])).toThrow(`cannot write the ready file ${path}`);
    expect(readdirSync(folder)).toEqual([]);
  });
});
