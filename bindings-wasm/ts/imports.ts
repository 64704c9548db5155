import type { Caller } from "./caller.js";
import type { BeginImport, Import, ImportProgress } from "./generated/types.js";
import { invalid } from "./raise.js";

/** So many bytes are fed at a time: about what one commit takes. */
const PIECE = 128 * 1024;

/** Bytes, in parts of any size: what a stream, a file or an answer of `fetch` gives. Text is fed as UTF-8. */
export type ImportData = AsyncIterable<Uint8Array> | Iterable<Uint8Array> | ReadableStream<Uint8Array> | Blob | Uint8Array | string;

/** What `imports.begin` takes, and how the import goes on. */
export interface ImportOptions extends BeginImport {
  /** An import that was broken off, with which it goes on: the data is the same from its beginning, and what it was begun with stays. */
  readonly resume?: string | undefined;
  /** Is given what became of each piece, which is committed by then, and waited for. An exception ends the import. */
  readonly onProgress?: ((progress: ImportProgress) => unknown) | undefined;
}

/**
 * Imports users from data of any size, of which no more than a piece is in memory; returns the finished import.
 *
 * An import ends early, with the status `stopped`, when too many of its records have failed. What was
 * imported before an error or the caller's signal stays, and the import can be resumed. Not in web pages.
 */
export async function importUsers(caller: Caller, data: ImportData, options: ImportOptions): Promise<Import> {
  const { resume, onProgress, ...begin } = options;
  const { imports } = caller;
  let status = await (resume === undefined ? imports.begin(begin) : imports.resume({ id: resume }));
  // What has come and was not read yet, the beginning of a record, in parts of so many bytes in all.
  let [held, length, size]: [BlobPart[], number, number] = [[], 0, PIECE];
  const isOpen = () => status.status === "open";
  const feed = async (isLast: boolean) => {
    const left = new Blob(held);
    const letters = Array.from(new Uint8Array(await left.slice(0, size).arrayBuffer()), (byte) => String.fromCharCode(byte)).join("");
    const progress = await imports.feed({ id: status.id, at: status.position, data: btoa(letters), isLast });
    const used = progress.import.position - status.position;
    [held, length, status] = [[left.slice(used)], length - used, progress.import];
    // A record that is longer is fed whole, up to 1 MiB.
    size = used > 0 ? PIECE : Math.min(2 * size, 8 * PIECE);
    await onProgress?.(progress);
  };
  const isWhole = typeof data === "string" || ArrayBuffer.isView(data);
  // Whatever offers imports can iterate its streams.
  const parts = (isWhole || data instanceof Blob ? new Blob([data as BlobPart]).stream() : data) as AsyncIterable<unknown>;
  for await (const part of parts) {
    if (!ArrayBuffer.isView(part)) throw invalid("data", "invalid_type", "gives no bytes");
    // Copied: some sources fill one buffer again and again.
    held.push(new Blob([part as BlobPart]));
    length += part.byteLength;
    while (isOpen() && length >= size) await feed(false);
    if (!isOpen()) return status;
  }
  for (let isLast = false; isOpen() && !(isLast && length === 0); ) await feed((isLast = length <= size));
  return isOpen() ? imports.finish({ id: status.id }) : status;
}
