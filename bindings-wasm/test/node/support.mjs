// What the tests in Node share.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const here = join(dirname(fileURLToPath(import.meta.url)), "../..");
export const root = join(here, "..");
export const text = (path) => readFileSync(join(root, path), "utf8");
export const seed = () => JSON.parse(text("examples/flyos/seed.json"));

const tsc = join(createRequire(import.meta.url).resolve("typescript/package.json"), "../bin/tsc");
/** Runs the compiler of TypeScript, from the package's folder. */
export const compile = (...parameters) => spawnSync(process.execPath, [tsc, ...parameters], { cwd: here, encoding: "utf8" });

/** The least that is allowed, so that tests do not wait for passwords, nor depend on how fast a machine is. */
export const CHEAP = { hashingMemoryKib: 7168, hashingIterations: 5, hashingMaxMillis: 0 };

/** A folder that is removed after the test. */
export async function folder(t, within = tmpdir()) {
  const path = await mkdtemp(join(within, "rolekeep-"));
  t?.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** The code of what a call throws, or how it ended otherwise. */
export async function reasonOf(work) {
  try {
    await (typeof work === "function" ? work() : work);
    return "no error";
  } catch (error) {
    return error.reason ?? error;
  }
}
