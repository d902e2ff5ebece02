// README.md and the pages of the guide for programs, followed to the letter: every program is saved
// and run, every terminal session typed, and what is seen is what the page shows.
// Each section has a broker and a folder of its own. How pages mark what is run:
// guide-pages.ts.
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { connect, type MlmClient } from '../../client/index.js';
import { startBrokerProcess } from '../support/broker-process.js';
import { useProcesses } from '../support/processes.js';
import { until } from '../support/until.js';
import { readSections, type Block, type Section, type Step } from './guide-pages.js';
import { compareBackground, hasPrinted, Shell, typeAll } from './guide-terminal.js';

const PAGES = ['README.md', 'docs/guide.md', 'docs/write-a-worker.md', 'docs/test-your-worker.md'];
const ENDPOINT = 'tcp://127.0.0.1:9999';
/** For one session of a page: npx alone takes its time on a busy machine. */
const SESSION_MS = 120_000;
const SECTION_MS = 4 * SESSION_MS;

const sections = PAGES.flatMap(readSections);
const isRun = ({ kind }: Block): boolean => kind === 'session' || kind === 'background';
const shells = new Set<Shell>();
let project: string;
let tester: MlmClient | undefined;

/** A reader's own project, as `npm install PATH` leaves it. */
beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'malamute-guide-'));
  const { bin } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    bin: Record<string, string>;
  };
  writeFileSync(join(project, 'package.json'), '{}');
  mkdirSync(join(project, 'node_modules/.bin'), { recursive: true });
  symlinkSync(resolve('.'), join(project, 'node_modules/malamute-ts'));
  for (const [name, file] of Object.entries(bin)) {
    symlinkSync(join('../malamute-ts', file), join(project, 'node_modules/.bin', name));
  }
});

afterAll(() => rmSync(project, { recursive: true, force: true }));

afterEach(async () => {
  await tester?.close();
  tester = undefined;
  for (const shell of shells) shell.signal('SIGKILL');
  await Promise.all([...shells].map((shell) => shell.end(SESSION_MS)));
  shells.clear();
});
// The broker is ended last.
const processes = useProcesses();

function save(section: Section, endpoint: string): string {
  const folder = join(project, String(sections.indexOf(section)));
  mkdirSync(folder, { recursive: true });
  for (const block of section.blocks) {
    if (block.kind === 'program') {
      writeFileSync(join(folder, block.file), block.text.replaceAll(ENDPOINT, endpoint));
    } else if (block.kind === 'other') {
      const [, file] = /^# ([\w-]+\.yaml)$/m.exec(block.text) ?? [];
      if (file !== undefined) writeFileSync(join(folder, file), block.text);
    }
  }
  return folder;
}

/** The environment of a reader's terminal. Everything that would reach for a network is off. */
function environment(endpoint: string, folder: string): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(MLM_|FORCE_COLOR$)/.test(name));
  return {
    ...Object.fromEntries(own),
    PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter),
    MLM_ENDPOINT: endpoint,
    // For `npm start`, whose broker is another one; its preparations were made before the tests.
    MLM_BIND: 'tcp://127.0.0.1:*',
    MLM_DATA: join(folder, 'data'),
    npm_config_ignore_scripts: 'true',
    npm_config_offline: 'true',
    npm_config_update_notifier: 'false',
    npm_config_loglevel: 'error',
    NO_COLOR: '1',
  };
}

/** How many streams are read and services offered: what a command in the background begins with. */
async function declared(): Promise<number> {
  let count = 0;
  for (const [subject, column] of [
    ['streams.json', 'readers'],
    ['services.json', 'workers'],
  ] as const) {
    const reply = await tester!.request('$broker', subject);
    const rows = JSON.parse(reply.text()) as Record<string, number>[];
    for (const row of rows) count += row[column] ?? 0;
  }
  return count;
}

async function startBackground(step: Step, folder: string, endpoint: string): Promise<Shell> {
  const before = await declared();
  // npm's own commands are typed in the checkout.
  const place = step.command.startsWith('npm ') ? resolve('.') : folder;
  const shell = new Shell(step.command, {
    folder: place,
    env: environment(endpoint, folder),
  });
  shells.add(shell);
  await until(
    async () => shell.hasEnded || hasPrinted(step, shell) || (await declared()) > before,
    `the beginning of ${step.command}`,
  );
  return shell;
}

