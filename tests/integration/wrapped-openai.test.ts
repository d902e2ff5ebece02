// Models of OpenAI-compatible servers as services, asked over real HTTP: what
// they are asked, what becomes the reply, and how refusals are read.
import type { Job } from '../../workers/index.js';
import { CommandWorkers } from '../../workers/commands/workers.js';
import { retryAfterMs } from '../../workers/commands/openai/server.js';
import { silentLog, startWorkers } from '../../workers/index.js';
import { connect } from '../../client/index.js';
import { decode } from '@msgpack/msgpack';
import { useBrokers } from '../support/brokers.js';
import { PATIENCE_MS } from '../support/processes.js';
import { until } from '../support/until.js';
import { PNG, startOpenaiServer, type OpenaiServer } from './wrapped-openai-server.js';
import {
  configOf,
  contextOf,
  failureOf,
  type Asked,
  type TestContext,
} from '../unit/workers/commands-support.js';

const newBroker = useBrokers();
let server: OpenaiServer;

beforeEach(async () => {
  server = await startOpenaiServer();
});
afterEach(() => server.close());

/** A configuration with one model. */
function configuration(model: string, api: string, more = ''): string {
  return `services:
  ai:
    kind: openai
    url: ${server.url}/
    keyFrom: MLM_TEST_KEY
    models: [{service: s, model: ${model}, api: ${api}${more}}]
`;
}

/** Has a model do one request. */
async function ask(
  model: string,
  api: string,
  asked: Asked | TestContext = {},
  more = '',
): Promise<unknown> {
  const { services } = configOf(configuration(model, api, more), {
    ...process.env,
    MLM_TEST_KEY: 'k3y',
  });
  const commands = new CommandWorkers(services, silentLog);
  const context = 'told' in asked ? asked : contextOf(asked);
  try {
    return await commands.workers[0]!.handle(context as unknown as Job);
  } finally {
    await commands.close();
  }
}

const text = (body: string): Asked => ({ body: Buffer.from(body) });

describe('a chat', () => {
  it('is streamed: each piece is a partial result, the text is the reply', async () => {
    const context = contextOf(text('hello?'));
    expect(String(await ask('m', 'chat', context))).toBe('Hello, wörld!');
    expect(context.emitted.map(String)).toEqual(['Hel', 'lo, wörld', '!']);
    expect(server.received).toMatchObject([
      {
        path: '/v1/chat/completions',
        authorization: 'Bearer k3y',
        body: { model: 'm', stream: true, messages: [{ role: 'user', content: 'hello?' }] },
      },
    ]);
  });

  it('has the parameters of the configuration, and those of the request', async () => {
    const body = { messages: [{ role: 'user', content: 'x' }], temperature: 1, model: 'other' };
    await ask('m', 'chat', { body }, ', parameters: {temperature: 0, top_p: 0.5, stop: null}');
    expect(server.received[0]?.body).toEqual({
      model: 'm',
      stream: true,
      temperature: 1,
      top_p: 0.5,
      messages: body.messages,
    });
  });

  it('may have pictures, as fields or as frames', async () => {
    const url = `data:image/png;base64,${PNG.toString('base64')}`;
    const content = [
      { type: 'text', text: 'what is it?' },
      { type: 'image_url', image_url: { url } },
    ];
    await ask('m', 'chat', { body: { prompt: 'what is it?', pictures: PNG, system: 'be brief' } });
    await ask('m', 'chat', { body: [Buffer.from('what is it?'), PNG] });
    expect(server.received.map(({ body }) => body['messages'])).toEqual([
      [
        { role: 'system', content: 'be brief' },
        { role: 'user', content },
      ],
      [{ role: 'user', content }],
    ]);
  });

  it('may be a value with all there is', async () => {
    const reply = await ask('caller', 'chat', text('draw'), ', output: json');
    const call = { id: 'c1', type: 'function', function: { name: 'draw', arguments: '{"a":1}' } };
    expect(reply).toEqual({
      text: '',
      toolCalls: [call],
      finishReason: 'tool_calls',
      usage: { total_tokens: 5 },
    });
  });

  it('is read from a server that does not stream, or streams octet by octet', async () => {
    expect(String(await ask('whole', 'chat', text('x')))).toBe('all at once');
    expect(String(await ask('pieces', 'chat', text('x')))).toBe('grüße');
  });

  it.each<[Asked, string]>([
    [{}, 'the body is empty'],
    [{ body: { n: 2, prompt: 'x' } }, 'n: a request has one answer'],
    [{ body: { messages: 'x' } }, 'messages must be a list'],
    [{ body: { temperature: 1 } }, 'neither prompt nor messages'],
    [{ body: { prompt: 'x', pictures: ['x'] } }, 'pictures must be bytes'],
    [{ body: [Buffer.from('x'), Buffer.from('y')] }, 'a picture must be PNG'],
    [{ body: Buffer.from([0xff, 0xfe]) }, 'the body is not text'],
  ])('that cannot be is not asked: %j', async (asked, message) => {
    const failure = await failureOf(ask('m', 'chat', asked));
    expect(failure.code).toBe('bad-input');
    expect(failure.message).toContain(message);
    expect(server.received).toEqual([]);
  });
});

