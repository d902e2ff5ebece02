// What a broker tells about itself, laid out for people. The names that the
// broker gives say how a value is to be read (`connectedMs`, `residentBytes`),
// so what a later broker tells beside is shown too.
import type { Fields } from './introspection.js';
import { Line } from './line.js';
import type { Paint, Role } from './styles.js';
import { duration, grouped, size } from './units.js';

/** Characters of one cell. */
const CELL_CHARACTERS_MAX = 60;
const GAP = '  ';

interface Column {
  readonly key: string;
  readonly title: string;
  /** Numbers stand to the right. */
  readonly toRight: boolean;
}

/** A table: titles, then the rows in the order of their first column. No rows, no lines. */
export function tableLines(rows: readonly Fields[], paint: Paint): string[] {
  const [first] = rows;
  if (first === undefined) return [];
  const columns = columnsOf(first, rows);
  const cells = rows
    .map((row) => columns.map(({ key }) => cellText(key, row[key])))
    .sort(([a = ''], [b = '']) => (a < b ? -1 : Number(a > b)));
  const widths = columns.map(({ title }, at) =>
    Math.max(
      title.length,
      ...cells.map((row) => new Line(paint, CELL).add('plain', row[at] ?? '').length),
    ),
  );
  const layOut = (texts: readonly string[], roleOf: (at: number) => Role): string =>
    texts
      .map((text, at) =>
        cell(text, widths[at] ?? 0, columns[at]?.toRight ?? false, roleOf(at), paint),
      )
      .join(GAP)
      .trimEnd();
  return [
    layOut(
      columns.map(({ title }) => title),
      () => 'note',
    ),
    ...cells.map((row) => layOut(row, (at) => (at === 0 ? 'sender' : 'plain'))),
  ];
}

/** Fields one below the other: what it is, then its value. */
export function fieldLines(fields: Fields, paint: Paint): string[] {
  const entries = Object.entries(fields).map(
    ([key, value]) => [wordsOf(key).toLowerCase(), cellText(key, value)] as const,
  );
  const width = Math.max(0, ...entries.map(([name]) => name.length));
  return entries.map(([name, value]) =>
    new Line(paint).column('note', name, width).add('plain', GAP).add('plain', value).toString(),
  );
}

const CELL = { charactersMax: CELL_CHARACTERS_MAX };

function columnsOf(first: Fields, rows: readonly Fields[]): Column[] {
  return Object.keys(first).map((key) => ({
    key,
    title: wordsOf(key).toUpperCase(),
    // What is not known is a number, too: text is empty where there is none.
    toRight: rows.every(({ [key]: value }) => typeof value === 'number' || value === null),
  }));
}

function cell(text: string, width: number, toRight: boolean, role: Role, paint: Paint): string {
  const line = new Line(paint, CELL).add(role, text);
  const space = ' '.repeat(Math.max(0, width - line.length));
  return toRight ? `${space}${line.toString()}` : `${line.toString()}${space}`;
}

/** `lastSequence` is `last sequence`; the unit is left to the value. */
function wordsOf(key: string): string {
  return key.replace(/(?<=.)(Ms|Bytes)$/, '').replace(/(?<=[a-z\d])[A-Z]/g, ' $&');
}

function cellText(key: string, value: unknown): string {
  if (value === null || value === undefined || value === '') return '-';
  if (Array.isArray(value)) return value.map((item) => cellText('', item)).join(', ') || '-';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number') return numberText(key, value);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function numberText(key: string, value: number): string {
  if (key.endsWith('Ms')) return duration(value);
  if (key === 'bytes' || key.endsWith('Bytes')) return size(value);
  return key === 'pid' ? String(value) : grouped(value);
}
