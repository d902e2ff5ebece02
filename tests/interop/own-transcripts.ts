// Which steps this project's broker must follow for each recorded scenario:
// the C broker's, or its own where it differs on purpose. Data only.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { transcripts } from '../support/vectors.js';
import type { Step } from './replay.js';

/** A scenario as our broker must play it. */
export interface OwnTranscript {
  name: string;
  shows: string;
  steps: readonly Step[];
}

const file = join(process.cwd(), 'tests', 'fixtures', 'transcripts-ours.json');
const differing = JSON.parse(readFileSync(file, 'utf8')) as OwnTranscript[];

/** All scenarios; those that differ on purpose come from `transcripts-ours.json`. */
export const ownTranscripts: readonly OwnTranscript[] = transcripts.map((recorded) => {
  const own = differing.find((transcript) => transcript.name === recorded.name);
  if (own) return own;
  if (recorded.follow) return recorded;
  throw new Error(`${recorded.name} differs on purpose: transcripts-ours.json must say how`);
});
