// docs/write-a-worker.md against defineWorker: whoever adds a setting has to say so in
// the table of all settings. The words are for people to judge.
import { readFileSync } from 'node:fs';
import { defineWorker } from '../../../workers/index.js';

it('the table of all settings has every setting of defineWorker, and no other', () => {
  const page = readFileSync('docs/write-a-worker.md', 'utf8');
  const [, table = ''] = /\n\| `defineWorker` .*\n\|[ -|]*\n([^]*?)\n\n/.exec(page) ?? [];
  const documented = table
    .split('\n')
    .flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)])
    .map(([, key]) => key);
  const worker = defineWorker({ service: 's', handle: () => undefined });
  const methods = ['announce', 'onAnnounced'];
  const settings = Object.keys(worker).filter((key) => !methods.includes(key));
  expect(documented.sort()).toEqual(settings.sort());
});
