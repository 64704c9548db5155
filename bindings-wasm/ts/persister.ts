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

/** All that one commit changes. */
export interface Batch {
  /** The position that it builds on. */
  readonly base: number;
  /** Its own position: one more. */
  readonly position: number;
  /** The rows, each at most once. */
  readonly changes: readonly RowChange[];
}

/** What a host has. */
export interface Loaded {
  /** The newest position; 0 if nothing was ever stored. */
  readonly position: number;
  /** The changes after the position that was asked for; where a row comes twice the last counts. */
  readonly changes: readonly RowChange[];
}

/** What became of a batch: it is stored, or another writer was first and nothing was stored. */
export type Persisted = "done" | "stale";

/**
 * A storage of the host's own, below the memory that all reads answer from.
 *
 * What it throws reaches the caller as an `UnavailableError`; a thrown error's own `reason` is kept,
 * and a quota or disk that is full is `storage_full`.
 */
export interface Persister {
  /**
   * The newest position, and every change of a batch after `since` (0: everything), both of one moment.
   * Deleted rows are changes too and must be kept: another writer may still have them.
   */
  load(since: number): Loaded | Promise<Loaded>;
  /**
   * If `base` is the newest position: stores all of the batch, durably, in one atomic step. Otherwise nothing, and
   * answers `stale`. After an error nothing of it may be stored later.
   */
  persist(batch: Batch): Persisted | Promise<Persisted>;
  /** Lets go of what is held open. */
  close?(): void | Promise<void>;
  /** Calls back when somebody else stored a batch. Without it that is found out within 200 ms. */
  watch?(changed: () => void): void;
}
