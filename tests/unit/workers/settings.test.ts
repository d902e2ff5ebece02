import { silentLog } from '../../../workers/index.js';
import { resolveSettings } from '../../../workers/settings.js';

it('what the program says is stronger than the environment', () => {
  const environment = {
    MLM_ENDPOINT: 'tcp://127.0.0.1:1',
    MLM_ADDRESS: 'theirs',
    MLM_DRAIN_TIMEOUT: '1',
  };
  const options = {
    endpoint: 'tcp://127.0.0.1:2',
    address: 'mine',
    drainTimeoutMs: 0,
    connectTimeoutMs: 3,
    log: silentLog,
  };
  expect(resolveSettings(options, environment)).toEqual({ ...options, signal: undefined });
});

it('the environment is stronger than the defaults', () => {
  const environment = {
    MLM_ENDPOINT: 'tcp://127.0.0.1:1',
    MLM_ADDRESS: 'theirs',
    MLM_DRAIN_TIMEOUT: '20000',
  };
  expect(resolveSettings({}, environment)).toMatchObject({
    endpoint: 'tcp://127.0.0.1:1',
    address: 'theirs',
    drainTimeoutMs: 20_000,
  });
});

it.each([{}, { MLM_ENDPOINT: '', MLM_ADDRESS: '', MLM_DRAIN_TIMEOUT: '', MLM_LOG_LEVEL: '' }])(
  'without both there are defaults, and an address of its own (%j)',
  (environment) => {
    const settings = resolveSettings({}, environment);
    expect(settings).toMatchObject({ endpoint: 'tcp://127.0.0.1:9999', drainTimeoutMs: 7000 });
    expect(settings.address).toMatch(new RegExp(`^worker-.+-${process.pid}-[0-9a-f]{4}$`));
  },
);

it.each([
  [{}, { MLM_DRAIN_TIMEOUT: 'soon' }, 'MLM_DRAIN_TIMEOUT must be a whole number'],
  [{}, { MLM_DRAIN_TIMEOUT: '-1' }, 'MLM_DRAIN_TIMEOUT must be a whole number'],
  [{ drainTimeoutMs: 2 ** 31 }, {}, 'drainTimeoutMs must be a whole number'],
  [{}, { MLM_LOG_LEVEL: 'loud' }, 'MLM_LOG_LEVEL: "loud" is not one of error, warn, info, debug'],
])('%j with %j is refused', (options, environment, message) => {
  const resolve = (): unknown => resolveSettings(options, environment);
  expect(resolve).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error);
  expect(resolve).toThrow(message);
});
