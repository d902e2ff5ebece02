// What the tests of wrapped commands share: services from the lines of a
// configuration, requests without a broker, and what commands tell of them.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeBody } from '../../../client/index.js';
import { Message } from '../../../client/message.js';
import type { CommandSpec } from '../../../workers/commands/command.js';
import {
  loadConfig,
  type ServiceConfig,
  type WorkConfig,
} from '../../../workers/commands/config/load.js';
import { ConfigError } from '../../../workers/commands/config/problems.js';
import { parseYaml } from '../../../workers/commands/config/yaml-file.js';
import type { CommandContext } from '../../../workers/commands/context.js';
import { JobFolders } from '../../../workers/commands/job-folder.js';
import { runCommand } from '../../../workers/commands/run-command.js';
import { Body, silentLog } from '../../../workers/index.js';

/** A body as a worker gets it, of what a requester sends. */
export function bodyOf(sent: unknown): Body {
  return new Body(new Message('', '', encodeBody(sent)));
}

export interface TestContext extends CommandContext {
  readonly told: { fraction: number | undefined; note: string | undefined }[];
  readonly emitted: unknown[];
}

export interface Asked {
  readonly subject?: string;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
  /** Called with each partial result. */
  readonly onEmit?: (body: unknown) => void;
}

/** A request without a broker. */
export function contextOf({ subject = '', body, signal, onEmit }: Asked = {}): TestContext {
  const told: TestContext['told'] = [];
  const emitted: unknown[] = [];
  return {
    subject,
    body: bodyOf(body),
    signal: signal ?? new AbortController().signal,
    log: silentLog,
    told,
    emitted,
    progress: (fraction, note) => void told.push({ fraction, note }),
    emit: (partial) => {
      emitted.push(partial);
      onEmit?.(partial);
    },
  };
}

/** The folder of the project, which `./` in the configurations of tests stands for. */
const HERE = process.cwd();

export function configOf(yaml: string, environment = process.env): WorkConfig {
  return loadConfig(parse(yaml).value, parse(yaml), { here: HERE, environment });
}

function parse(yaml: string) {
  return parseYaml('workers.yaml', yaml);
}

/** The lines that tell what is wrong with a configuration. */
export function problemsOf(yaml: string): readonly string[] {
  try {
    configOf(yaml);
  } catch (error) {
    if (error instanceof ConfigError) return error.lines;
    throw error;
  }
  throw new Error(`there is nothing wrong with it:\n${yaml}`);
}

/** One service, from the lines below its name. */
export function serviceOf(lines: string): ServiceConfig {
  const [service] = configOf(`services:\n  s:\n${lines.replaceAll(/^/gm, '    ')}`).services;
  return service!;
}

export function specOf(lines: string): CommandSpec {
  const service = serviceOf(lines);
  if (service.kind !== 'command') throw new Error('this is no command');
  return service.command;
}

/** Arguments of a command as YAML. */
export function yaml(args: readonly unknown[]): string {
  return JSON.stringify(args);
}

/** A command that is a script of Node, with its further arguments; as a line of YAML. */
export function nodeCommand(script: string, ...args: unknown[]): string {
  return `command: ${yaml([process.execPath, '-e', script.replaceAll('{{', '\\{{'), ...args])}`;
}

export interface Runner {
  /** Where the folders of jobs are. */
  readonly parent: string;
  readonly folders: () => JobFolders;
  /** Runs a command for one request. */
  readonly run: (lines: string, asked?: Asked | TestContext) => Promise<unknown>;
}

/** Call it once at the top of a test file. A folder of a job that is left fails its test. */
export function useRunner(): Runner {
  let parent = '';
  let folders: JobFolders;
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'malamute-test-'));
    folders = new JobFolders(parent);
  });
  afterEach(async () => {
    const left = readdirSync(folders.root);
    await folders.close();
    rmSync(parent, { recursive: true, force: true });
    expect(left).toEqual([]);
  });
  return {
    get parent() {
      return parent;
    },
    folders: () => folders,
    run: (lines, asked = {}) => {
      const context = 'told' in asked ? asked : contextOf(asked);
      return runCommand(specOf(lines), folders, context);
    },
  };
}

/** What a promise was rejected with. */
export async function failureOf(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  const result = await promise.then(
    (value) => new Error(`it did not fail, but gave ${String(value)}`),
    (error: unknown) => error as Error & { code?: string },
  );
  return result;
}
