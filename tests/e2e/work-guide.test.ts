// docs/wrap-a-script.md, followed to the letter: its scripts and configurations
// are saved, every terminal session is typed, and what is seen is what the page
// shows. Each section has a broker and a folder of its own.
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { parse } from 'yaml';
import { connect, type MlmClient } from '../../client/index.js';
import {
  commandService,
  file,
  openaiService,
} from '../../workers/commands/config/service-shapes.js';
import { configOf } from '../unit/workers/commands-support.js';
import { startBrokerProcess } from '../support/broker-process.js';
import { useProcesses } from '../support/processes.js';
import { until } from '../support/until.js';
import { readSections, type Block, type Section } from './guide-pages.js';
import { Shell, typeAll } from './guide-terminal.js';

const PAGE = 'docs/wrap-a-script.md';
const SESSION_MS = 120_000;

const sections = readSections(PAGE);
const shells = new Set<Shell>();
let client: MlmClient | undefined;

afterEach(async () => {
  await client?.close();
  client = undefined;
  for (const shell of shells) shell.signal('SIGINT');
  await Promise.all([...shells].map((shell) => shell.end(SESSION_MS)));
  shells.clear();
});
// The broker is ended last.
const processes = useProcesses();

/** A reader's own project, as `npm install PATH` leaves it, with the files of a section. */
function project(section: Section): string {
  const folder = processes.folder();
  writeFileSync(join(folder, 'package.json'), '{}');
  mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true });
  symlinkSync(resolve('.'), join(folder, 'node_modules/malamute-ts'));
  symlinkSync('../malamute-ts/dist/client/commands/mlm.js', join(folder, 'node_modules/.bin/mlm'));
  for (const block of section.blocks) {
    const [, name] = block.kind === 'other' ? (/^# ([\w.-]+)$/m.exec(block.text) ?? []) : [];
    if (block.kind === 'other' && name !== undefined) writeFileSync(join(folder, name), block.text);
  }
  return folder;
}

function environment(endpoint: string): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(MLM_|FORCE_COLOR$)/.test(name));
  return {
    ...Object.fromEntries(own),
    PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter),
    MLM_ENDPOINT: endpoint,
    npm_config_offline: 'true',
    npm_config_update_notifier: 'false',
    npm_config_loglevel: 'error',
    NO_COLOR: '1',
  };
}

async function workers(): Promise<number> {
  const rows = (await client!.request('$broker', 'services')).value() as { workers: number }[];
  return rows.reduce((sum, row) => sum + row.workers, 0);
}

async function play(section: Section): Promise<void> {
  const { endpoint } = await startBrokerProcess(processes);
  client = await connect(endpoint);
  const place = { folder: project(section), env: environment(endpoint) };
  for (const block of section.blocks) {
    if (block.kind === 'session') await typeAll(block.steps, place, shells, SESSION_MS);
    if (block.kind !== 'background') continue;
    const before = await workers();
    const shell = new Shell(block.step.command, place);
    shells.add(shell);
    const isThere = async (): Promise<boolean> => shell.hasEnded || (await workers()) > before;
    await until(isThere, `the beginning of ${block.step.command}`);
    expect({ ended: shell.hasEnded, output: shell.hasEnded ? shell.output : '' }).toEqual({
      ended: false,
      output: '',
    });
  }
}

const isRun = ({ kind }: Block): boolean => kind === 'session' || kind === 'background';

it.each(
  sections.filter(({ blocks }) => blocks.some(isRun)).map((each) => [each.title, each] as const),
)('%s', (_, section) => play(section), 4 * SESSION_MS);

it('every configuration that the page shows can be read', () => {
  const shown = sections
    .flatMap(({ blocks }) => blocks)
    .flatMap((block) => (block.kind === 'other' && block.language === 'yaml' ? [block.text] : []))
    .filter((text) => !text.includes('# wrong.yaml'));
  expect(shown).toHaveLength(3);
  for (const text of shown) {
    const isWhole = Object.hasOwn(parse(text) as object, 'services');
    const service = `services:\n  s:\n    command: [cat]\n${text.replaceAll(/^(?=.)/gm, '    ')}`;
    expect(configOf(isWhole ? text : service).services.length).toBeGreaterThan(0);
  }
});

it('every key is on the page', () => {
  const text = readFileSync(PAGE, 'utf8');
  const shapes = [file, commandService((path) => path), openaiService];
  const keys = new Set(shapes.flatMap(({ shape }) => Object.keys(shape)));
  expect(keys.size).toBeGreaterThan(20);
  const isThere = (key: string): boolean => new RegExp(`\`${key}(?!\\w)`).test(text);
  expect([...keys].filter((key) => !isThere(key))).toEqual([]);
});

it('has no link into nothing', () => {
  const text = readFileSync(PAGE, 'utf8');
  const anchors = sections.map(({ title }) => title.toLowerCase().replaceAll(' ', '-'));
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
  const wrong = targets.filter((target) =>
    target.startsWith('#')
      ? !anchors.includes(target.slice(1))
      : !existsSync(join('docs', target.replace(/#.*$/, ''))),
  );
  expect(wrong).toEqual([]);
});