describe('pictures', () => {
  it('one is one frame; several are a list of names, then each', async () => {
    expect(await ask('m', 'images', text('a lake'))).toEqual(PNG);
    expect(server.received[0]?.body).toEqual({
      model: 'm',
      prompt: 'a lake',
      response_format: 'b64_json',
    });
    const several = await ask('m', 'images', { body: { prompt: 'a lake', n: 2 } });
    const [names, ...pictures] = several as Buffer[];
    expect(decode(names!)).toEqual(['picture-1.png', 'picture-2.png']);
    expect(pictures).toEqual([PNG, PNG]);
  });

  it('of a server that sends none fail', async () => {
    expect(await failureOf(ask('no picture', 'images', text('x')))).toMatchObject({
      code: 'failed',
    });
    expect(await failureOf(ask('no json', 'images', text('x')))).toMatchObject({
      code: 'failed',
      message: 'the server did not answer with JSON',
    });
  });
});

it('speech is bytes', async () => {
  const reply = await ask('m', 'speech', text('hello'), ', parameters: {voice: alloy}');
  expect(reply).toEqual(Buffer.from('RIFF\xff', 'latin1'));
  expect(server.received[0]?.body).toEqual({ model: 'm', input: 'hello', voice: 'alloy' });
});

it('embeddings are numbers: a list for a text, lists for a list of texts, in its order', async () => {
  expect(await ask('m', 'embeddings', text('four'))).toEqual([4, 0.5]);
  const body = { input: ['a', 'bcd'] };
  expect(await ask('m', 'embeddings', { body })).toEqual([
    [1, 0.5],
    [3, 0.5],
  ]);
});

describe('a refusal', () => {
  it.each([
    ['picky', 'bad-input', 'status 400: prompt is too long'],
    ['strict', 'bad-input', 'status 422: [{"msg":"not a number"}]'],
    ['locked', 'not-ready', 'status 401: wrong key'],
    ['forbidden', 'not-ready', 'status 403: not for you'],
    ['unknown', 'not-ready', 'status 404: no such model'],
    ['teapot', 'failed', 'status 418: short and stout'],
    ['full', 'out-of-memory', 'CUDA out of memory'],
    ['broken', 'transient', 'status 502: <html>bad gateway</html>'],
    ['busy', 'transient', 'status 503: loading'],
    ['busy once', 'transient', 'it wants to be asked again after 50 ms'],
    ['hangs up', 'transient', 'did not answer to the end'],
    ['breaks off', 'transient', 'the answer of the server broke off'],
    ['fails late', 'out-of-memory', 'the server failed while it answered: out of memory'],
  ])('of the model "%s" is %s', async (model, code, message) => {
    const failure = await failureOf(ask(model, 'chat', text('x')));
    expect(failure.code).toBe(code);
    expect(failure.message).toContain(message);
  });

  it('for want of a key is in the log, loud', async () => {
    const errors: string[] = [];
    const log = { ...silentLog, error: (message: string) => void errors.push(message) };
    await failureOf(ask('locked', 'chat', { ...contextOf(text('x')), log }));
    expect(errors).toEqual([expect.stringContaining('status 401: wrong key')]);
  });

  it('of a server that is not there leaves the request to another worker', async () => {
    await server.close();
    const failure = await failureOf(ask('m', 'chat', text('x')));
    expect(failure.code).toBe('not-ready');
    expect(failure.message).toContain(`there is no server at ${server.url}`);
    server = await startOpenaiServer();
  });

  it.each([
    ['3', 3000],
    ['0.5', 500],
    ['soon', undefined],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
    ['99999', 300_000],
    [null, undefined],
  ])('says when to ask again: %p', (header, ms) => {
    expect(retryAfterMs(header)).toBe(ms);
  });
});

describe('a request that is over', () => {
  it.each(['endless', 'silent'])('hangs up on the server (%s)', async (model) => {
    const over = new AbortController();
    const asked = failureOf(ask(model, 'chat', { ...text('x'), signal: over.signal }));
    await until(() => server.received.length > 0, 'the request at the server');
    over.abort(new Error('never mind'));
    expect((await asked).message).toBe('never mind');
    await server.received[0]?.hungUp;
  });

  it('because its time is, hangs up, too', async () => {
    const asked = failureOf(ask('endless', 'chat', text('x'), ', timeLimit: 100ms'));
    expect(await asked).toMatchObject({ code: 'time-limit' });
    await server.received[0]?.hungUp;
  });

  it('because there is too much of it, hangs up, too', async () => {
    const asked = failureOf(ask('endless', 'chat', text('x'), ', outputMax: 1KiB'));
    expect((await asked).message).toContain('more than the 1024 octets it may');
    await server.received[0]?.hungUp;
  });

  it('because nobody takes its pieces, hangs up, too', async () => {
    const onEmit = (): never => {
      throw new Error('too much waits to be sent');
    };
    const failure = await failureOf(ask('endless', 'chat', { ...text('x'), onEmit }));
    expect(failure.message).toBe('too much waits to be sent');
    await server.received[0]?.hungUp;
  });
});

it('over a broker, a model is a service, and a busy server is asked again when it wants to be', async () => {
  const { endpoint } = await newBroker();
  const { services } = configOf(configuration("'busy once'", 'chat'));
  const commands = new CommandWorkers(services, silentLog);
  const group = await startWorkers(commands.workers, { endpoint, log: silentLog });
  const client = await connect(endpoint);
  const reply = await client.request('s', '', Buffer.from('hello?'), { timeoutMs: PATIENCE_MS });
  expect(reply.text()).toBe('Hello, wörld!');
  expect(server.received).toHaveLength(2);
  await client.close();
  await group.stop();
  await commands.close();
});
