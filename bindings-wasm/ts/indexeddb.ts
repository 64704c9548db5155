import { KEEP_DELETED, type Batch, type Loaded, type Persisted, type Persister, type SealedChange, type Stored } from "./persister.js";
import { unavailable } from "./raise.js";

/** Events of a page before which its timers may not have run for long. */
const SHOWN = ["visibilitychange", "resume", "pageshow", "focus"];

/**
 * Keeps a store in the browser's IndexedDB, in a database of this name. It survives a reload, and several tabs agree.
 *
 * One commit is one transaction of `strict` durability, in which its base is checked. Tabs tell each other of their
 * commits, and a page that is shown again, or wakes up, catches up at once.
 */
export function indexedDB(name: string): Persister {
  return new IndexedDb(name);
}

class IndexedDb implements Persister {
  readonly #name: string;
  /** Undefined before the database is open, and where there is none: then others are heard of within 200 ms. */
  #channel: BroadcastChannel | undefined;
  #changed: (() => void) | undefined;
  #database: Promise<IDBDatabase> | undefined;
  readonly #shown = () => globalThis.document?.visibilityState !== "hidden" && this.#changed?.();

  constructor(name: string) {
    this.#name = name;
  }

  async load(since: number): Promise<Loaded> {
    return this.#within("readonly", async (rows, head) => {
      const position = await newest(head);
      if (position <= since) return { position, changes: [] };
      const isWhole = since < ((await answer<number | undefined>(head.get("dropped"))) ?? 0);
      const stored = await answer<Stored[]>(rows.index("position").getAll(isWhole ? null : IDBKeyRange.lowerBound(since, true)));
      return { position, ...(isWhole && { isWhole }), changes: stored.map(({ id, table, row }) => ({ id, table, row })) };
    });
  }

  async persist(batch: Batch): Promise<Persisted> {
    const persisted = await this.#within("readwrite", async (rows, head): Promise<Persisted> => {
      if ((await newest(head)) !== batch.base) return "stale";
      for (const { id, table, row, isDeleted = row === null } of batch.changes as readonly SealedChange[]) {
        rows.put({ id, table, row, position: batch.position, ...(isDeleted && { gone: batch.position }) });
      }
      head.put(batch.position, "position");
      return "done";
    });
    if (persisted === "done") this.#channel?.postMessage(batch.position);
    return persisted;
  }

  async forget(ids: readonly string[]): Promise<void> {
    await this.#within("readwrite", async (rows, head) => {
      const before = (await newest(head)) - KEEP_DELETED;
      const gone = await answer(rows.index("gone").getAllKeys(IDBKeyRange.upperBound(before)));
      for (const id of [...ids, ...gone]) rows.delete(id);
      if (gone.length > 0) head.put(before, "dropped");
    });
  }

  async close(): Promise<void> {
    for (const event of SHOWN) globalThis.removeEventListener?.(event, this.#shown, true);
    const [channel, database] = [this.#channel, this.#database];
    this.#channel = this.#database = undefined;
    channel?.close();
    (await database)?.close();
  }

  watch(changed: () => void): void {
    this.#changed = changed;
    // On their way down, as a document's own events do not all rise to its window.
    for (const event of SHOWN) globalThis.addEventListener?.(event, this.#shown, true);
  }

  /** One transaction: answers once it is complete, that is, durable. */
  async #within<T>(mode: IDBTransactionMode, work: (rows: IDBObjectStore, head: IDBObjectStore) => Promise<T>): Promise<T> {
    this.#database ??= this.#open();
    const transaction = (await this.#database).transaction(["rows", "head"], mode, { durability: "strict" });
    const complete = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? unavailable("storage_unavailable", "the transaction was aborted"));
    });
    const working = work(transaction.objectStore("rows"), transaction.objectStore("head"));
    // What was put before something failed would be committed. One that has ended refuses to be aborted.
    working.catch(() => transaction.abort()).catch(() => {});
    // Both are waited for, so that neither is left with a rejection that nobody hears.
    const [worked, completed] = await Promise.allSettled([working, complete]);
    if (worked.status === "rejected") throw worked.reason;
    if (completed.status === "rejected") throw completed.reason;
    return worked.value;
  }

  async #open(): Promise<IDBDatabase> {
    const forget = () => (this.#database = undefined);
    try {
      if (globalThis.indexedDB === undefined) throw new Error("there is no IndexedDB here");
      const request = globalThis.indexedDB.open(this.#name, 1);
      request.onupgradeneeded = () => {
        const rows = request.result.createObjectStore("rows", { keyPath: "id" });
        // The position again, of rows that were deleted.
        for (const index of ["position", "gone"]) rows.createIndex(index, index);
        request.result.createObjectStore("head");
      };
      const database = await answer(request);
      // Taken away by the browser or by another tab that deletes it: opened anew when it is next asked for.
      database.onclose = forget;
      database.onversionchange = () => {
        forget();
        database.close();
      };
      if (this.#channel === undefined && "BroadcastChannel" in globalThis) {
        this.#channel = new BroadcastChannel(`rolekeep:${this.#name}`);
        this.#channel.onmessage = () => this.#changed?.();
      }
      return database;
    } catch (problem) {
      forget();
      throw unavailable("storage_unavailable", `IndexedDB cannot be opened: ${problem}`, problem);
    }
  }
}

async function newest(head: IDBObjectStore): Promise<number> {
  return (await answer<number | undefined>(head.get("position"))) ?? 0;
}

function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
