// The command line of `npm run bench`, parsed and checked. It explains itself;
// it starts nothing.
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

export interface BenchOptions {
  /** Parts of comparison names; all where empty. */
  readonly only: readonly string[];
  readonly quick: boolean;
  readonly runs: number;
  readonly seconds: number;
  readonly generator: 'auto' | 'c' | 'node';
  /** The main.js of another build of our broker. */
  readonly broker: string | undefined;
  /** Install prefix of C Malamute. */
  readonly cPrefix: string | undefined;
}

export const HELP = `npm run bench -- [options]

  --only NAME        only comparisons whose name contains NAME (repeatable);
                     --only list prints the names
  --quick            a smoke run of a few seconds: short runs, small counts
  --runs N           measured runs of each contender (default 5, --quick 1)
  --seconds S        how long one run sends (default 0.6, --quick 0.2)
  --generator KIND   c, node or auto (default: c where it can be compiled)
  --broker FILE      our broker's main.js of another build (default dist/broker/main.js)
  --c-prefix DIR     where the C Malamute broker is installed (or MLM_C_PREFIX)
`;

/** @throws Error with a line for the user */
export function parseOptions(words: string[]): BenchOptions | 'help' {
  const { values } = parseArgs({
    args: words,
    options: {
      only: { type: 'string', multiple: true, default: [] },
      quick: { type: 'boolean', default: false },
      runs: { type: 'string' },
      seconds: { type: 'string' },
      generator: { type: 'string', default: 'auto' },
      broker: { type: 'string' },
      'c-prefix': { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const { quick, only, generator } = values;
  if (generator !== 'auto' && generator !== 'c' && generator !== 'node') {
    throw new Error(`--generator takes c, node or auto, not ${generator}`);
  }
  return {
    only,
    quick,
    runs: positive('--runs', values.runs, quick ? 1 : 5),
    seconds: positive('--seconds', values.seconds, quick ? 0.2 : 0.6),
    generator,
    broker: values.broker === undefined ? undefined : resolve(values.broker),
    cPrefix: values['c-prefix'] ?? process.env['MLM_C_PREFIX'],
  };
}

function positive(name: string, text: string | undefined, fallback: number): number {
  const value = text === undefined ? fallback : Number(text);
  if (!(value > 0)) throw new Error(`${name} takes a number above 0, not ${text}`);
  return value;
}
