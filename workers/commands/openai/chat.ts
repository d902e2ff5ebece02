// The answer of a model in a chat, put together from the pieces in which a
// server streams it. Where the pieces come from is not known here.
import { failure, type FailureClass } from '../failure.js';
import { valueOf, type Parameters } from './asking.js';
import { messageOfValue } from './server.js';

/** The whole answer. */
export interface ChatAnswer {
  readonly text: string;
  /** Functions that the model wants to be called, as the API has them. */
  readonly toolCalls: readonly unknown[];
  /** `stop`, `length`, `tool_calls` and so on; undefined where the server does not say. */
  readonly finishReason: string | undefined;
  /** Tokens that were counted, as the API has them; undefined where the server does not say. */
  readonly usage: unknown;
}

/** A function that the model wants to be called, while it is put together. */
interface ToolCall {
  id: unknown;
  type: unknown;
  function: { name: string; arguments: string };
}

const TOOL_CALLS_MAX = 1000;

/** Collects an answer. */
export class ChatCollector {
  readonly #onText: (text: string) => void;
  readonly #toolCalls: ToolCall[] = [];
  readonly #texts: string[] = [];
  #finishReason: string | undefined;
  #usage: unknown;
  #done = false;

  /** @param onText told of each piece of text */
  constructor(onText: (text: string) => void) {
    this.#onText = onText;
  }

  /** Takes the data of an event. @throws {JobError} where it tells of an error */
  take(data: string): void {
    if (data.trim() === '[DONE]') {
      this.#done = true;
      return;
    }
    const event = valueOf(Buffer.from(data));
    if (event['error'] !== undefined && event['error'] !== null) throw serverError(event);
    if (event['usage'] !== undefined && event['usage'] !== null) this.#usage = event['usage'];
    const choice = firstChoice(event);
    if (choice === undefined) return;
    this.#takeDelta((choice['delta'] ?? choice['message']) as Parameters | null | undefined);
    const { finish_reason: reason } = choice;
    if (typeof reason === 'string') this.#finishReason = reason;
  }

  /** Takes the answer of a server that does not stream. */
  takeWhole(bytes: Buffer): void {
    this.take(JSON.stringify(valueOf(bytes)));
    this.#done = true;
  }

  /** @throws {JobError} transient where the answer is not whole */
  answer(): ChatAnswer {
    if (!this.#done && this.#finishReason === undefined) {
      throw failure('transient', 'the answer of the server broke off');
    }
    return {
      text: this.#texts.join(''),
      toolCalls: this.#toolCalls,
      finishReason: this.#finishReason,
      usage: this.#usage,
    };
  }

  #takeDelta(delta: Parameters | null | undefined): void {
    const content = delta?.['content'];
    if (typeof content === 'string' && content !== '') {
      this.#texts.push(content);
      this.#onText(content);
    }
    const calls = delta?.['tool_calls'];
    if (Array.isArray(calls)) calls.forEach((call, at) => this.#takeCall(call as Parameters, at));
  }

  /** The pieces of one call have one index; the text of its arguments comes bit by bit. */
  #takeCall(piece: Parameters, at: number): void {
    const index = typeof piece['index'] === 'number' ? piece['index'] : at;
    if (!Number.isInteger(index) || index < 0 || index >= TOOL_CALLS_MAX) return;
    const named = (piece['function'] ?? {}) as { name?: unknown; arguments?: unknown };
    const call = (this.#toolCalls[index] ??= {
      id: undefined,
      type: 'function',
      function: { name: '', arguments: '' },
    });
    call.id ??= piece['id'];
    if (typeof named.name === 'string') call.function.name += named.name;
    if (typeof named.arguments === 'string') call.function.arguments += named.arguments;
  }
}

function firstChoice(event: Parameters): Parameters | undefined {
  const { choices } = event;
  const [first] = Array.isArray(choices) ? (choices as readonly unknown[]) : [];
  return typeof first === 'object' && first !== null ? (first as Parameters) : undefined;
}

/** A server that has begun to answer can only say in the answer that it failed. */
function serverError(event: Parameters): Error {
  const message = messageOfValue(event) ?? 'the server says no more';
  const name: FailureClass = /out of memory/i.test(message) ? 'out-of-memory' : 'transient';
  return failure(name, `the server failed while it answered: ${message}`);
}
