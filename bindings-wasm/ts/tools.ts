import { readFile } from "node:fs/promises";

import { type RolekeepError, toError } from "./errors.js";
import init, * as wasm from "./rolekeep_tools.js";

/** A language that the names of a policy can be written in. */
export type Language = "typescript" | "python" | "kotlin" | "swift" | "rust";

/** Which policy: a file's text, or one that comes with the library. */
export type PolicySource = { readonly toml: string } | { readonly json: string } | { readonly preset: string };

/** How the problems of a policy are told. */
export interface ReportOptions {
  /** What the file is called. */
  readonly file?: string | undefined;
  /** With the colours of a terminal. */
  readonly colored?: boolean | undefined;
}

/** Checks a policy without opening a store: throws a `ValidationError` with every problem, and a `report` of them. */
export async function checkPolicy(source: PolicySource, { file, colored = false }: ReportOptions = {}): Promise<void> {
  await within(() => wasm.checkPolicy(settings(source), file, colored));
}

/** A policy's permissions and roles as source text of a language. */
export function permissionNames(source: PolicySource, language: Language): Promise<string> {
  return within(() => wasm.names(settings(source), language));
}

/** The text of a policy file; a `ValidationError` with the place where it is not UTF-8. */
export function policyText(bytes: Uint8Array): Promise<string> {
  return within(() => wasm.policyText(bytes));
}

/** @internal The same error with a report, which the wasm for web pages has no room for. */
export async function reported(problem: RolekeepError, settings: string): Promise<RolekeepError> {
  if (problem.reason !== "policy_invalid") return problem;
  try {
    await within(() => wasm.checkPolicy(settings, undefined, false), problem.timestamp);
    return problem;
  } catch (same) {
    return toError(same);
  }
}

let loaded: Promise<unknown> | undefined;

async function within<T>(work: () => T, timestamp: Date | null = new Date()): Promise<T> {
  await (loaded ??= readFile(new URL("./rolekeep_tools_bg.wasm", import.meta.url)).then((bytes) => init({ module_or_path: bytes })));
  try {
    return work();
  } catch (thrown) {
    throw toError(typeof thrown === "string" ? JSON.stringify({ ...JSON.parse(thrown), timestamp }) : thrown);
  }
}

function settings(source: PolicySource): string {
  if ("toml" in source) return JSON.stringify({ policy_toml: source.toml });
  return JSON.stringify("json" in source ? { policy_json: source.json } : { preset: source.preset });
}
