// Where something stands in a file, and what it is called there. Words only.

/** A place in a file; lines and columns count from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** The way to a value: keys of maps and places in lists. */
export type KeyPath = readonly (string | number)[];

/** `steps.read.input`, `services.ocr.command[2]` */
export function dotted(path: KeyPath): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    return text === '' ? key : `${text}.${key}`;
  }, '');
}
