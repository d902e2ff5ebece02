// What can happen to a run, as it is written to the stream `pipelines`: everything
// that a run is stands in these events, and nowhere else. Their shapes only; what
// follows from them is state.ts.
import { z } from 'zod';
import { FILES_STREAM, FileValue, JOBS_STREAM, mapFiles } from './file-value.js';

/** The stream of all runs; the subject of an event is the id of its run. */
export const RUNS_STREAM = 'pipelines';

/** Items of one `forEach`. */
export const ITEMS_MAX = 10_000;

const count = z.int().min(0);
const name = z.string().max(255);
const path = z.array(z.union([z.string(), z.number()]));

const fileShape = z.object({
  /** Where in the value it belongs. */
  at: path,
  name,
  bytes: count,
  stream: z.enum([FILES_STREAM, JOBS_STREAM]),
  sequence: count,
  frame: count,
  path: path.optional(),
});

/** A value with its files taken out: these are named by where they lie. */
const storedShape = z.object({
  value: z.unknown().optional(),
  files: z.array(fileShape).optional(),
});
export type Stored = z.infer<typeof storedShape>;

/** One attempt of one job of a step. */
const instance = { step: name, index: count, attempt: count };

const shapes = {
  /** The run is wanted. By whoever wants it; the first event of a run. */
  submitted: z.object({
    /** The name of the pipeline's file, and what it says. */
    file: z.string(),
    source: z.string(),
    inputs: storedShape,
    /** The id of the request for it. */
    request: name,
  }),
  /** An orchestrator has it now; what others that had it before write does not count. */
  taken: z.object({
    /** The last message of `$jobs` before any job of the run. */
    jobsAfter: count,
  }),
  /** What a step has to do is known. */
  opened: z.object({
    step: name,
    /** Items of its `forEach`; without one, null. */
    items: count.max(ITEMS_MAX).nullable(),
  }),
  skipped: z.object({ step: name, reason: z.string() }),
  started: z.object({ ...instance, service: name }),
  succeeded: z.object({ ...instance, worker: name, output: storedShape }),
  failed: z.object({
    step: name,
    /** Null where the step as a whole failed: its `when` or `forEach`. */
    index: count.nullable(),
    attempt: count,
    reason: z.string(),
    /** The input, as much of it as fits a line. */
    input: z.string(),
    /** False where it is to be tried again. */
    final: z.boolean(),
  }),
  /** Nobody knows any more what became of the job: it is to be done again. */
  lost: z.object(instance),
  /** The job was cancelled with the run. */
  stopped: z.object(instance),
  /** The run is not wanted any more. By anyone. */
  cancelling: z.object({ reason: z.string() }),
  /** What failed is to be tried again. By anyone, once the run is over. */
  resumed: z.object({
    /** The id of the request for it. */
    request: name,
  }),
  finished: z.object({
    state: z.enum(['succeeded', 'failed', 'cancelled']),
    reason: z.string(),
    outputs: storedShape,
  }),
} as const;

export type RunEventName = keyof typeof shapes;
export type RunEvent = {
  [Name in RunEventName]: { readonly event: Name } & Readonly<z.infer<(typeof shapes)[Name]>>;
}[RunEventName];

/** What every event of a run tells beside, so that one alone says which run it is of. */
const headShape = z.object({
  event: z.enum(Object.keys(shapes) as [RunEventName, ...RunEventName[]]),
  pipeline: name,
  /** The sequence of the run's first event; 0 in that one. */
  since: count,
  /** The holding in which an orchestrator wrote it; absent where somebody else did. */
  holding: name.optional(),
});
export type RunHead = z.infer<typeof headShape>;

/** An event as it stands in the stream. */
export interface LoggedEvent {
  readonly sequence: number;
  /** When the broker accepted it, ms since 1970. */
  readonly timeMs: number;
  readonly head: RunHead;
  readonly event: RunEvent;
}

/** What an event is as a message's body. */
export function bodyOf(head: Omit<RunHead, 'event'>, event: RunEvent): Record<string, unknown> {
  return { ...head, ...event };
}

/** @returns undefined where a body is no event: anyone can write to a stream */
export function eventOf(body: unknown): { head: RunHead; event: RunEvent } | undefined {
  const head = headShape.safeParse(body);
  if (!head.success) return undefined;
  const event = shapes[head.data.event].safeParse(body);
  if (!event.success) return undefined;
  return { head: head.data, event: { event: head.data.event, ...event.data } as RunEvent };
}

/** Takes the files out of a value. */
export function store(value: unknown): Stored {
  const files: z.infer<typeof fileShape>[] = [];
  const without = mapFiles(value, (file, at) => {
    const { name, bytes } = file;
    const { path: within, ...where } = FileValue.at(file);
    files.push({ at: [...at], name, bytes, ...where, ...(within && { path: [...within] }) });
    return null;
  });
  return { value: without, ...(files.length > 0 && { files }) };
}

/** Puts the files back into a value. */
export function restore({ value, files = [] }: Stored): unknown {
  let whole = value;
  for (const { at, name, bytes, ...where } of files) {
    whole = replaceAt(whole, at, new FileValue(name, bytes, where));
  }
  return whole;
}

/** The value with another one at a place; a place that it does not have changes nothing. */
function replaceAt(
  whole: unknown,
  [key, ...rest]: readonly (string | number)[],
  by: unknown,
): unknown {
  if (key === undefined) return by;
  if (typeof whole !== 'object' || whole === null || !Object.hasOwn(whole, key)) return whole;
  const copy = (Array.isArray(whole) ? [...(whole as unknown[])] : { ...whole }) as Record<
    string | number,
    unknown
  >;
  copy[key] = replaceAt(copy[key], rest, by);
  return copy;
}
