import { readFile } from "node:fs/promises";

/** Node does not fetch files. @internal */
export function read(from: URL | string): Promise<Uint8Array<ArrayBuffer> | Response> {
  const url = new URL(from);
  return url.protocol === "file:" ? readFile(url) : fetch(url);
}
