// A server that speaks the OpenAI API over real HTTP, for tests: it answers what
// the model's name says, and remembers what it was asked. It thinks of nothing.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request that came. */
export interface Received {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: Record<string, unknown>;
  /** Resolves when the requester has hung up before the answer was whole. */
  readonly hungUp: Promise<void>;
}

export interface OpenaiServer {
  readonly url: string;
  readonly port: number;
  readonly received: Received[];
  close(): Promise<void>;
}

type Answer = (response: ServerResponse, asked: Received, times: number) => void;

export async function startOpenaiServer(port = 0): Promise<OpenaiServer> {
  const received: Received[] = [];
  const times = new Map<string, number>();
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const asked: Received = {
        path: request.url ?? '',
        authorization: request.headers.authorization,
        body,
        hungUp: new Promise((resolve) => {
          response.once('close', () => {
            if (!response.writableFinished) resolve();
          });
        }),
      };
      received.push(asked);
      const model = typeof body['model'] === 'string' ? body['model'] : '';
      const count = (times.get(model) ?? 0) + 1;
      times.set(model, count);
      (ANSWERS[model] ?? answerOf)(response, asked, count);
    });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${address.port}/v1`,
    port: address.port,
    received,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString('utf8');
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
}

/** The smallest PNG there is, as far as its beginning tells. */
export const PNG = Buffer.from('\x89PNG\r\n\x1a\nrest', 'latin1');

function answerOf(response: ServerResponse, { path, body }: Received): void {
  switch (path) {
    case '/v1/chat/completions':
      stream(response, ['Hel', 'lo, wörld', '!']);
      break;
    case '/v1/images/generations': {
      const count = Number(body['n'] ?? 1);
      json(response, 200, {
        data: Array.from({ length: count }, () => ({ b64_json: PNG.toString('base64') })),
      });
      break;
    }
    case '/v1/audio/speech':
      response
        .writeHead(200, { 'content-type': 'audio/wav' })
        .end(Buffer.from('RIFF\xff', 'latin1'));
      break;
    case '/v1/embeddings': {
      const input = Array.isArray(body['input']) ? body['input'] : [body['input']];
      const data = input.map((text, index) => ({ index, embedding: [String(text).length, 0.5] }));
      json(response, 200, { data: data.reverse() });
      break;
    }
    default:
      json(response, 404, { error: { message: `no ${path} here` } });
  }
}

/** What models of certain names do. */
const ANSWERS: Readonly<Record<string, Answer>> = {
  picky: (response) => json(response, 400, { error: { message: 'prompt is too long' } }),
  strict: (response) => json(response, 422, { detail: [{ msg: 'not a number' }] }),
  locked: (response) => json(response, 401, { error: { message: 'wrong key' } }),
  forbidden: (response) => json(response, 403, { error: 'not for you' }),
  unknown: (response) => json(response, 404, { error: { message: 'no such model' } }),
  teapot: (response) => json(response, 418, { message: 'short and stout' }),
  full: (response) => json(response, 500, { error: { message: 'CUDA out of memory' } }),
  broken: (response) => response.writeHead(502).end('<html>bad gateway</html>'),
  'busy once': (response, asked, times) => {
    if (times > 1) answerOf(response, asked);
    else json(response, 429, { error: { message: 'slow down' } }, { 'retry-after': '0.05' });
  },
  busy: (response) => json(response, 503, { error: { message: 'loading' } }),
  silent: () => undefined,
  'hangs up': (response) => {
    event(response, { choices: [{ delta: { content: 'half' } }] });
    setImmediate(() => response.destroy());
  },
  'breaks off': (response) => {
    event(response, { choices: [{ delta: { content: 'half' } }] });
    response.end();
  },
  'fails late': (response) => {
    event(response, { choices: [{ delta: { content: 'half' } }] });
    event(response, { error: { message: 'out of memory' } });
    response.end();
  },
  endless: (response) => {
    const more = (): void => {
      if (response.destroyed) return;
      event(response, { choices: [{ delta: { content: 'token ' } }] });
      setTimeout(more, 1);
    };
    more();
  },
  whole: (response) => {
    const message = { role: 'assistant', content: 'all at once' };
    json(response, 200, {
      choices: [{ message, finish_reason: 'stop' }],
      usage: { total_tokens: 3 },
    });
  },
  caller: (response) => {
    const call = (piece: object) =>
      event(response, { choices: [{ delta: { tool_calls: [piece] } }] });
    call({ index: 0, id: 'c1', function: { name: 'draw', arguments: '{"a' } });
    call({ index: 0, function: { arguments: '":1}' } });
    event(response, { choices: [{ delta: {}, finish_reason: 'tool_calls' }] });
    event(response, { choices: [], usage: { total_tokens: 5 } });
    response.end('data: [DONE]\n\n');
  },
  pieces: (response) => {
    const bytes = Buffer.from(
      'data: {"choices":[{"delta":{"content":"grüße"}}]}\r\n\r\n: comment\r\ndata: [DONE]\r\n\r\n',
    );
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    let at = 0;
    const more = (): void => {
      if (at >= bytes.length) response.end();
      else response.write(bytes.subarray(at, ++at), () => setImmediate(more));
    };
    more();
  },
  'no json': (response) => response.writeHead(200).end('hello'),
  'no picture': (response) => json(response, 200, { data: [] }),
};

function json(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(value));
}

function event(response: ServerResponse, value: unknown): void {
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(`data: ${JSON.stringify(value)}\n\n`);
}

function stream(response: ServerResponse, texts: readonly string[]): void {
  for (const content of texts) event(response, { choices: [{ index: 0, delta: { content } }] });
  event(response, { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
  response.end('data: [DONE]\n\n');
}
