import { readFile } from "node:fs/promises";

import { type RolekeepError, toError } from "./errors.js";
import init, * as wasm from "./rolekeep_tools.js";

let loaded: Promise<unknown> | undefined;

/** @internal The wasm of reports and of the command, which web pages do not load. */
export async function tools(): Promise<typeof wasm> {
  const file = new URL("./rolekeep_tools_bg.wasm", import.meta.url);
  await (loaded ??= readFile(file).then((bytes) => init({ module_or_path: bytes })));
  return wasm;
}

/** @internal The same error with a report. */
export async function reported(problem: RolekeepError, settings: string): Promise<RolekeepError> {
  const same = (await tools()).policyError(settings);
  return same === undefined ? problem : toError(JSON.stringify({ ...JSON.parse(same), timestamp: problem.timestamp }));
}
