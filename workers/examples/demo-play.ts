// The play of the demonstration: who is started with what, who is killed when, and
// what is counted. What demonstrations have in common, and how they end, stands in
// demo-stage.ts.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { connect } from 'malamute-ts';
import { requirePipeline } from 'malamute-ts/workers';
import { newsLine, readNews, type JobNews } from './demo-events.js';
import type { Part } from './demo-processes.js';
import { MLM, startBroker, until, untilReady, type Stage } from './demo-stage.js';

const WORKERS = ['worker-1', 'worker-2', 'worker-3'];
/** The worker that begins with this item of this step is killed. */
const DEADLY = { step: 'card', index: 1 };
/** How soon the broker takes a silent worker for dead, ms: nobody wants to watch it wait. */
const SILENCE_MS = 3000;
/** The job that is the run itself is the last one that ends. */
const RUNS = 'pipelines';

/** What the demonstration is made of: paths. */
interface StudioFiles {
  /** The services, and what is done with them. */
  readonly workers: string;
  readonly pipeline: string;
  /** For the inputs of the pipeline, in their order. */
  readonly inputs: readonly string[];
}

/**
 * Plays it once.
 *
 * @returns who did what, in lines
 * @throws {Error} where something is not there in time; a process that fails tells `processes`
 */
export async function play(stage: Stage, files: StudioFiles): Promise<string[]> {
  const { output, processes, say, over } = stage;
  const pipeline = requirePipeline(files.pipeline, readFileSync(files.pipeline, 'utf8'));
  const services = [...new Set([...pipeline.steps.values()].map(({ service }) => service))];
  const endpoint = await startBroker(stage, ['--timeout', String(SILENCE_MS)]);
  const env = { MLM_ENDPOINT: endpoint, MLM_LOG_LEVEL: 'error' };
  const workers = new Map(
    WORKERS.map((name) => [name, startWorker(stage, name, files.workers, env)] as const),
  );
  const history = new History((name) => {
    workers.get(name)?.kill();
    say('demo', `${name} is killed (SIGKILL) in the middle of its work`);
  });
  const tail = processes.start('mlm-tail', MLM, ['tail', '$jobs', '--json'], {
    env,
    shown: (line) => history.take(line),
  });
  say('mlm-tail', `follows the stream "$jobs" (pid ${tail.pid ?? 0})`);

  const client = await connect(endpoint, { signal: over });
  over.addEventListener('abort', () => void client.close());
  const offered = Object.fromEntries(services.map((service) => [service, WORKERS.length]));
  await untilReady(client, { services: offered, streams: { $jobs: 1 } }, over);
  const run = processes.start(
    'mlm-run',
    MLM,
    ['run', files.pipeline, ...files.inputs, '--out', output],
    { env, ends: true },
  );
  const given = files.inputs.map((path) => basename(path)).join(' and ');
  say('mlm-run', `runs the pipeline "${pipeline.name}" over ${given} (pid ${run.pid ?? 0})`);
  await run.ended;
  await until('the end of all jobs', over, () => history.isOver);
  return history.summary();
}

/** One that offers all tools, as it would on a machine of its own. */
function startWorker(
  { processes, folder, say }: Stage,
  name: string,
  config: string,
  env: Readonly<Record<string, string>>,
): Part {
  // What a killed worker leaves behind goes away with the folder.
  const own = { MLM_ADDRESS: name, MLM_DRAIN_TIMEOUT: '1000', TMPDIR: folder };
  const worker = processes.start(name, MLM, ['work', '--config', config], {
    env: { ...env, ...own },
  });
  say(name, `offers the tools of workers.yaml (pid ${worker.pid ?? 0})`);
  return worker;
}

/** What has happened to the jobs so far. */
class History {
  readonly #kill: (worker: string) => void;
  #killed: string | undefined;
  #isOver = false;
  /** Jobs that are done, with who did them; and those that the killed worker left. */
  readonly #done = new Map<string, string>();
  readonly #left: string[] = [];

  /** @param kill called once, with the worker that is to die */
  constructor(kill: (worker: string) => void) {
    this.#kill = kill;
  }

  /** True once the run was shown to its end. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Takes a line of `mlm tail --json`. @returns what is shown of it, if anything is */
  take(line: string): string | undefined {
    const news = readNews(line);
    if (news.service === RUNS) this.#isOver ||= news.event === 'succeeded';
    else this.#note(news);
    return news.service === RUNS || news.event === 'queued' ? undefined : newsLine(news);
  }

  #note({ step, index, event, worker }: JobNews): void {
    const job = `${step} ${index + 1}`;
    if (event === 'succeeded') this.#done.set(job, worker);
    if (event === 'retrying' && worker === this.#killed) this.#left.push(job);
    if (event !== 'started' || this.#killed !== undefined) return;
    if (step !== DEADLY.step || index !== DEADLY.index) return;
    this.#killed = worker;
    // After the line that tells why.
    setImmediate(() => this.#kill(worker));
  }

  summary(): string[] {
    const shares = WORKERS.map((name) => {
      const jobs = [...this.#done].filter(([, worker]) => worker === name).map(([job]) => job);
      const did = `${name} did ${jobs.length === 0 ? 'nothing' : jobs.join(', ')}`;
      if (name !== this.#killed) return `${did}.`;
      return `${did}, and was killed; others then did ${this.#left.join(', ')}.`;
    });
    return [...shares, `All ${this.#done.size} jobs are done. What was made:`];
  }
}
