import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { announcement } from '../../../broker/announce.js';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'malamute-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A folder with a command `mlm-tail` in it. */
function installed(...names: string[]): string {
  const path = join(folder, ...names);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'mlm-tail'), '#!/bin/sh\n');
  chmodSync(join(path, 'mlm-tail'), 0o755);
  return path;
}

const tailLine = (endpoints: string[], path = ''): string | undefined =>
  announcement(endpoints, path).find((line) => line.includes('mlm-tail'));

it('says where the broker listens', () => {
  const endpoints = ['tcp://127.0.0.1:4711', 'ipc:///run/mlm'];
  expect(announcement(endpoints, '').slice(0, 2)).toEqual([
    'listening on tcp://127.0.0.1:4711',
    'listening on ipc:///run/mlm',
  ]);
});

it.each([
  ['tcp://127.0.0.1:9999', ''],
  ['tcp://0.0.0.0:9999', ''],
  ['tcp://0.0.0.0:4711', ' -e tcp://127.0.0.1:4711'],
  ['tcp://[::]:9999', ' -e tcp://[::1]:9999'],
  ['ipc:///run/mlm', ' -e ipc:///run/mlm'],
  ["ipc:///a b/it's", " -e 'ipc:///a b/it'\\''s'"],
])('%s is reached by what can be typed in a shell', (endpoint, option) => {
  expect(tailLine([endpoint])?.replace("'tcp://[::1]:9999'", 'tcp://[::1]:9999')).toBe(
    `  npx mlm-tail${option} greetings`,
  );
});

it('names the command by itself where a shell finds it', () => {
  const path = ['', join(folder, 'nowhere'), installed('bin')].join(delimiter);
  expect(tailLine(['tcp://127.0.0.1:9999'], path)).toBe('  mlm-tail greetings');
});

it('does not count what npm puts on the path of its own scripts, and no plain file', () => {
  const npm = installed('node_modules', '.bin');
  const plain = installed('plain');
  chmodSync(join(plain, 'mlm-tail'), 0o644);
  const line = tailLine(['tcp://127.0.0.1:9999'], [npm, plain].join(delimiter));
  expect(line).toBe('  npx mlm-tail greetings');
});
