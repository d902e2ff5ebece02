// One request to a model of an OpenAI-compatible server: a chat, pictures,
// speech or embeddings, from the body of a request to that of its reply. How
// servers are reached, and what their refusals mean, stands in server.ts.
import { encodeBody } from '../../../client/index.js';
import type { CommandContext } from '../context.js';
import { failure, reasonOf, timeOver } from '../failure.js';
import { RequestBody } from '../request-body.js';
import { Teller } from '../telling.js';
import { chatParameters, parametersOf, pictureType, valueOf, type Parameters } from './asking.js';
import { ChatCollector } from './chat.js';
import { eventsOf } from './event-stream.js';
import type { ModelSpec } from './model.js';
import { chunksOf, readAll, type ModelServer } from './server.js';

/** One request on its way through an API. */
interface Call {
  readonly spec: ModelSpec;
  readonly body: RequestBody;
  readonly teller: Teller;
  /** Posts the parameters. */
  readonly post: (path: string, parameters: Parameters) => Promise<Response>;
}

/**
 * Asks a model.
 *
 * @returns the reply's body
 * @throws {JobError} of the class that the failure has; where the signal fires, its reason
 */
export async function askModel(
  spec: ModelSpec,
  server: ModelServer,
  context: CommandContext,
): Promise<unknown> {
  context.signal.throwIfAborted();
  const ended = new AbortController();
  const teller = new Teller(context, (error) => ended.abort(error));
  const signal = AbortSignal.any([context.signal, ended.signal]);
  const unlimit = limitTime(spec, ended);
  const { key } = spec;
  const { log } = context;
  try {
    return await APIS[spec.api]({
      spec,
      body: new RequestBody(context.body),
      teller,
      post: (path, body) => server.post({ path, key, body, signal, log }),
    });
  } catch (error) {
    throw signal.aborted ? reasonOf(signal) : error;
  } finally {
    unlimit();
    teller.end();
  }
}

/** @returns takes the limit away */
function limitTime({ timeLimitMs, model }: ModelSpec, ended: AbortController): () => void {
  if (timeLimitMs === undefined) return () => undefined;
  const message = `"${model}" did not answer within its time limit of ${timeLimitMs} ms`;
  const timer = setTimeout(() => ended.abort(timeOver(message)), timeLimitMs);
  return () => clearTimeout(timer);
}

const APIS: Readonly<Record<ModelSpec['api'], (call: Call) => Promise<unknown>>> = {
  chat,
  images,
  speech,
  embeddings,
};

/** Pieces of the text are partial results. */
async function chat({ spec, body, teller, post }: Call): Promise<unknown> {
  const response = await post('/chat/completions', chatParameters(spec, body));
  const collector = new ChatCollector((text) => teller.emit(Buffer.from(text)));
  if (response.headers.get('content-type')?.includes('event-stream') === true) {
    const chunks = chunksOf(response, spec.outputBytesMax);
    for await (const data of eventsOf(chunks)) collector.take(data);
  } else {
    collector.takeWhole(await readAll(response, spec.outputBytesMax));
  }
  const { text, toolCalls, finishReason, usage } = collector.answer();
  if (spec.output === 'text') return Buffer.from(text);
  return { text, toolCalls, finishReason: finishReason ?? null, usage: usage ?? null };
}

/** One picture is one frame; several are a list of names, then each. */
async function images({ spec, body, post }: Call): Promise<unknown> {
  const parameters = parametersOf(spec, body, 'prompt', { response_format: 'b64_json' });
  const { data } = valueOf(
    await readAll(await post('/images/generations', parameters), spec.outputBytesMax),
  );
  const pictures = listOf(data).map(({ b64_json: base64 }) => {
    if (typeof base64 === 'string') return Buffer.from(base64, 'base64');
    throw failure('failed', 'the server sent no picture as b64_json');
  });
  const { n } = parameters;
  if (n !== undefined && n !== 1) {
    const names = pictures.map(
      (picture, at) => `picture-${at + 1}.${pictureType(picture) ?? 'bin'}`,
    );
    return [...encodeBody(names), ...pictures];
  }
  const [picture] = pictures;
  if (picture === undefined) throw failure('failed', 'the server sent no picture');
  return picture;
}

async function speech({ spec, body, post }: Call): Promise<unknown> {
  const response = await post('/audio/speech', parametersOf(spec, body, 'input'));
  return readAll(response, spec.outputBytesMax);
}

/** One text is one vector, a list of texts a list of vectors. */
async function embeddings({ spec, body, post }: Call): Promise<unknown> {
  const parameters = parametersOf(spec, body, 'input', { encoding_format: 'float' });
  const { data } = valueOf(
    await readAll(await post('/embeddings', parameters), spec.outputBytesMax),
  );
  const vectors = listOf(data)
    .map(({ index, embedding }) => ({ index: Number(index ?? 0), embedding }))
    .sort((a, b) => a.index - b.index)
    .map(({ embedding }) => embedding);
  if (!vectors.every(Array.isArray) || vectors.length === 0) {
    throw failure('failed', 'the server sent no list of numbers');
  }
  return Array.isArray(parameters['input']) ? vectors : vectors[0];
}

/** @throws {JobError} failed where the server sent something else */
function listOf(data: unknown): readonly Parameters[] {
  if (Array.isArray(data) && data.every((item) => typeof item === 'object' && item !== null)) {
    return data as readonly Parameters[];
  }
  throw failure('failed', 'the answer of the server has no list of data');
}
