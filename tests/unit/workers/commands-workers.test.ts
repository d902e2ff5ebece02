// The services of a configuration as workers: what they say of themselves while
// commands come and go, and that nothing is started where one of them cannot be.
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { Labels } from '../../../client/index.js';
import { WarmLabels } from '../../../workers/commands/warm-labels.js';
import { CommandWorkers } from '../../../workers/commands/workers.js';
import { defineWorker, silentLog } from '../../../workers/index.js';
import { recordedLog, type LogLine } from '../../../workers/testing/recorded-log.js';
import { configOf } from './commands-support.js';

/** So many labels. */
function labels(start: string, count: number): Labels {
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [`${start}${at}`, true]));
}

describe('what commands have at hand', () => {
  it('and cannot be labels, all together, is in the log and changes nothing', () => {
    const worker = defineWorker({ service: 's', labels: { gpu: true }, handle: () => 1 });
    const lines: LogLine[] = [];
    const warm = new WarmLabels(
      worker,
      recordedLog((line) => lines.push(line)),
    );
    const [a, b] = [labels('a', 40), labels('b', 40)];
    warm.update([a, {}]);
    expect(worker.labels).toEqual({ gpu: true, ...a });
    for (const said of [b, { '': true }]) {
      warm.update([a, said]);
      expect(worker.labels).toEqual({ gpu: true, ...a });
    }
    expect(lines.map(({ level, fields }) => [level, fields['reason']])).toEqual([
      ['warn', expect.stringContaining('81 labels; 64 are the most')],
      ['warn', expect.stringContaining("a label's name")],
    ]);
    // The first command has ended: what the second one has at hand fits now.
    warm.update([{}, b]);
    expect(worker.labels).toEqual({ gpu: true, ...b });
  });
});

it('where one of the services cannot be, no command is started', () => {
  const { services } = configOf(`services:
  a: {command: [cat], persistent: true}
  b: {command: [cat], labels: {gpu: true}}`);
  const wrong = services.map((service) =>
    service.service === 'a' ? service : { ...service, labels: { '': true } },
  );
  const folders = (): string[] =>
    readdirSync(tmpdir()).filter((name) => name.includes(`-${process.pid}-`));
  const before = folders();
  expect(() => new CommandWorkers(wrong, silentLog)).toThrow("a label's name");
  // Commands are started in folders.
  expect(folders()).toEqual(before);
});
