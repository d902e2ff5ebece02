// The recorded vectors of the C codec and broker, typed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command, CommandName } from '../../protocol/index.js';

const fixtures = join(process.cwd(), 'tests', 'fixtures');

function load(file: string): unknown {
  return JSON.parse(readFileSync(join(fixtures, file), 'utf8'));
}

/** A command as the vectors write it: fields in snake case, content in hex. */
export type RecordedFields = Record<string, string | number | string[]>;

export interface FrameVector {
  message: CommandName;
  fields: RecordedFields;
  frames: string[];
}

export interface PatternVectors {
  subjects: string[];
  patterns: { pattern: string; expected: string[] | string }[];
}

export interface TranscriptStep {
  client: string;
  send?: string[];
  receive?: string[] | null;
  decoded?: RecordedFields & { message: CommandName };
}

export interface Transcript {
  name: string;
  shows: string;
  steps: TranscriptStep[];
  follow: boolean;
  ours?: string;
}

export const frameVectors = load('frames.json') as FrameVector[];
export const patternVectors = load('patterns.json') as PatternVectors;
export const transcripts = load('transcripts.json') as Transcript[];

/** The command that a recorded message stands for. */
export function commandOf(message: CommandName, fields: RecordedFields): Command {
  const entries = Object.entries(fields).map(([key, value]): [string, unknown] => [
    key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
    Array.isArray(value) ? fromHex(value) : value,
  ]);
  return { name: message, ...Object.fromEntries(entries) } as Command;
}

export function fromHex(frames: string[]): Buffer[] {
  return frames.map((frame) => Buffer.from(frame, 'hex'));
}
