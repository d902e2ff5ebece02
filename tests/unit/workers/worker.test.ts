import { MlmError } from '../../../client/index.js';
import { defineWorker, type WorkerDefinition } from '../../../workers/index.js';

const handle = (): undefined => undefined;

it('a worker has its defaults', () => {
  expect(defineWorker({ service: 'speak', handle })).toMatchObject({
    service: 'speak',
    pattern: '',
    capacity: 1,
    labels: {},
    leaseMs: undefined,
    extend: 'auto',
    timeLimitMs: undefined,
    failuresMax: 5,
    handle,
  });
});

it('a worker keeps what was said, and cannot be changed', () => {
  const definition: WorkerDefinition = {
    service: 'speak',
    pattern: '^en/',
    capacity: 3,
    labels: { gpu: true, models: ['small', 'large'] },
    leaseMs: 5000,
    extend: 'manual',
    timeLimitMs: 60_000,
    failuresMax: 0,
    handle,
  };
  const worker = defineWorker(definition);
  expect(worker).toMatchObject(definition);
  expect(Object.isFrozen(worker)).toBe(true);
});

describe('what a worker says of itself', () => {
  it('changes when it announces that: what it does not name stays, undefined takes away', () => {
    const worker = defineWorker({ service: 's', labels: { gpu: true, models: [] }, handle });
    const seen: unknown[] = [];
    const end = worker.onAnnounced(() => seen.push(worker.labels));
    worker.announce({ models: ['sam3'], slot: 1 });
    worker.announce({ slot: undefined });
    end();
    worker.announce({ models: [] });
    expect(seen).toEqual([
      { gpu: true, models: ['sam3'], slot: 1 },
      { gpu: true, models: ['sam3'] },
    ]);
    expect(worker.labels).toEqual({ gpu: true, models: [] });
  });

  it('stays as it is where that cannot be said', () => {
    const worker = defineWorker({ service: 's', labels: { gpu: true }, handle });
    expect(() => worker.announce({ gpu: {} as unknown as boolean })).toThrow('"gpu" must be');
    expect(worker.labels).toEqual({ gpu: true });
  });
});

it.each([
  [{ service: '', handle }, 'service must be a name'],
  [{ service: 7, handle }, 'service must be a name'],
  [{ service: 'speak', pattern: /en/, handle }, 'worker "speak": pattern must be a string'],
  [{ service: 'speak', capacity: 0, handle }, 'capacity is 0'],
  [{ service: 'speak', capacity: 1.5, handle }, 'capacity is 1.5'],
  [{ service: 'speak', capacity: '2', handle }, 'capacity is 2; it must be a whole number'],
  [{ service: 'speak', labels: ['gpu'], handle }, 'labels must be a map'],
  [{ service: 'speak', labels: { gpu: {} }, handle }, 'labels: "gpu" must be a string, a number'],
  [{ service: 'speak', leaseMs: 0, handle }, 'leaseMs is 0; it must be a whole number of milli'],
  [{ service: 'speak', timeLimitMs: -1, handle }, 'timeLimitMs is -1'],
  [{ service: 'speak', extend: 'never', handle }, 'extend is "never"'],
  [{ service: 'speak', failuresMax: 1.5, handle }, 'failuresMax is 1.5'],
  [{ service: 'speak' }, 'handle must be a function'],
])('%j is refused', (definition, message) => {
  const define = (): unknown => defineWorker(definition as unknown as WorkerDefinition);
  expect(define).toThrow(MlmError);
  expect(define).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error);
  expect(define).toThrow(message);
});
