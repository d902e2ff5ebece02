// Which broker is meant, and which arguments pass by the parser.
import { targetOf } from '../../../client/commands/shared/arguments.js';
import { CommandError } from '../../../client/commands/shared/failure.js';
import { cover } from '../../../client/commands/shared/verbatim.js';

describe('the broker', () => {
  it('is what the option says, else the environment, else the default', () => {
    const environment = { MLM_ENDPOINT: 'tcp://b:2' };
    expect(targetOf({ endpoint: 'tcp://a:1' }, environment).endpoint).toBe('tcp://a:1');
    expect(targetOf({}, environment).endpoint).toBe('tcp://b:2');
    expect(targetOf({}, {}).endpoint).toBe('tcp://127.0.0.1:9999');
    expect(targetOf({}, { MLM_ENDPOINT: '' }).endpoint).toBe('tcp://127.0.0.1:9999');
  });

  it.each(['tcp://host.example:1', 'tcp://[::1]:9999', 'ipc:///run/mlm', 'ipc://@abstract'])(
    'can be %s',
    (endpoint) => {
      expect(targetOf({ endpoint }, {}).endpoint).toBe(endpoint);
    },
  );

  it.each([
    ['localhost:9999', 'did you mean tcp://localhost:9999?'],
    ['nonsense', 'write tcp://HOST:PORT or ipc://PATH'],
    ['http://localhost:80', 'write tcp://HOST:PORT'],
    ['tcp://localhost', 'write tcp://HOST:PORT'],
    ['tcp://localhost:', 'write tcp://HOST:PORT'],
    ['tcp://localhost:0', 'write tcp://HOST:PORT'],
    ['tcp://localhost:65536', 'write tcp://HOST:PORT'],
    ['tcp://localhost:80a', 'write tcp://HOST:PORT'],
    ['ipc://', 'write tcp://HOST:PORT'],
    ['tcp://*:9999', 'is for listening'],
    ['tcp://127.0.0.1:*', 'is for listening'],
    ['', 'is not an endpoint'],
  ])('cannot be %j', (endpoint, advice) => {
    const call = (): unknown => targetOf({ endpoint }, {});
    expect(call).toThrow(CommandError);
    expect(call).toThrow(advice);
  });

  it('is checked in the environment too', () => {
    expect(() => targetOf({}, { MLM_ENDPOINT: 'nonsense' })).toThrow(
      '"nonsense" is not an endpoint',
    );
  });
});

describe('covered arguments', () => {
  it('are each lone dash, and all after --', () => {
    const { argv, uncover } = cover(['send', '-', '-e', 'x', '--', '-5', '--', '-']);
    expect(argv.map(uncover)).toEqual(['send', '-', '-e', 'x', '-5', '--', '-']);
    expect(argv.slice(2, 4)).toEqual(['-e', 'x']);
    for (const at of [1, 4, 5, 6]) expect(argv[at]).not.toContain('-');
  });

  it('are found inside a text', () => {
    const { argv, uncover } = cover(['--', '--odd']);
    expect(uncover(`what is ${argv[0]!}?`)).toBe('what is --odd?');
  });
});
