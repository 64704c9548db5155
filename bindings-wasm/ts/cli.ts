import { readFileSync } from "node:fs";

import init, { commandFile, runCommand } from "./rolekeep_node.js";
import { wasmFile } from "./wasm.node.js";

/** The command `rolekeep`. @internal */
export async function run(): Promise<void> {
  await init({ module_or_path: readFileSync(wasmFile()) });
  const parameters = process.argv.slice(2);
  const file = commandFile(parameters);
  try {
    const contents = file === undefined ? undefined : readFileSync(file);
    const colored = process.stderr.isTTY === true && process.env["NO_COLOR"] === undefined;
    const { code, out, err } = runCommand(parameters, contents, colored);
    process.stdout.write(out);
    process.stderr.write(err);
    process.exitCode = code;
  } catch (problem) {
    process.stderr.write(`${problem instanceof Error ? problem.message : problem}\n`);
    process.exitCode = 1;
  }
}
