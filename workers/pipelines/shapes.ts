// The shapes of a pipeline file: which keys there are, and what kind of value each
// takes. What the values mean together is checked in definition.ts.
import { z } from 'zod';
import type { LabelCondition } from '../../client/index.js';
import { DURATION_USAGE, parseDuration } from '../commands/config/units.js';
import { isCondition } from './wants.js';

/** What an input can be. */
const INPUT_TYPES = ['string', 'number', 'boolean', 'json', 'file', 'files'] as const;
export type InputType = (typeof INPUT_TYPES)[number];

/**
 * How an input travels to a worker: as a MessagePack value, UTF-8 text, JSON text, or as
 * files: a frame with the list of their names, then a frame for each. One file alone is
 * always its octets.
 */
const INPUT_FORMS = ['value', 'text', 'json', 'files'] as const;
export type InputForm = (typeof INPUT_FORMS)[number];

/** How the reply of a worker is read: as those, as one file, or each frame as a file without a name. */
export const OUTPUT_FORMS = ['value', 'text', 'json', 'file', 'files', 'frames'] as const;
export type OutputForm = (typeof OUTPUT_FORMS)[number];

/** Jobs of one step at a time: unless said, and at most. */
export const PARALLEL = 10;
const PARALLEL_MAX = 1000;
const ATTEMPTS_MAX = 100;
const DELAY_MS_MAX = 24 * 60 * 60 * 1000;
const DURATION_MS_MAX = 7 * DELAY_MS_MAX;

const text = (): z.ZodString => z.string({ error: 'must be a text' }).min(1, 'must not be empty');
const whole = (min: number, max: number): z.ZodNumber => {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.int({ error }).min(min, error).max(max, error);
};
const oneOf = <const Names extends readonly string[]>(names: Names) =>
  z.enum(names, { error: `must be one of ${names.join(', ')}` });
const names = z.preprocess(
  (given) => (typeof given === 'string' ? [given] : given),
  z.array(text(), { error: 'must be the name of a step, or a list of names' }),
);

const DURATION = `must be ${DURATION_USAGE}`;
const duration = z.string({ error: DURATION }).transform((given, context) => {
  const ms = parseDuration(given);
  if (ms !== undefined && ms <= DURATION_MS_MAX) return ms;
  context.addIssue({
    code: 'custom',
    message: ms === undefined ? DURATION : 'must be 168h at most',
  });
  return z.NEVER;
});

const inputMap = z.strictObject(
  {
    type: oneOf(INPUT_TYPES),
    default: z.unknown().optional(),
    description: text().optional(),
  },
  { error: `must be one of ${INPUT_TYPES.join(', ')}, or a map with "type"` },
);
const inputShape = z.preprocess(
  (given) => (typeof given === 'string' ? { type: given } : given),
  inputMap,
);

const retryShape = z.strictObject(
  { attempts: whole(1, ATTEMPTS_MAX), delayMs: whole(0, DELAY_MS_MAX).default(0) },
  { error: 'must be a map with "attempts"' },
);

const LABEL = 'a text, a number, true or false, a list of these, or a map of "min" and "max"';
const condition = z
  .custom<LabelCondition>(isCondition, { error: `must be ${LABEL}` })
  .refine((given) => !JSON.stringify(given).includes('${{'), 'cannot be an expression');
const conditions = z.record(z.string(), condition, { error: 'must be a map of labels' });

const workerShape = z.strictObject(
  { needs: conditions.optional(), prefers: conditions.optional(), settle: duration.optional() },
  { error: 'must be a map of "needs", "prefers" and "settle"' },
);

const stepShape = z.strictObject(
  {
    service: text(),
    subject: z.string({ error: 'must be a text' }).optional(),
    description: text().optional(),
    input: z.unknown().optional(),
    inputAs: oneOf(INPUT_FORMS).optional(),
    outputAs: oneOf(OUTPUT_FORMS).optional(),
    needs: names.optional(),
    after: names.optional(),
    when: z.unknown().optional(),
    forEach: z.unknown().optional(),
    parallel: whole(1, PARALLEL_MAX).optional(),
    retry: retryShape.optional(),
    timeLimit: duration.optional(),
    worker: workerShape.optional(),
  },
  { error: 'must be a map with "service"' },
);

const mapOf = <Shape extends z.ZodType>(shape: Shape, of: string) =>
  z.record(z.string(), shape, { error: `must be a map of ${of}` });

export const pipelineShape = z.strictObject(
  {
    name: text(),
    version: z.union([z.string(), z.number()], { error: 'must be a text or a number' }).optional(),
    description: text().optional(),
    inputs: mapOf(inputShape, 'inputs').optional(),
    steps: mapOf(stepShape, 'steps'),
    outputs: mapOf(z.unknown(), 'outputs').optional(),
  },
  { error: 'must be a map with "name" and "steps"' },
);

export type PipelineShape = z.infer<typeof pipelineShape>;
export type StepShape = z.infer<typeof stepShape>;

const SHAPES_IN_STEP: Readonly<Record<string | number, z.ZodObject>> = {
  retry: retryShape,
  worker: workerShape,
};

/** The keys that there are at a place in the file, for whom wrote another. */
export function keysAt(path: readonly (string | number)[]): readonly string[] {
  const [area, , part] = path;
  if (area === undefined) return Object.keys(pipelineShape.shape);
  if (area === 'inputs') return Object.keys(inputMap.shape);
  return Object.keys((SHAPES_IN_STEP[part ?? ''] ?? stepShape).shape);
}
