// What happens to the jobs of a run, out of what `mlm tail --json` prints of the
// stream `$jobs`: read from its lines, and put in words. It follows nothing itself.

/** What is read of a line: who does what, for which item of which step. */
export interface JobNews {
  /** `10:41:03.501` */
  readonly time: string;
  readonly service: string;
  /** Empty for a job that is no step of a run. */
  readonly step: string;
  /** The item of its step, from 0. */
  readonly index: number;
  readonly event: string;
  readonly worker: string;
  readonly attempt: number;
  /** Why, how far, how much: what there is to say beside. */
  readonly detail: string;
}

/** The frame with what happened; a reply has its own frames behind it. */
interface Frame {
  readonly encoding: string;
  readonly body: unknown;
}

interface Said {
  readonly event: string;
  readonly worker?: string;
  readonly attempt?: number;
  readonly reason?: string;
  readonly fraction?: number;
  readonly note?: string;
}

const STEP_WIDTH = 10;
const EVENT_WIDTH = 9;

/** @param line one message as `mlm tail --json` prints it, of the stream `$jobs` */
export function readNews(line: string): JobNews {
  const message = JSON.parse(line) as Frame & { readonly time: string; readonly subject: string };
  const [first = message, ...reply] =
    message.encoding === 'frames' ? (message.body as readonly Frame[]) : [message];
  const said = first.body as Said;
  const { event, worker = '', attempt = 0 } = said;
  // SERVICE/RUN.STEP.INDEX.ATTEMPT
  const [service = '', job = ''] = message.subject.split('/');
  const [, step = '', index] = job.split('.');
  return {
    time: message.time.slice(11, 23),
    service,
    step,
    index: Number(index),
    event,
    worker,
    attempt,
    detail: detailOf(said, reply),
  };
}

function detailOf({ event, reason, fraction, note }: Said, reply: readonly Frame[]): string {
  if (event === 'succeeded') return reply.map(frameText).join(', ');
  const share = fraction === undefined ? undefined : `${Math.round(fraction * 100)} %`;
  return [reason, share, note].filter((part) => part !== undefined).join(' ');
}

function frameText({ encoding, body }: Frame): string {
  if (encoding !== 'base64') return JSON.stringify(body);
  return `${Buffer.from(body as string, 'base64').length} bytes`;
}

/** In words: `10:41:03.501  card 2     started    worker-1` */
export function newsLine(news: JobNews): string {
  const { time, step, index, event, worker, attempt, detail } = news;
  const what = `${step} ${index + 1}`.padEnd(STEP_WIDTH);
  const by = attempt > 1 ? `${worker}, attempt ${attempt}` : worker;
  const said = detail === '' ? by : `${by}: ${detail}`;
  return `${time}  ${what} ${event.padEnd(EVENT_WIDTH)}  ${said}`.trimEnd();
}
