// The demonstration: a broker, three processes that each offer the tools of the
// studio, `mlm run` with a pipeline over a picture and a video, and `mlm tail` on
// what happens to the jobs. One of the workers is killed in the middle. The play
// stands in demo-play.ts, what it needs in demo-programs.ts.
//
//   npm run demo [-- OUTPUT [PICTURE VIDEO]]
import { fileURLToPath } from 'node:url';
import { play } from './demo-play.js';
import { missingPackages } from './demo-programs.js';
import { perform } from './demo-stage.js';

const STUDIO = new URL('../../../workers/examples/studio/', import.meta.url);

function inStudio(name: string): string {
  return fileURLToPath(new URL(name, STUDIO));
}

const missing = missingPackages();
const [output, picture = inStudio('poster.jpg'), video = inStudio('film.mp4')] =
  process.argv.slice(2);
if (missing.length > 0) {
  const advice = 'or, for a demonstration without them, "npm run demo:resize"';
  console.error(`demo: programs are missing here: apt-get install ${missing.join(' ')}; ${advice}`);
  process.exitCode = 1;
} else {
  const files = {
    workers: inStudio('workers.yaml'),
    pipeline: inStudio('studio.yaml'),
    inputs: [picture, video],
  };
  await perform(output, (stage) => play(stage, files));
}
