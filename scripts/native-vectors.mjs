// Writes tests/fixtures/native.json anew: the commands in it stay, their frames
// are what the built codec makes of them. Run it after a change of the wire that
// is meant, then read the difference: every other one breaks our peers.
import { Buffer } from 'node:buffer';
import { readFileSync, writeFileSync } from 'node:fs';
import { BatchWriter, NATIVE_COMMANDS } from '../dist/protocol/index.js';

const path = new URL('../tests/fixtures/native.json', import.meta.url);
const vectors = JSON.parse(readFileSync(path, 'utf8'));

function commandOf(row) {
  const types = NATIVE_COMMANDS[row.name].fields;
  const entries = Object.entries(row).map(([key, value]) => {
    if (types[key] === 'sections') return [key, Buffer.from(value, 'hex')];
    if (types[key] !== 'frames') return [key, value];
    return [key, value.map((frame) => Buffer.from(frame, 'hex'))];
  });
  return Object.fromEntries(entries);
}

for (const vector of vectors) {
  const batch = new BatchWriter();
  for (const row of vector.commands) batch.add(commandOf(row));
  vector.frames = batch.take().map((frame) => frame.toString('hex'));
}
writeFileSync(path, `${JSON.stringify(vectors, null, 2)}\n`);
