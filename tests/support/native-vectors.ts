// Native commands between values and JSON, for the golden vectors of the native
// wire (tests/fixtures/native.json): octets are written as hex.
import { readFileSync } from 'node:fs';
import { NATIVE_COMMANDS, type NativeCommand } from '../../protocol/index.js';

/** A command as JSON holds it: sections as hex, content frames as a list of hex. */
export type CommandRow = Readonly<Record<string, unknown>> & { readonly name: string };

/** One batch: its commands, and its ZeroMQ frames in hex. */
export interface BatchVector {
  readonly about: string;
  readonly commands: readonly CommandRow[];
  readonly frames: readonly string[];
}

export function nativeVectors(): readonly BatchVector[] {
  const file = new URL('../fixtures/native.json', import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as BatchVector[];
}

export function commandOf(row: CommandRow): NativeCommand {
  const types: Readonly<Record<string, string>> =
    NATIVE_COMMANDS[row.name as NativeCommand['name']].fields;
  const entries = Object.entries(row).map(([key, value]) => {
    if (types[key] === 'sections') return [key, Buffer.from(value as string, 'hex')];
    if (types[key] !== 'frames') return [key, value];
    return [key, (value as string[]).map((frame) => Buffer.from(frame, 'hex'))];
  });
  return Object.fromEntries(entries) as NativeCommand;
}
