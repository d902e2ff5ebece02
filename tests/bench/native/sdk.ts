// This project's SDK as users install it: the build in dist/. Roles of the
// native comparisons get it from here, and its types from the sources.
import type * as Client from '../../../client/index.js';

/** The public entry of the built package. */
export async function sdk(): Promise<typeof Client> {
  const url = new URL('../../../../dist/client/index.js', import.meta.url);
  return (await import(url.href)) as typeof Client;
}
