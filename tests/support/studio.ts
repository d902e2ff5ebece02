// What the tests of the studio need of the machine: its programs, and a way to hold a
// job in its middle. Where a program is not installed, the tests say so and are
// skipped; .ci/run installs them all.
import { writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { findProgram } from '../../workers/commands/find-program.js';

const PROGRAMS = ['tesseract', 'convert', 'espeak-ng', 'ffmpeg', 'ffprobe'];
const PACKAGES = 'tesseract-ocr imagemagick espeak-ng ffmpeg fonts-dejavu-core';

/** `it`, or `it.skip` where a program is missing; a line says which. Call it once in a file. */
export function studioTests(): typeof it {
  const path = process.env['PATH'];
  const missing = PROGRAMS.filter((program) => findProgram(program, path) === undefined);
  if (missing.length === 0) return it;
  console.log(`skipped: no ${missing.join(', ')} here; apt-get install ${PACKAGES}`);
  return it.skip;
}

/**
 * Puts words of shell in front of every program of the studio. A worker with this PATH runs them
 * before it runs a program; where they wait, so does the job.
 *
 * @param folder where the scripts are written
 * @param words with the program's name as `$program`, and its arguments as `$*`
 * @returns the PATH on which the scripts are found first
 */
export function pathWith(folder: string, words: string): string {
  const path = process.env['PATH'] ?? '';
  for (const program of PROGRAMS) {
    const found = findProgram(program, path) ?? program;
    const script = `#!/bin/sh\nprogram=${program}\n${words}\nexec '${found}' "$@"\n`;
    writeFileSync(join(folder, program), script, { mode: 0o755 });
  }
  return `${folder}${delimiter}${path}`;
}
