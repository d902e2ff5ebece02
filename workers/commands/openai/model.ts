// A model of an OpenAI-compatible server as it is written down, checked and with
// its defaults. A plain description; nothing is asked here.

/** A model, and what it is asked for. */
export interface ModelSpec {
  /** The server's address, without a slash at the end: `http://127.0.0.1:8000/v1`. */
  readonly url: string;
  /** The key that the server wants, if it wants one. */
  readonly key: string | undefined;
  readonly model: string;
  readonly api: 'chat' | 'images' | 'speech' | 'embeddings';
  /** What the reply to a chat is: the text alone, or the whole message as a value. */
  readonly output: 'text' | 'json';
  /** Parameters of every request; null takes one away that the adapter would send. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly timeLimitMs: number | undefined;
  /** Octets of a reply. */
  readonly outputBytesMax: number;
}
