// The small demonstration, which needs no program but Node.js: a broker, two workers
// that resize pictures, a requester with a folder of them and `mlm-tail` on the stream
// of results, each a process of its own. The play stands in demo-resize-play.ts.
//
//   npm run demo:resize [-- OUTPUT [PICTURES]]
import { fileURLToPath } from 'node:url';
import { play } from './demo-resize-play.js';
import { perform } from './demo-stage.js';

const PICTURES = fileURLToPath(new URL('../../../workers/examples/pictures', import.meta.url));

const [output, pictures = PICTURES] = process.argv.slice(2);
await perform(output, (stage) => play(stage, pictures));
