#!/usr/bin/env node
import { readFileSync } from "node:fs";

import { tools } from "./tools.js";

const { commandFile, runCommand } = await tools();
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
