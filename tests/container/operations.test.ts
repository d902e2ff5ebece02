// docs/operations.md against the broker: whoever adds an option, or changes its
// variable or default, has to say so there, and the config files that it shows
// have to be valid. The words are for people to judge.
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { environmentName, OPTIONS, resolveOptions, type OptionName } from '../../broker/options.js';
import { Policies, RULE_KINDS } from '../../broker/policies.js';

const page = readFileSync('docs/operations.md', 'utf8');

/** The rows of the page's tables, as cells without their marks. */
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('|'))
  .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')))
  .map(([, ...cells]) => cells);

const documented = rows.filter(([, variable = '']) => variable.startsWith('MLM_'));

it('documents every option with its variable and its default, and no others', () => {
  const options = (Object.keys(OPTIONS) as OptionName[]).map((name) => [
    name,
    environmentName(name),
    String(OPTIONS[name].default ?? ''),
  ]);
  expect(documented.map((cells) => cells.slice(0, 3))).toEqual(options);
});

it('says something about each', () => {
  for (const cells of documented) expect(cells[3]).toMatch(/\w/);
});

it('shows config files that the broker takes', () => {
  const isRule = ([key]: [string, unknown]): boolean => RULE_KINDS.some((kind) => kind === key);
  // Others are of Kubernetes or compose.
  const files = [...page.matchAll(/```yaml\n([^]*?)```/g)]
    .map(([, text = '']) => Object.entries(parse(text) as Record<string, unknown>))
    .filter((entries) =>
      entries.some((entry) => isRule(entry) || Object.hasOwn(OPTIONS, entry[0])),
    );
  expect(files.length).toBeGreaterThanOrEqual(3);
  for (const entries of files) {
    const values = Object.fromEntries(entries.filter((entry) => !isRule(entry)));
    const rules = Object.fromEntries(entries.filter(isRule));
    resolveOptions({ file: { path: 'docs/operations.md', values } });
    expect(new Policies({ bytesMax: 1 }, rules)).toBeDefined();
  }
});
