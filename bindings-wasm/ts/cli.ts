#!/usr/bin/env node
import { readFileSync } from "node:fs";

import init, { commandFile, runCommand } from "./rolekeep_node.js";

await init({ module_or_path: readFileSync(new URL("./rolekeep_node_bg.wasm", import.meta.url)) });
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
