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
  /**
   * They are all rows that there are, whatever was asked for; false if not given. So answers a host that no longer has
   * all rows that were deleted since then.
   */
  readonly isWhole?: boolean;
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
   * Deleted rows are changes too and must be kept, as another writer may still have them, unless nobody shares the data.
   * A host that drops them after long answers who loaded before with all that it has (`isWhole`).
   */
  load(since: number): Loaded | Promise<Loaded>;
  /**
   * If `base` is the newest position: stores all of the batch, durably, in one atomic step. Otherwise nothing, and
   * answers `stale`. After an error nothing of it may be stored later.
   */
  persist(batch: Batch): Persisted | Promise<Persisted>;
  /**
   * Whether anybody else, such as another tab or process, may write to the same data; true if not given, and read when
   * the store is opened. Where nobody can, nothing is looked for, no timer runs, and rights in memory never grow old.
   */
  readonly isShared?: boolean;
  /**
   * The rows with these ids, old lines of the change feed, are of no use to anybody any more and may be dropped without
   * a trace, at once or later. Without it they are kept for ever. After an error they are named again some day.
   */
  forget?(ids: readonly string[]): void | Promise<void>;
  /** Lets go of what is held open. */
  close?(): void | Promise<void>;
  /**
   * Calls back when somebody else may have stored a batch. Without it that is found out within 200 ms, or when the
   * browser lets a hidden tab's timers run.
   */
  watch?(changed: () => void): void;
}

/** @internal A change with the position of its batch, as it is kept. */
export type Stored = RowChange & { readonly position: number };

/** @internal So many commits a deleted row is kept, for others that have it; who comes later loads everything. */
export const KEEP_DELETED = 1_000;
