// Shows what a broker answered: fields or a table for people, JSON for programs.
import type { Options } from 'yargs';
import type { Context } from './command.js';
import type { Fields } from './introspection.js';
import { safeJson } from './safe-text.js';
import { fieldLines, tableLines } from './table.js';

/** The option for programs, which every command has that shows something. */
export const JSON_OPTION: Options = { type: 'boolean', describe: 'print JSON, with bare numbers' };

/** @param nothing what to say where there are no rows */
export async function showTable(
  rows: readonly object[],
  nothing: string,
  json: boolean,
  { output, paint }: Context,
): Promise<void> {
  if (json) return output.line(safeJson(JSON.stringify(rows, null, 2)));
  const lines = rows.length === 0 ? [nothing] : tableLines(rows as readonly Fields[], paint);
  return output.line(lines.join('\n'));
}

export async function showFields(
  fields: object,
  json: boolean,
  { output, paint }: Context,
): Promise<void> {
  const text = json
    ? safeJson(JSON.stringify(fields, null, 2))
    : fieldLines(fields as Fields, paint).join('\n');
  return output.line(text);
}
