// What workers.yaml is made of: the keys of the file, of a wrapped command and
// of a server that speaks the OpenAI API. Only shapes; what fits together is
// checked in command-service.ts and model-service.ts.
import { z } from 'zod';
import { commandShape, environment, errors, exitCodes, input, output } from './command-shapes.js';
import {
  cache,
  duration,
  flag,
  keys,
  labels,
  oneOf,
  pattern,
  serviceName,
  size,
  text,
  wholeNumber,
} from './shapes.js';

const CAPACITY_MAX = 1000;

export const KINDS = ['command', 'openai'] as const;
export type Kind = (typeof KINDS)[number];

/** What every service has. */
const common = {
  service: serviceName.optional(),
  pattern: pattern.optional(),
  capacity: wholeNumber(1, CAPACITY_MAX).optional(),
  labels: labels.optional(),
  cache: cache.optional(),
  timeLimit: duration.optional(),
  outputMax: size.optional(),
};

/** @param resolve makes a path of the file's own folder absolute */
export function commandService(resolve: (path: string) => string) {
  return keys({
    kind: oneOf(['command']).optional(),
    ...common,
    command: commandShape(resolve),
    persistent: flag.optional(),
    startLimit: duration.optional(),
    readyLabels: labels.optional(),
    input: input.optional(),
    output: output.optional(),
    progress: oneOf(['stderr', 'stdout', 'percent', 'none']).optional(),
    memoryLimit: size.optional(),
    grace: duration.optional(),
    folder: text.transform(resolve).optional(),
    env: environment.optional(),
    exitCodes: exitCodes.optional(),
    errors: errors.optional(),
  });
}

export type WrittenCommandService = z.infer<ReturnType<typeof commandService>>;

/** What a model can be asked for. */
export const APIS = ['chat', 'images', 'speech', 'embeddings'] as const;
export type Api = (typeof APIS)[number];

const url = text.refine((value) => /^https?:\/\/[^\s/]/.test(value) && URL.canParse(value), {
  message: 'must be a URL as http://127.0.0.1:8000/v1',
});

const model = keys({
  ...common,
  model: text,
  api: oneOf(APIS),
  output: oneOf(['text', 'json']).optional(),
  parameters: z.record(z.string(), z.json()).optional(),
});

export const openaiService = keys({
  kind: oneOf(['openai']),
  url,
  keyFrom: text.optional(),
  models: z.array(model).min(1, 'names no model'),
});

export type WrittenOpenaiService = z.infer<typeof openaiService>;
export type WrittenModel = z.infer<typeof model>;

/** The file itself; its services are looked at one by one. */
export const file = keys({
  broker: text
    .refine((value) => /^(?:tcp|ipc):\/\/./.test(value), {
      message: 'must be an endpoint as tcp://HOST:PORT or ipc://PATH',
    })
    .optional(),
  address: serviceName.optional(),
  drain: duration.optional(),
  services: z.record(serviceName, z.unknown()),
});
