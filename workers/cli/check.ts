// What `mlm work --check` shows: each service that would be offered, as a row.
// It looks for programs and asks servers whether they are there; it offers nothing.
import { findProgram } from '../commands/find-program.js';
import type { ServiceConfig } from '../commands/config/load.js';
import { serverProblem } from '../commands/openai/server.js';

/** How long a server may take to say that it is there, ms. */
const SERVER_MS = 3000;

/** One service in the table. */
export function rowOf(service: ServiceConfig): object {
  const { service: name, pattern, capacity, labels } = service;
  const ready = service.kind === 'command' ? service.command.readyLabels : {};
  const labelled = [...written(labels), ...written(ready).map((label) => `${label} (when ready)`)];
  return { service: name, pattern, capacity, ...partsOf(service), labels: labelled };
}

function written(labels: ServiceConfig['labels']): string[] {
  return Object.entries(labels).map(([label, value]) => `${label}=${String(value)}`);
}

function partsOf(service: ServiceConfig): object {
  if (service.kind === 'openai') {
    const { model, url, api, output, timeLimitMs } = service.model;
    const gives = api === 'chat' ? output : api;
    return {
      runs: `${model} at ${url}`,
      found: '',
      gets: api,
      gives,
      timeLimitMs,
      memoryLimitBytes: undefined,
    };
  }
  const { command, persistent } = service;
  const { program, env, input, output, timeLimitMs, memoryBytesMax } = command;
  const stdin = persistent ? 'JSON lines' : input.stdin?.written;
  const files = input.files.map((file) => file.name);
  return {
    runs: program,
    found: findProgram(program, env['PATH']) !== undefined,
    gets: [...(stdin === undefined ? [] : [stdin]), ...files],
    gives: output.files?.patterns ?? output.stdout,
    timeLimitMs,
    memoryLimitBytes: memoryBytesMax,
  };
}

/** What is wrong with the servers, a line for each. */
export async function serverProblems(
  services: readonly ServiceConfig[],
  signal: AbortSignal,
): Promise<string[]> {
  const keys = new Map<string, string | undefined>();
  for (const service of services) {
    if (service.kind === 'openai') keys.set(service.model.url, service.model.key);
  }
  const asked = [...keys].map(([url, key]) =>
    serverProblem(url, key, AbortSignal.any([signal, AbortSignal.timeout(SERVER_MS)])),
  );
  return (await Promise.all(asked)).filter((problem) => problem !== undefined);
}
