// What the tests of the studio need of the machine: its programs. Where one is not
// installed, the tests say so and are skipped; .ci/run installs them all.
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
