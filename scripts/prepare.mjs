// Makes a checkout ready to run: installs the dependencies when the lock file
// is newer than what is installed, and builds when a source is newer than the
// last build. It does nothing, quickly, when everything is fresh.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const sources = ['protocol', 'broker', 'client', 'workers'];
const stamp = join(root, 'dist', '.built');

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`malamute-ts needs Node 20.19 or later; this is ${process.versions.node}.`);
  process.exit(1);
}

if (modified('package-lock.json') > modified('node_modules/.package-lock.json')) {
  run('installing dependencies', 'npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
}
if (newestSource() > modified('dist/.built')) {
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  run('building', process.execPath, [
    'node_modules/typescript/bin/tsc',
    '-p',
    'tsconfig.build.json',
  ]);
  makeExecutable();
  writeFileSync(stamp, '');
}

function run(what, command, args) {
  console.error(`malamute-ts: ${what} …`);
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (result.status !== 0) {
    console.error(`malamute-ts: ${what} failed (${command} ${args.join(' ')}).`);
    process.exit(result.status ?? 1);
  }
}

/** The time a file was last changed (ms), or 0 where there is none. */
function modified(path) {
  const full = join(root, path);
  return existsSync(full) ? statSync(full).mtimeMs : 0;
}

function newestSource() {
  let newest = Math.max(modified('tsconfig.json'), modified('tsconfig.build.json'));
  for (const folder of sources) {
    for (const entry of readdirSync(join(root, folder), { recursive: true })) {
      newest = Math.max(newest, modified(join(folder, entry)));
    }
  }
  return newest;
}

/**
 * npx runs this package's own commands from a checkout, but makes them
 * executable only once, not after each build.
 */
function makeExecutable() {
  const { bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  for (const file of Object.values(bin)) chmodSync(join(root, file), 0o755);
}
