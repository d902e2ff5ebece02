// What a page of the documentation shows, taken apart: its sections, and in each
// the programs and terminal sessions, in their order. It runs nothing.
//
// - A block of `js` is a whole program; its first line, a comment, names its file.
// - A block of `console` is a terminal session: lines that begin with `$ ` are
//   typed, the others are what is seen. A line with nothing but `…` stands for any
//   lines. In `console background` the one command goes on running, in a terminal
//   of its own, until the section ends.
// - Other blocks are not run.
import { readFileSync } from 'node:fs';

/** One command, and what is seen once it was typed. */
export interface Step {
  readonly command: string;
  readonly output: readonly string[];
}

export type Block =
  | { readonly kind: 'program'; readonly file: string; readonly text: string }
  | { readonly kind: 'session'; readonly steps: readonly Step[] }
  | { readonly kind: 'background'; readonly step: Step }
  | { readonly kind: 'other'; readonly language: string; readonly text: string };

/** A section, by its heading of the second level, with what stands below it. */
export interface Section {
  readonly page: string;
  readonly title: string;
  readonly blocks: readonly Block[];
}

/** @throws {Error} naming the page and the block, where one is not as the rules above say */
export function readSections(page: string): Section[] {
  const parts = readFileSync(page, 'utf8').split(/^## (.*)$/m);
  const sections = [];
  for (let at = 0; at < parts.length; at += 2) {
    const title = at === 0 ? 'the beginning' : (parts[at - 1] ?? '');
    sections.push({ page, title, blocks: readBlocks(`${page}, ${title}`, parts[at] ?? '') });
  }
  return sections;
}

function readBlocks(where: string, text: string): Block[] {
  return [...text.matchAll(/^```(.*)\n([^]*?)^```$/gm)].map(([, info = '', body = '']) =>
    readBlock(where, info, body),
  );
}

function readBlock(where: string, info: string, text: string): Block {
  switch (info) {
    case 'js':
      return { kind: 'program', file: fileOf(where, text), text };
    case 'console':
      return { kind: 'session', steps: readSteps(where, text) };
    case 'console background': {
      const [step, ...more] = readSteps(where, text);
      if (step === undefined || more.length > 0) {
        throw new Error(`${where}: a session in the background has one command`);
      }
      return { kind: 'background', step };
    }
    default:
      return { kind: 'other', language: info, text };
  }
}

function fileOf(where: string, text: string): string {
  const [, file] = /^\/\/ ([\w.-]+\.mjs)$/m.exec(text) ?? [];
  if (file === undefined) throw new Error(`${where}: a program begins with "// its-name.mjs"`);
  return file;
}

function readSteps(where: string, text: string): Step[] {
  const steps: { command: string; output: string[] }[] = [];
  for (const line of text.trimEnd().split('\n')) {
    if (line.startsWith('$ ')) steps.push({ command: line.slice(2), output: [] });
    else if (steps.length > 0) steps.at(-1)?.output.push(line);
    else throw new Error(`${where}: a session begins with a command`);
  }
  return steps;
}
