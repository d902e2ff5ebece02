// The models of one OpenAI-compatible server in a configuration, from what was
// written to what can be asked. It asks nothing.
import type { Labels } from '../../../client/index.js';
import type { ModelSpec } from '../openai/model.js';
import { OUTPUT_BYTES_MAX, type Surroundings } from './command-service.js';
import type { Problem } from './problems.js';
import type { WrittenModel, WrittenOpenaiService } from './service-shapes.js';
import { labelsProblem } from './shapes.js';

/** @param server where the model is */
export function modelSpec(
  { url, keyFrom }: WrittenOpenaiService,
  { model, api, output = 'text', parameters = {}, timeLimit, outputMax }: WrittenModel,
  { environment }: Surroundings,
): ModelSpec {
  return {
    url: url.replace(/\/+$/, ''),
    key: keyFrom === undefined ? undefined : environment[keyFrom],
    model,
    api,
    output,
    parameters,
    timeLimitMs: timeLimit,
    outputBytesMax: outputMax ?? OUTPUT_BYTES_MAX,
  };
}

/** What does not fit together. */
export function modelProblems({ models }: WrittenOpenaiService): Problem[] {
  return models.flatMap((model, at): Problem[] => {
    const { api, output } = model;
    const message = labelsProblem(modelLabels(model));
    const labels = message === undefined ? [] : [{ path: ['models', at, 'labels'], message }];
    if (output === undefined || api === 'chat') return labels;
    return [...labels, { path: ['models', at, 'output'], message: 'is for the api chat only' }];
  });
}

/** What its worker says of itself: the model, and what was written. */
export function modelLabels({ model, labels }: WrittenModel): Labels {
  return { models: [model], ...labels };
}

/** What this machine lacks to ask the server. */
export function modelLacks({ keyFrom }: WrittenOpenaiService, { environment }: Surroundings) {
  if (keyFrom === undefined || (environment[keyFrom] ?? '') !== '') return [];
  return [{ path: ['keyFrom'], message: `the variable ${keyFrom} is not set` }];
}
