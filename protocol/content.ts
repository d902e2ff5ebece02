// What is known of the content of a message, its frames, without looking into them.

/** The octets of all frames together: what counts against the limit of one message. */
export function contentBytes(content: readonly Buffer[]): number {
  let bytes = 0;
  for (const frame of content) bytes += frame.length;
  return bytes;
}
