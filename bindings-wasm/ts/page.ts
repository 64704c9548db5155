/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** One page of a list; iterating over it gives its rows. */
export interface Page<T> extends Iterable<T> {
  /** The rows of this page. */
  readonly items: readonly T[];
  /** How many rows the caller may see in all, counted up to `totalUpTo`; null if the page was reached by a cursor, or none were to be counted. */
  readonly total: number | null;
  /** Whether `total` is all of them; false if there may be more. */
  readonly totalExact: boolean;
  /** How many pages there are in all; null if `total` is not all rows. */
  readonly pages: number | null;
  /** This page's number, from 1; null if it was reached by a cursor. */
  readonly page: number | null;
  /** The page size. */
  readonly limit: number;
  /** Whether there is a page after this. */
  readonly hasNext: boolean;
  /** Whether there is a page before this. */
  readonly hasPrevious: boolean;
  /** Pass it as `cursor` for the rows after this page; it costs the same at any depth. */
  readonly nextCursor: string | null;
}
