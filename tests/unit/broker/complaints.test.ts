import { didYouMean, explain } from '../../../broker/complaints.js';

const NAMES = ['bind', 'data', 'timeout', 'log-level', 'mailbox-bytes-max', 'ephemeral'];
const HELP = '"mlm-broker --help" lists the options';

function explained(complaint: string, ...argv: string[]): string {
  return explain(complaint, 'mlm-broker', NAMES, argv);
}

it.each([
  [
    'Unknown arguments: tiemout',
    '--tiemout',
    'there is no option --tiemout; did you mean --timeout?',
  ],
  [
    'Unknown arguments: log-levle, logLevle',
    '--log-levle=debug',
    'there is no option --log-levle; did you mean --log-level?',
  ],
  [
    'Unknown argument: ephemral',
    '--no-ephemral',
    'there is no option --no-ephemral; did you mean --ephemeral?',
  ],
  ['Unknown argument: zzz', '--zzz', 'there is no option --zzz'],
  ['Unknown argument: d', '-d', 'there is no option -d'],
  ['Unknown argument: words', 'words', '"words" is too much: every value follows its option'],
  ['Not enough arguments following: data', '--data', '--data needs a value'],
  ['Something new', '', 'Something new'],
])('%s: %s', (complaint, argument, line) => {
  expect(explained(complaint, argument)).toBe(`${line}; ${HELP}`);
});

it.each([
  ['BIND', 'bind'],
  ['bnd', 'bind'],
  ['mailbox', 'mailbox-bytes-max'],
  ['mailboxbytesmax', 'mailbox-bytes-max'],
])('%s is meant to be %s', (wrong, meant) => {
  expect(didYouMean(wrong, NAMES)).toBe(`; did you mean ${meant}?`);
});

it.each(['', 'x', 'mb', 'something-else', '__proto__'])('%j is near to nothing', (wrong) => {
  expect(didYouMean(wrong, NAMES)).toBe('');
});
