// Server-sent events, as far as the OpenAI API uses them: the data of each event,
// whatever pieces it comes in. What the data says is not known here.
//
// Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, "Interpreting
// an event stream"; the fields `event`, `id` and `retry` mean nothing here.

/** The data of each event. */
export async function* eventsOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let data: string[] = [];
  for await (const line of linesOf(chunks)) {
    if (line === '') {
      if (data.length > 0) yield data.join('\n');
      data = [];
      continue;
    }
    const [, value] = /^data:? ?(.*)$/s.exec(line) ?? [];
    if (value !== undefined) data.push(value);
  }
  if (data.length > 0) yield data.join('\n');
}

async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let held: string[] = [];
  let mayEnd = false;
  for await (const chunk of chunks) {
    const text = decoder.decode(chunk, { stream: true });
    held.push(text);
    if (!mayEnd && !/[\r\n]/.test(text)) continue;
    // A return at the end may be one half of an end of line.
    const lines = held.join('').split(/\r\n|\n|\r(?!$)/);
    held = lines.splice(-1);
    mayEnd = held[0]?.endsWith('\r') === true;
    yield* lines;
  }
  const rest = held.join('') + decoder.decode();
  if (rest !== '') yield* rest.split(/\r\n|\n|\r/);
}
