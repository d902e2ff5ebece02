// Which steps this project's broker must follow: for each recorded scenario
// the C broker's, or its own where it differs on purpose; and further
// scenarios that nobody recorded. Data only.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { transcripts } from '../support/vectors.js';
import type { Step } from './replay.js';

/** A scenario as our broker must play it. */
export interface OwnTranscript {
  name: string;
  shows: string;
  steps: readonly Step[];
  /** Not recorded, but the C broker does the same: played against it where there is one. */
  as_c?: true;
}

const file = join(process.cwd(), 'tests', 'fixtures', 'transcripts-ours.json');
const own = JSON.parse(readFileSync(file, 'utf8')) as OwnTranscript[];

function ours(name: string): OwnTranscript {
  const transcript = own.find((candidate) => candidate.name === name);
  if (transcript) return transcript;
  throw new Error(`${name} differs on purpose: transcripts-ours.json must say how`);
}

/** All scenarios that our broker must play. */
export const ownTranscripts: readonly OwnTranscript[] = [
  ...transcripts.map((recorded) => (recorded.follow ? recorded : ours(recorded.name))),
  ...own.filter(({ name }) => !transcripts.some((recorded) => recorded.name === name)),
];

/** All scenarios that the C broker plays too. */
export const cTranscripts: readonly OwnTranscript[] = [
  ...transcripts.filter(({ follow }) => follow),
  ...own.filter(({ as_c: asC }) => asC),
];
