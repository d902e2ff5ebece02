// How long things are kept and how safely, by name: rules from the config file,
// of which the first whose pattern matches a name holds for it.
import { compilePattern, ProtocolError, type Pattern } from '../protocol/index.js';
import { OptionError } from './options.js';
import { DURABILITIES, type Durability } from './store/storage.js';
import type { Retention } from './store/store.js';

/** What holds for one stream. */
export interface StreamPolicy {
  readonly durability: Durability;
  readonly retention: Retention;
}

/** What holds for one mailbox or service. */
export interface QueuePolicy {
  readonly durability: Durability;
}

/** Rules as the config file has them: `match` is a pattern for names, the rest what it sets. */
export interface PolicyRules {
  readonly streams?: unknown;
  readonly mailboxes?: unknown;
  readonly services?: unknown;
}

interface Rule {
  readonly pattern: Pattern;
  readonly durability: Durability | undefined;
  readonly retention: Partial<Retention>;
}

const RETENTION_KEYS = {
  bytesMax: 'bytes-max',
  messagesMax: 'messages-max',
  ageMsMax: 'age-ms-max',
} as const;

/**
 * Who is there is worth nothing to a broker that has started anew: everybody
 * joins again. A rule may say otherwise.
 */
const PRESENCE = '$presence';
const PRESENCE_BYTES_MAX = 16 * 1024 * 1024;

/** The kinds of name that rules are written for; the keys of the config file. */
export const RULE_KINDS = ['streams', 'mailboxes', 'services'] as const;

export class Policies {
  readonly #streams: readonly Rule[];
  readonly #mailboxes: readonly Rule[];
  readonly #services: readonly Rule[];
  readonly #retention: Retention;

  /**
   * @param retention what a stream without a rule has
   * @param source where the rules come from, for messages
   * @throws {OptionError} naming the rule and what is wrong with it
   */
  constructor(retention: Retention, rules: PolicyRules = {}, source = 'rules') {
    this.#retention = retention;
    this.#streams = readRules(rules.streams, `${source}: streams`, true);
    this.#mailboxes = readRules(rules.mailboxes, `${source}: mailboxes`, false);
    this.#services = readRules(rules.services, `${source}: services`, false);
  }

  stream(name: string): StreamPolicy {
    const rule = ruleFor(this.#streams, name);
    const { durability, retention } = this.#withoutRule(name);
    return {
      durability: rule?.durability ?? durability,
      retention: { ...retention, ...rule?.retention },
    };
  }

  #withoutRule(name: string): StreamPolicy {
    if (name !== PRESENCE) return { durability: 'fsync', retention: this.#retention };
    const bytesMax = Math.min(PRESENCE_BYTES_MAX, this.#retention.bytesMax);
    return { durability: 'memory', retention: { ...this.#retention, bytesMax } };
  }

  mailbox(name: string): QueuePolicy {
    return { durability: ruleFor(this.#mailboxes, name)?.durability ?? 'fsync' };
  }

  service(name: string): QueuePolicy {
    return { durability: ruleFor(this.#services, name)?.durability ?? 'fsync' };
  }
}

function ruleFor(rules: readonly Rule[], name: string): Rule | undefined {
  return rules.find(({ pattern }) => pattern.matches(name));
}

function readRules(value: unknown, where: string, withRetention: boolean): Rule[] {
  if (value === undefined) return [];
  if (!Array.isArray(value))
    throw new OptionError(`${where} is a list of rules, each with "match"`);
  return value.map((entry, index) => readRule(entry, `${where}[${index}]`, withRetention));
}

function readRule(value: unknown, where: string, withRetention: boolean): Rule {
  if (typeof value !== 'object' || value === null) throw new OptionError(`${where} is not a rule`);
  const { match, durability, ...rest } = value as Record<string, unknown>;
  if (typeof match !== 'string')
    throw new OptionError(`${where}: "match" is missing, a pattern for names`);
  return {
    pattern: readPattern(match, where),
    durability: readDurability(durability, where),
    retention: readRetention(rest, where, withRetention),
  };
}

function readPattern(match: string, where: string): Pattern {
  try {
    return compilePattern(match);
  } catch (error) {
    if (error instanceof ProtocolError) throw new OptionError(`${where}: ${error.message}`);
    throw error;
  }
}

function readDurability(value: unknown, where: string): Durability | undefined {
  if (value === undefined) return undefined;
  const durability = DURABILITIES.find((name) => name === value);
  if (durability !== undefined) return durability;
  throw new OptionError(
    `${where}: durability is one of ${DURABILITIES.join(', ')}, not ${JSON.stringify(value)}`,
  );
}

function readRetention(
  values: Record<string, unknown>,
  where: string,
  allowed: boolean,
): Partial<Retention> {
  const retention: Record<string, number> = {};
  for (const [key, value] of Object.entries(values)) {
    const property = Object.entries(RETENTION_KEYS).find(([, name]) => name === key)?.[0];
    if (property === undefined || !allowed) {
      const keys = ['match', 'durability', ...(allowed ? Object.values(RETENTION_KEYS) : [])];
      throw new OptionError(`${where}: there is no key "${key}"; the keys are ${keys.join(', ')}`);
    }
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 1) {
      throw new OptionError(
        `${where}: ${key} is a whole number above 0, not ${JSON.stringify(value)}`,
      );
    }
    retention[property] = value;
  }
  return retention;
}
