// Type-aware lint for the whole project, and the walls of the house: which
// folder may import which, and the one file that may import each driver.
import js from '@eslint/js';
import tseslint from 'typescript-eslint';

const drivers = [
  { name: 'zeromq', message: 'Only broker/transport.ts and client/transport.ts import zeromq.' },
  { name: 'lmdb', message: 'Only broker/store/ imports the database.' },
  { name: 'yargs', message: 'Only command files import yargs.' },
  { name: 'yargs/helpers', message: 'Only command files import yargs.' },
  { name: 'winston', message: 'Only broker/log.ts imports winston.' },
];

/**
 * Forbids folders and drivers to the files given, but for the drivers they own.
 *
 * @param above of the folder above, only these files
 */
function walls(files, { folders = [], owns = [], ignores = [], above }) {
  return {
    files,
    ignores,
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          paths: drivers.filter((driver) => !owns.includes(driver.name)),
          patterns: [
            ...folders.map((folder) => ({
              group: ['./', '../', '../../', '../../../'].map((up) => `${up}${folder}/**`),
              message: `This folder must not import ${folder}/ (docs/guide.md, "Layout").`,
            })),
            ...(above === undefined ? [] : [onlyAbove(above)]),
          ],
        },
      ],
    },
  };
}

function onlyAbove(files) {
  return {
    group: ['../[a-z]*', ...files.map((file) => `!../${file}`)],
    message: `Of the folder above, this one imports ${files.join(' and ')} only (docs/guide.md, "Layout").`,
  };
}

const notProtocol = ['broker', 'client', 'workers', 'tests'];
const notBroker = ['client', 'workers', 'tests'];
const notClient = ['broker', 'workers', 'tests'];

export default tseslint.config(
  { ignores: ['dist', 'dist-bench', 'node_modules', 'coverage'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked, ...tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      eqeqeq: 'error',
      'no-console': 'error',
    },
  },
  {
    files: ['**/*.mjs', '*.js'],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } },
  },
  walls(['protocol/**/*.ts'], { folders: notProtocol }),
  walls(['broker/**/*.ts'], { folders: notBroker }),
  walls(['broker/transport.ts'], { folders: notBroker, owns: ['zeromq'] }),
  walls(['broker/store/**/*.ts'], {
    folders: notBroker,
    owns: ['lmdb'],
    above: ['deque.js', 'log.js'],
  }),
  // winston's types declare its transport classes as interfaces, which this rule misreads.
  {
    files: ['broker/log.ts'],
    rules: { '@typescript-eslint/no-unsafe-class-instance-assignment': 'off' },
  },
  walls(['broker/log.ts'], { folders: notBroker, owns: ['winston'] }),
  walls(['broker/command.ts'], { folders: notBroker, owns: ['yargs', 'yargs/helpers'] }),
  walls(['client/**/*.ts'], { folders: notClient }),
  walls(['client/transport.ts'], { folders: notClient, owns: ['zeromq'] }),
  walls(['client/commands/**/*.ts'], { folders: notClient, owns: ['yargs', 'yargs/helpers'] }),
  // The list of all commands is the one place that sees every room.
  walls(['client/commands/mlm.ts'], { folders: ['tests'], owns: ['yargs', 'yargs/helpers'] }),
  walls(['workers/**/*.ts'], { folders: ['broker', 'tests', 'testing'] }),
  // A test wants a broker beside its workers; a worker process never loads one.
  walls(['workers/testing/test-broker.ts'], { folders: ['tests'] }),
  {
    files: [
      'tests/**/*.ts',
      'workers/examples/**/*.ts',
      'client/commands/**/*.ts',
      'broker/command.ts',
    ],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['tests/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
);
