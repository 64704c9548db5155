import type { Json } from "./generated/types.js";

/** A row that was written or deleted. */
export interface RowChange {
  /** The row, for ever: `users/0197…`. */
  readonly id: string;
  /** Its table. */
  readonly table: string;
  /** Its columns; null if it was deleted. */
  readonly row: { readonly [column: string]: Json } | null;
}

/** Everything that one commit changes. */
export interface Batch {
  /** The position that it builds on. */
  readonly base: number;
  /** Its own position: one more. */
  readonly position: number;
  /** The rows, each at most once. */
  readonly changes: readonly RowChange[];
}

/** The answer of `load`. */
export interface Loaded {
  /** The newest position; 0 if nothing was ever stored. */
  readonly position: number;
  /** The changes after the position that was asked for; where a row comes twice the last counts. */
  readonly changes: readonly RowChange[];
  /**
   * Whether the changes are all existing rows, whatever `since` was; false if not given. For a persister that no
   * longer has all rows that were deleted since then.
   */
  readonly isWhole?: boolean;
}

/** What became of a batch: it is stored, or another writer was first and nothing was stored. */
export type Persisted = "done" | "stale";

/**
 * Keeps the rows of a store in a database of the application. Reads answer from memory.
 *
 * What it throws reaches the caller as an `UnavailableError`; a thrown error's own `reason` is kept if a storage has it,
 * and a quota or disk that is full is `storage_full`.
 */
export interface Persister {
  /**
   * Returns, consistently, the newest position and every change of a batch after `since` (0: everything). Deleted
   * rows are changes too and must be kept, as another writer may still have them, unless nobody shares the data. A
   * persister that drops them after a long time returns everything for a `load` from before (`isWhole`).
   */
  load(since: number): Loaded | Promise<Loaded>;
  /**
   * Stores the whole batch, durably and atomically, if `base` is the newest position. Otherwise stores nothing and
   * returns `stale`. After an error nothing of it may be stored later.
   */
  persist(batch: Batch): Persisted | Promise<Persisted>;
  /**
   * Whether anybody else, such as another tab or process, may write to the same data; true if not given, and read
   * when the store is opened. If not, the store does not look for changes, no timer runs, and rights in memory are
   * never out of date.
   */
  readonly isShared?: boolean;
  /**
   * Names rows that are no longer needed, by their ids: old entries of the change feed. They may be dropped, now or
   * later, without a trace; one that is stored again is needed again. Without this method they are kept for ever. After
   * an error they are named again some day.
   */
  forget?(ids: readonly string[]): void | Promise<void>;
  /** Releases what is held open. Called when the store is closed, and when it could not be opened. */
  close?(): void | Promise<void>;
  /**
   * Calls back when somebody else may have stored a batch. Without this method that is noticed within 200 ms, or when
   * the browser runs a hidden tab's timers.
   */
  watch?(changed: () => void): void;
}

/** @internal A change that is encrypted, so that its row does not say that it was deleted. */
export type SealedChange = RowChange & { readonly isDeleted?: boolean };

/** @internal A change with the position of its batch, as it is kept. */
export type Stored = RowChange & { readonly position: number };

/** @internal So many commits a deleted row is kept, for others that have it; who comes later loads everything. */
export const KEEP_DELETED = 1_000;
