import { link, mkdir, open, readdir, readFile, rename, stat, unlink } from "node:fs/promises";
import { randomUUID } from "node:crypto";
import { join } from "node:path";

import { InternalError } from "./errors.js";
import { KEEP_DELETED, type Batch, type Loaded, type Persisted, type Persister, type Stored } from "./persister.js";
import { unavailable } from "./raise.js";

export * from "./guarded.js";

/**
 * Keeps a store in a folder, which is created if it does not exist. Durable, and safe for several processes on one machine.
 *
 * The file system must have hard links: by them the first writer of a commit is the only one.
 */
export function filePersister(path: string): Persister {
  return new Files(path);
}

/** Rows that were deleted up to `dropped` are not in it. */
type Snapshot = { readonly position: number; readonly rows: readonly Stored[]; readonly dropped?: number };

/** So many commits are kept before they are drawn together, at least. */
const COMMITS = 256;
const STALE_MILLIS = 3_600_000;

/*
 * commit-N is the batch of position N; snapshot-N all rows up to it. A commit appears whole or not at all, and only
 * once. Drawing together removes commits in ascending order and never the newest. So while commit N-1 is there, a
 * commit N that is not there was never made.
 */
class Files implements Persister {
  readonly #path: string;
  #snapshot = { position: 0, rows: 0 };
  /** Whether the names in the folder are known to be durable; undefined before it is made. */
  #isDurable: boolean | undefined;
  /** Not written any more when commits are next drawn together. */
  readonly #forgotten = new Set<string>();

  constructor(path: string) {
    this.#path = path;
  }

