// Labels: what workers say of themselves, and what requests ask of workers in
// the same words. Types and checks; who gets what is decided by the broker.
import { encode } from '@msgpack/msgpack';
import { MlmError } from './errors.js';
import { TIMEOUT_MS_MAX } from './options.js';

export type LabelValue = string | number | boolean;

/** What a worker says of itself: `{ gpu: true, vramMb: 24000, models: ['sam3', 'kokoro'] }`. */
export type Labels = Readonly<Record<string, LabelValue | readonly LabelValue[]>>;

/**
 * What a label must be: a value that it equals (or, where it is a list, contains), a list of
 * which one must do, or for numbers the bounds, each included.
 */
export type LabelCondition =
  | LabelValue
  | readonly LabelValue[]
  | { readonly min?: number | undefined; readonly max?: number | undefined };

/** What a request asks of a worker. */
export interface Wants {
  /** Only a worker whose labels are so gets the request: `{ gpu: true, vramMb: { min: 8000 } }`. */
  readonly needs?: Readonly<Record<string, LabelCondition>> | undefined;
  /** A worker whose labels are so is preferred, for `settleMs`. */
  readonly prefers?: Readonly<Record<string, LabelCondition>> | undefined;
  /** How long to wait for a preferred worker to be free before another may have it, ms. */
  readonly settleMs?: number | undefined;
}

const LABELS_MAX = 64;
const NAME_CHARACTERS_MAX = 100;
/** Octets that what a request wants may take on the wire. */
const WANTS_BYTES_MAX = 0xffff;

/** @throws {MlmError} INVALID_ARGUMENT naming the label */
export function checkLabels(labels: Labels): Labels {
  checkMap('labels', labels, isLabel, 'a string, a number, true or false, or a list of these');
  return labels;
}

/**
 * What a request asks for, as it travels; undefined where it asks for nothing.
 *
 * @param fresh whether no earlier result will do
 * @throws {MlmError} INVALID_ARGUMENT naming the label
 */
export function checkWants({ needs, prefers, settleMs }: Wants, fresh = false): unknown {
  const kinds = 'a value, a list of values, or { min, max }';
  if (needs !== undefined) checkMap('needs', needs, isCondition, kinds);
  if (prefers !== undefined) checkMap('prefers', prefers, isCondition, kinds);
  if (settleMs !== undefined) checkSettle(settleMs, prefers);
  if (needs === undefined && prefers === undefined && !fresh) return undefined;
  const wants = {
    ...(needs !== undefined && { needs: plain(needs) }),
    ...(prefers !== undefined && { prefers: plain(prefers) }),
    ...(settleMs !== undefined && { settleMs }),
    ...(fresh && { fresh }),
  };
  const bytes = encode(wants).length;
  if (bytes > WANTS_BYTES_MAX) {
    throw invalid(`needs and prefers take ${bytes} octets; the wire takes ${WANTS_BYTES_MAX}`);
  }
  return wants;
}

/** The same without bounds that are undefined: they would travel as nothing, which is a value. */
function plain(conditions: Readonly<Record<string, LabelCondition>>): unknown {
  const entries = Object.entries(conditions).map(([label, condition]) => {
    if (!isMap(condition)) return [label, condition];
    return [
      label,
      Object.fromEntries(Object.entries(condition).filter(([, bound]) => bound !== undefined)),
    ];
  });
  return Object.fromEntries(entries) as unknown;
}

function checkSettle(settleMs: number, prefers: unknown): void {
  if (prefers === undefined) throw invalid('settleMs means nothing without prefers');
  if (Number.isInteger(settleMs) && settleMs >= 0 && settleMs <= TIMEOUT_MS_MAX) return;
  const range = `a whole number of milliseconds from 0 to ${TIMEOUT_MS_MAX}`;
  throw invalid(`settleMs is ${String(settleMs)}; it must be ${range}`);
}

function checkMap(
  what: string,
  map: unknown,
  fits: (value: unknown) => boolean,
  kinds: string,
): void {
  if (!isMap(map)) throw invalid(`${what} must be a map from label to value`);
  const entries = Object.entries(map);
  if (entries.length > LABELS_MAX) {
    throw invalid(`${what} has ${entries.length} labels; ${LABELS_MAX} are the most`);
  }
  for (const [name, value] of entries) {
    if (name === '' || name.length > NAME_CHARACTERS_MAX) {
      throw invalid(`${what}: a label's name has 1 to ${NAME_CHARACTERS_MAX} characters`);
    }
    if (!fits(value)) throw invalid(`${what}: "${name}" must be ${kinds}`);
  }
}

function isValue(value: unknown): value is LabelValue {
  return (
    typeof value === 'string' ||
    typeof value === 'boolean' ||
    (typeof value === 'number' && Number.isFinite(value))
  );
}

function isLabel(value: unknown): boolean {
  return Array.isArray(value) ? value.every(isValue) : isValue(value);
}

function isCondition(value: unknown): boolean {
  if (!isMap(value)) return isLabel(value);
  const { min, max, ...rest } = value;
  const bounds = [min, max].filter((bound) => bound !== undefined);
  return bounds.length > 0 && bounds.every(Number.isFinite) && Object.keys(rest).length === 0;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(message: string): MlmError {
  return new MlmError('INVALID_ARGUMENT', message);
}
