// Jest runs the TypeScript sources as ES modules; swc strips the types.
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/tests'],
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2023' }, module: { type: 'es6' } },
    ],
  },
  // Much of what the tests do is waiting for processes: two at a time, also on two cores.
  maxWorkers: 2,
  testSequencer: '<rootDir>/tests/support/longest-first.js',
  // Twice the patience of tests/support/processes.ts: what never comes is told by its name.
  testTimeout: 120_000,
};
