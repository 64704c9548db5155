import { safely } from "./ask.js";
import { invalid, toCamel } from "./raise.js";
import type * as native from "./rolekeep_node.js";
import { store } from "./wasm.js";

const LEVELS = ["off", "error", "warn", "info", "debug"] as const;

/** How much a record matters, from the most. */
export type LogLevel = "error" | "warn" | "info" | "debug";

/** What the library has to tell. No secret is in it, no name and no address. */
export interface LogRecord {
  /** How much it matters: `error` is a fault, `warn` something that does not work or is slow, `debug` every operation. */
  readonly level: LogLevel;
  /** `rolekeep`, or `rolekeep.storage` for calls of the storage. */
  readonly logger: string;
  /** What happened, in words; may change between versions. */
  readonly message: string;
  /** When. */
  readonly time: Date;
  /** The `operation`, the `requestId`, the id of the `user`, the `reason` of a failure, `millis` that it took, and the like. */
  readonly fields: { readonly [name: string]: string | number };
}

type Native = Pick<typeof native, "logTo" | "metrics">;
type Listener = { readonly rank: number; hear(record: LogRecord): unknown };

const listeners = new Set<Listener>();
let isMeasured = false;

/**
 * Calls the listener with the library's log records of this level (`warn` if not given) or above; returns a function that stops it. It is
 * called a moment after the event, for all stores of this process, or of this worker. What it throws is ignored.
 *
 * `onLog(({ level, message, fields }) => logger[level](fields, message), { level: "debug" })`
 */
export function onLog(listener: (record: LogRecord) => unknown, { level = "warn" }: { readonly level?: LogLevel } = {}): () => void {
  if (typeof listener !== "function") throw invalid("listener", "invalid_type", "expected a function");
  const rank = LEVELS.indexOf(level);
  if (rank < 1) throw invalid("level", "unknown_value", `there is no such level; there are ${LEVELS.slice(1).join(", ")}`);
  const entry = { rank, hear: listener };
  listeners.add(entry);
  listen();
  return () => {
    if (listeners.delete(entry)) listen();
  };
}

/**
 * All metrics of this process, or of this worker, in the text format of Prometheus: serve it at `/metrics`, with the content type
 * `text/plain; version=0.0.4`, to whoever may know how much happens. No label is an id.
 *
 * Nothing is measured before the first call, so that whoever never asks pays nothing; ask once at the start, where the first minutes are to
 * count. Before a store was opened it is empty. Synchronous checks (`can`) are not counted.
 */
export function metrics(): string {
  isMeasured = true;
  return safely(() => loaded()?.metrics() ?? "");
}

/** What was asked for before the wasm was there. @internal */
export function begin(): void {
  listen();
  if (isMeasured) metrics();
}

const loaded = () => store.functions as (typeof store.functions & Native) | undefined;

function listen(): void {
  const rank = Math.max(0, ...[...listeners].map((listener) => listener.rank));
  safely(() => loaded()?.logTo(LEVELS[rank]!, tell));
}

function tell(json: string): void {
  const { time, fields, ...record } = JSON.parse(json);
  const named = Object.fromEntries(Object.entries(fields).map(([name, value]) => [toCamel(name), value]));
  const whole: LogRecord = { ...record, time: new Date(time), fields: named };
  // Of a log that fails nobody can be told; a rejection that nobody handles would end the process.
  const tellOne = async (hear: Listener["hear"]) => hear(whole);
  for (const { rank, hear } of listeners) if (rank >= LEVELS.indexOf(whole.level)) tellOne(hear).catch(() => {});
}