  async load(since: number): Promise<Loaded> {
    // Once: a folder that is taken away under an open store stays away.
    if (this.#isDurable === undefined) await mkdir(this.#path, { recursive: true, mode: 0o700 });
    // Here a commit is found whose writer was not told: nobody else makes it last.
    if (!this.#isDurable) await this.#sync();
    const { position, rows, dropped = 0 } = await this.#read(since);
    return { position, ...(since < dropped && { isWhole: true }), changes: rows.map(({ id, table, row }) => ({ id, table, row })) };
  }

  forget(ids: readonly string[]): void {
    for (const id of ids) this.#forgotten.add(id);
  }

  async persist(batch: Batch): Promise<Persisted> {
    const { base, position, changes } = batch;
    const draft = await this.#draft(JSON.stringify({ position, changes }));
    this.#isDurable = false;
    try {
      await link(draft, this.#file("commit", position));
    } catch (problem) {
      if (code(problem) === "EEXIST") return "stale";
      if (code(problem) === "EPERM" || code(problem) === "ENOTSUP") {
        throw unavailable("storage_unavailable", `${this.#path}: the file system has no hard links`, problem);
      }
      throw problem;
    } finally {
      await unlink(draft);
    }
    // Where others have drawn the commits together meanwhile, ours came too late.
    if (base === 0 ? (await this.#newestSnapshot()) > 0 : !(await exists(this.#file("commit", base)))) {
      await unlink(this.#file("commit", position));
      return "stale";
    }
    // What is stored again is needed again.
    for (const { id, row } of changes) if (row !== null) this.#forgotten.delete(id);
    await this.#sync();
    if (position - this.#snapshot.position >= Math.max(COMMITS, this.#snapshot.rows / 4)) {
      // The commit is made, whatever becomes of this.
      await this.#drawTogether().catch(() => {});
    }
    return "done";
  }

  async #read(since: number): Promise<Snapshot> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        const next = await this.#readCommits(since);
        if (next !== undefined) return next;
        const from = await this.#newestSnapshot();
        if (from <= since) {
          // Once, a snapshot came between; again and again, somebody took the files away: that is told as it is.
          if (attempt > 3) return { position: from, rows: [] };
          continue;
        }
        const snapshot = await read<Snapshot>(this.#file("snapshot", from));
        this.#snapshot = { position: from, rows: snapshot.rows.length };
        const later = await this.#readCommits(from);
        if (later === undefined) continue;
        const wanted = (row: Stored) => row.position > since || since < (snapshot.dropped ?? 0);
        return { ...snapshot, position: later.position, rows: snapshot.rows.filter(wanted).concat(later.rows) };
      } catch (problem) {
        // A snapshot gave way to a newer one.
        if (code(problem) !== "ENOENT") throw problem;
      }
    }
  }

  /** The commits after `since`; undefined if they were drawn together. */
  async #readCommits(since: number): Promise<Snapshot | undefined> {
    const rows: Stored[] = [];
    for (let position = since; ; position += 1) {
      let batch;
      try {
        batch = await read<Batch>(this.#file("commit", position + 1));
      } catch (problem) {
        if (code(problem) !== "ENOENT") throw problem;
        const isNewest = position === 0 ? (await this.#newestSnapshot()) === 0 : await exists(this.#file("commit", position));
        return isNewest ? { position, rows } : undefined;
      }
      for (const change of batch.changes) rows.push({ ...change, position: position + 1 });
    }
  }

  async #newestSnapshot(): Promise<number> {
    return Math.max(0, ...(await this.#positions("snapshot")));
  }

  async #positions(kind: string): Promise<number[]> {
    const names = (await readdir(this.#path).catch(unlessMissing)) ?? [];
    return names.filter((name) => name.startsWith(`${kind}-`)).map((name) => Number(name.slice(kind.length + 1))).sort((a, b) => a - b);
  }

  async #drawTogether(): Promise<void> {
    const { position, rows: all } = await this.#read(0);
    const dropped = position - KEEP_DELETED;
    const newest = [...new Map(all.map((row) => [row.id, row])).values()];
    const rows = newest.filter(({ id, row, position: at }) => (row !== null || at > dropped) && !this.#forgotten.has(id));
    this.#forgotten.clear();
    await rename(await this.#draft(JSON.stringify({ position, rows, dropped })), this.#file("snapshot", position));
    await this.#sync();
    this.#snapshot = { position, rows: rows.length };
    for (const kind of ["commit", "snapshot"]) {
      for (const old of await this.#positions(kind)) if (old < position) await unlink(this.#file(kind, old));
    }
    // Drafts of processes that died.
    for (const name of (await readdir(this.#path)).filter((name) => name.startsWith("draft-"))) {
      const draft = join(this.#path, name);
      if (Date.now() - (await stat(draft)).mtimeMs > STALE_MILLIS) await unlink(draft);
    }
  }

  /** Writes a file that has no meaning yet, durably. */
  async #draft(text: string): Promise<string> {
    const path = this.#file("draft", randomUUID());
    const file = await open(path, "wx", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } catch (problem) {
      await unlink(path);
      throw problem;
    } finally {
      await file.close();
    }
    return path;
  }

  /** Makes the names in the folder durable; Windows does so by itself, and does not open folders. */
  async #sync(): Promise<void> {
    const folder = process.platform === "win32" ? undefined : await open(this.#path, "r");
    await folder?.sync().finally(() => folder.close());
    this.#isDurable = true;
  }

  #file(kind: string, name: number | string): string {
    return join(this.#path, `${kind}-${name}`);
  }
}

const code = (problem: unknown): unknown => (problem as { code?: unknown } | null)?.code;

function unlessMissing(problem: unknown): void {
  if (code(problem) !== "ENOENT") throw problem;
}

async function read<T>(path: string): Promise<T> {
  const text = await readFile(path, "utf8");
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    const message = `${path} is damaged, or was not written by this library`;
    throw new InternalError({ code: "INTERNAL_SERVER_ERROR", reason: "corrupt", message }, { cause });
  }
}

const exists = async (path: string): Promise<boolean> => (await stat(path).catch(unlessMissing)) !== undefined;
