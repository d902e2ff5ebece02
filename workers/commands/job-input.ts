// Puts a request where its command finds it: files into the folder of the job,
// octets for standard input, values for templates.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CommandInput, InputFile } from './command.js';
import { badInput } from './failure.js';
import type { RequestBody } from './request-body.js';
import { isMany, readFrames, readSource } from './sources.js';
import type { TemplateValues } from './template.js';

/** Files that are made for one request. */
const FILES_MAX = 10_000;

/**
 * Writes the files of a request.
 *
 * @param folder the folder of the job
 * @throws {JobError} bad-input where the request lacks a part
 */
export async function writeInputFiles(
  folder: string,
  { files }: CommandInput,
  body: RequestBody,
): Promise<void> {
  const all = files.flatMap((file) => filesOf(file, body));
  if (all.length > FILES_MAX) throw badInput(`the request has more than ${FILES_MAX} frames`);
  for (const { name, bytes } of all) {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes, { flag: 'wx', mode: 0o600 });
  }
}

function filesOf({ name, source }: InputFile, body: RequestBody) {
  if (!isMany(source)) return [{ name, bytes: readSource(source, body) }];
  return readFrames(source, body).map((bytes, at) => ({
    name: name.replace('*', () => String(at + 1)),
    bytes,
  }));
}

/** What templates of a request are filled with. */
export function templateValues(
  subject: string,
  body: RequestBody,
  folder: string,
  here: string,
): TemplateValues {
  return {
    subject,
    body: () => body.text(),
    field: (path) => body.field(path),
    folder,
    here,
  };
}
