// The options of `mlm work SERVICE -- COMMAND`: they say what a configuration
// says, and complaints name them.
import { loadConfig, type ServiceConfig } from '../../../workers/commands/config/load.js';
import { ConfigError } from '../../../workers/commands/config/problems.js';
import type { WorkArguments } from '../../../workers/cli/work.js';
import {
  optionNames,
  serviceOptionsIn,
  writtenOptions,
} from '../../../workers/cli/written-options.js';
import { serviceOf } from './commands-support.js';

function read(given: WorkArguments): ServiceConfig {
  const surroundings = { here: process.cwd(), environment: process.env };
  return loadConfig(writtenOptions('s', given), optionNames, surroundings).services[0]!;
}

function complaints(given: WorkArguments): readonly string[] {
  try {
    read({ command: ['cat'], ...given });
  } catch (error) {
    if (error instanceof ConfigError) return error.lines;
    return [(error as Error).message];
  }
  return [];
}

it('say what a configuration says', () => {
  const service = read({
    command: ['sh', '-c', 'true', '{{body.x}}'],
    pattern: '^a',
    capacity: '3',
    label: ['gpu=true', 'vramMb=24000', 'model=sam3'],
    cache: '7',
    cacheAge: '1h',
    input: 'json',
    inputFile: ['a.png=frame 1', 'b.png=body.b'],
    outputFile: ['*.png', 'x.json'],
    outputMax: '1MiB',
    progress: 'percent',
    timeLimit: '90s',
    memoryLimit: '1GiB',
    grace: '1s',
    env: ['A=1', 'HOME'],
    exitCode: ['3=bad-input'],
  });
  expect(service).toEqual(
    serviceOf(`command: [sh, -c, "true", "{{body.x}}"]
pattern: ^a
capacity: 3
labels: {gpu: true, vramMb: 24000, model: sam3}
cache: {version: "7", maxAge: 1h}
input: {stdin: json, files: {a.png: frame 1, b.png: body.b}}
output: {files: ["*.png", x.json]}
outputMax: 1MiB
progress: percent
timeLimit: 90s
memoryLimit: 1GiB
grace: 1s
env: [A=1, HOME]
exitCodes: {3: bad-input}`),
  );
});

it('one file is the reply as it is', () => {
  expect(read({ command: ['cat'], outputFile: ['x.png'] })).toEqual(
    serviceOf('command: [cat]\noutput: {files: x.png}'),
  );
});

it('a command that stays says what it has while it is ready', () => {
  const stays = { persistent: true, startLimit: '1s', readyLabel: ['models=sam3'] };
  expect(read({ command: ['cat'], ...stays })).toEqual(
    serviceOf('command: [cat]\npersistent: true\nstartLimit: 1s\nreadyLabels: {models: sam3}'),
  );
});

it.each<[WorkArguments, string]>([
  [{ persistent: true, readyLabel: ['a=b'] }, '--ready-label: needs a startLimit'],
  [{ readyLabel: ['a'] }, '--ready-label: write NAME=VALUE, not "a"'],
  [{ timeLimit: '5' }, '--time-limit: must be a duration'],
  [{ capacity: 'two' }, '--capacity: must be a whole number'],
  [{ label: ['gpu'] }, '--label: write NAME=VALUE, not "gpu"'],
  [{ input: 'jsn' }, '--input: "jsn" is no part of a request'],
  [{ inputFile: ['../x=body'] }, '--input-file ../x: must be the name of a file'],
  [{ output: 'txt' }, '--output: must be one of binary'],
  [{ outputFile: ['/x'] }, '--output-file: must be the name of a file'],
  [{ exitCode: ['3=bad'] }, '--exit-code 3: must be one of ok'],
  [{ cacheAge: '1h' }, '--cache: is missing'],
  [{ cache: '1', cacheAge: '1' }, '--cache-age: must be a duration'],
  [{ env: ['A B=1'] }, '--env: "A B" is no name of a variable'],
  [{ command: ['cat', '-{{body.x}}'] }, 'argument 2 of the command: "-{{body.x}}": the request'],
  [{ command: ['{{subject}}'] }, 'argument 1 of the command: the program cannot be chosen'],
  [{ persistent: true, input: 'json' }, '--input: a persistent command'],
])('%j is complained about by its name', (given, message) => {
  const lines = complaints(given);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain(message);
});

it('know which of them a configuration says itself', () => {
  expect(serviceOptionsIn({ config: 'x', check: true, endpoint: 'tcp://x:1' })).toEqual([]);
  expect(serviceOptionsIn({ timeLimit: '5s', label: ['a=b'] })).toEqual(['label', 'time-limit']);
});
