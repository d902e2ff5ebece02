// Labels on the command line: `--label` of a worker and `--needs` of a request read
// the same text as the same value.
import { jobCommand } from '../../../client/commands/job.js';
import { readLabels } from '../../../client/commands/shared/written-labels.js';
import { writtenOptions } from '../../../workers/cli/written-options.js';

const CASES: [written: string, value: unknown][] = [
  ['007', 7],
  ['-1.50', -1.5],
  ['1e3', 1000],
  ['true', true],
  ['["sam3", 2]', ['sam3', 2]],
  ['{"min": 8000}', { min: 8000 }],
  ['"7"', '7'],
  ['sam3', 'sam3'],
  ['a=b', 'a=b'],
  ['', ''],
];

it.each(CASES)('%j', (written, value) => {
  const text = `a=${written}`;
  expect(readLabels('label', [text, 'b=1'])).toEqual({ a: value, b: 1 });
  for (const name of ['needs', 'prefers']) {
    expect((jobCommand.options[name]?.coerce as (text: string) => unknown)(text)).toEqual({
      a: value,
    });
  }
  const { services } = writtenOptions('s', {
    label: [text],
    readyLabel: [text],
  }) as { services: { s: Record<string, unknown> } };
  expect(services.s).toMatchObject({ labels: { a: value }, readyLabels: { a: value } });
});

it.each(['gpu', '=true'])('%j is complained about', (text) => {
  expect(() => readLabels('needs', [text])).toThrow(`--needs: write NAME=VALUE, not "${text}"`);
});