async function play(section: Section): Promise<void> {
  const data = join(processes.folder(), 'data');
  const { endpoint } = await startBrokerProcess(processes, { data });
  tester = await connect(endpoint);
  const folder = save(section, endpoint);
  const background: { step: Step; shell: Shell }[] = [];
  for (const block of section.blocks) {
    if (block.kind === 'background') {
      const { step } = block;
      background.push({ step, shell: await startBackground(step, folder, endpoint) });
    }
    if (block.kind === 'session') {
      const place = { folder, env: environment(endpoint, folder) };
      await typeAll(block.steps, place, shells, SESSION_MS);
    }
  }
  for (const { step, shell } of background) {
    await compareBackground(step, shell);
    shell.signal('SIGINT');
    await shell.end(SESSION_MS);
  }
}

describe.each(PAGES)('%s', (page) => {
  const own = sections.filter((section) => section.page === page);

  it.each(
    own.filter(({ blocks }) => blocks.some(isRun)).map((each) => [each.title, each] as const),
  )('%s', (_, section) => play(section), SECTION_MS);

  it('runs every program that it shows', () => {
    for (const { title, blocks } of own) {
      const typed = blocks.flatMap((block) => {
        if (block.kind === 'background') return [block.step.command];
        return block.kind === 'session' ? block.steps.map(({ command }) => command) : [];
      });
      for (const block of blocks) {
        if (block.kind !== 'program') continue;
        const imports = (other: Block): boolean =>
          other.kind === 'program' && other.text.includes(`'./${block.file}'`);
        const runs =
          typed.some((command) => command.split(' ').includes(block.file)) || blocks.some(imports);
        expect({ title, file: block.file, runs }).toEqual({ title, file: block.file, runs: true });
      }
    }
  });

  it('names scripts of the package that there are', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      scripts: Record<string, string>;
    };
    const named = readFileSync(page, 'utf8').matchAll(/npm (?:run ([\w:]+)|(start|test)\b)/g);
    const names = [...named].map(([, name, short]) => name ?? short ?? '');
    expect(names.length > 0).toBe(page === 'README.md' || page === 'docs/guide.md');
    expect(names.filter((name) => scripts[name] === undefined)).toEqual([]);
  });

  it('has no link into nothing', () => {
    const text = readFileSync(page, 'utf8');
    const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
    const missing = targets.filter((target) => !/^https?:/.test(target) && !leads(page, target));
    expect(missing).toEqual([]);
  });
});

function leads(page: string, target: string): boolean {
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? page : join(dirname(page), path);
  if (!existsSync(file)) return false;
  return anchor === undefined || anchorsOf(file).includes(anchor);
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(file: string): string[] {
  const headings = readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm);
  return [...headings].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

it(
  'programs use the package as its types say',
  async () => {
    const files = sections
      .filter(({ blocks }) => blocks.some(({ kind }) => kind === 'program'))
      .flatMap((section) => {
        const folder = save(section, ENDPOINT);
        return section.blocks.flatMap((block) =>
          block.kind === 'program' ? [join(folder, block.file)] : [],
        );
      });
    expect(files.length).toBeGreaterThan(0);
    const options = '--noEmit --allowJs --checkJs --strict --skipLibCheck --target es2023'.split(
      ' ',
    );
    const modules = ['--module', 'nodenext', '--types', 'node'];
    const roots = ['--typeRoots', resolve('node_modules/@types')];
    const tsc = [resolve('node_modules/typescript/bin/tsc'), ...options, ...modules, ...roots];
    const run = promisify(execFile)(process.execPath, [...tsc, ...files], { cwd: project });
    const { stdout } = await run.catch((error: unknown) => error as { stdout: string });
    expect(stdout).toBe('');
  },
  SECTION_MS,
);

it('the guide explains every error code of the SDK', () => {
  const source = readFileSync('client/errors.ts', 'utf8');
  const codes = [...source.matchAll(/^ {2}\| '([A-Z_]+)'/gm)].map(([, code = '']) => code);
  const guide = readFileSync('docs/guide.md', 'utf8');
  const [, errors = ''] = /^## Errors$([^]*?)^## /m.exec(guide) ?? [];
  const explained = [...errors.matchAll(/^\| `([A-Z_]+)` +\|/gm)].map(([, code = '']) => code);
  expect(codes.length).toBeGreaterThan(0);
  expect([...explained].sort()).toEqual([...codes].sort());
});

it('the figures of the README are those of the benchmark', () => {
  const measured = readFileSync('docs/benchmarks.md', 'utf8');
  const rows = readFileSync('README.md', 'utf8').match(/^\| [^|]* ² +\|.*$/gm) ?? [];
  const figures = rows.flatMap((row) => row.match(/\d[\d,]*,\d{3}/g) ?? []);
  expect(rows).toHaveLength(3);
  expect(figures.length).toBeGreaterThan(0);
  expect(figures.filter((figure) => !measured.includes(` ${figure}/s`))).toEqual([]);
});
