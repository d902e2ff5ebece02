// Which programs the studio needs that are not of this project, and which packages
// of Debian bring them. It starts each once, to see whether it is there, and
// installs nothing.
import { spawnSync } from 'node:child_process';

/** What is called to see whether a package is there, and what its answer must hold. */
interface Sign {
  readonly packageName: string;
  readonly command: readonly [program: string, ...args: string[]];
  readonly says: RegExp;
}

const SIGNS: readonly Sign[] = [
  { packageName: 'tesseract-ocr', command: ['tesseract', '--list-langs'], says: /^eng$/m },
  { packageName: 'imagemagick', command: ['convert', '-version'], says: /ImageMagick/ },
  { packageName: 'espeak-ng', command: ['espeak-ng', '--version'], says: /eSpeak/ },
  { packageName: 'ffmpeg', command: ['ffmpeg', '-version'], says: /^ffmpeg/ },
  { packageName: 'fonts-dejavu-core', command: ['convert', '-list', 'font'], says: /DejaVu-Sans/ },
];

/** @returns the packages of Debian whose programs or files are not there */
export function missingPackages(): string[] {
  return SIGNS.filter((sign) => !isThere(sign)).map(({ packageName }) => packageName);
}

function isThere({ command: [program, ...args], says }: Sign): boolean {
  const { error, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return error === undefined && says.test(`${stdout}\n${stderr}`);
}
