import { MlmError } from '../../../client/index.js';
import { defineWorker, type WorkerDefinition } from '../../../workers/index.js';

const handle = (): undefined => undefined;

it('a worker has its defaults', () => {
  expect(defineWorker({ service: 'speak', handle })).toEqual({
    service: 'speak',
    pattern: '',
    capacity: 1,
    handle,
  });
});

it('a worker keeps what was said, and cannot be changed', () => {
  const worker = defineWorker({ service: 'speak', pattern: '^en/', capacity: 3, handle });
  expect(worker).toEqual({ service: 'speak', pattern: '^en/', capacity: 3, handle });
  expect(Object.isFrozen(worker)).toBe(true);
});

it.each([
  [{ service: '', handle }, 'service must be a name'],
  [{ service: 7, handle }, 'service must be a name'],
  [{ service: 'speak', pattern: /en/, handle }, 'worker "speak": pattern must be a string'],
  [{ service: 'speak', capacity: 0, handle }, 'capacity is 0'],
  [{ service: 'speak', capacity: 1.5, handle }, 'capacity is 1.5'],
  [{ service: 'speak', capacity: '2', handle }, 'capacity is 2; it must be a whole number'],
  [{ service: 'speak' }, 'handle must be a function'],
])('%j is refused', (definition, message) => {
  const define = (): unknown => defineWorker(definition as unknown as WorkerDefinition);
  expect(define).toThrow(MlmError);
  expect(define).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error);
  expect(define).toThrow(message);
});
