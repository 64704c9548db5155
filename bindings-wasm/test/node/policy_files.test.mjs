import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";

import { open } from "rolekeep";

import { folder, here, root, text } from "./support.mjs";

const NAMES = "core/tests/names";
const FAULTY = '[roles.clerk]\ninherits = ["gest"]\nallow = ["drone:raed"]\n\n[roles.guest]\n';
const REPORT = `\
error: there is no role \`gest\`
 --> policy:2:13
  |
2 | inherits = ["gest"]
  |             ^^^^^^ not declared
  |
  = help: did you mean \`guest\`?

error: there is no permission \`drone:raed\`
 --> policy:3:10
  |
3 | allow = ["drone:raed"]
  |          ^^^^^^^^^^^^ not declared
  |
  = help: did you mean \`drone:read\`?`;

const cli = (...parameters) => spawnSync(process.execPath, [join(here, "dist/cli.cjs"), ...parameters], { encoding: "utf8" });
const thrown = (promise) => promise.then(() => assert.fail("nothing was thrown"), (error) => error);

test("an error shows the lines of the policy", async () => {
  const error = await thrown(open({ policyToml: FAULTY }));
  assert.equal(error.report, REPORT);
  assert.equal(error.message, `the policy has errors\n\n${REPORT}`);
  assert.equal(error.name, "ValidationError");
  assert.ok(error.timestamp instanceof Date);
  assert.deepEqual(error.problems.map(({ line, column, help }) => [line, column, help]), [[2, 13, "did you mean `guest`?"], [3, 10, "did you mean `drone:read`?"]]);
  assert.equal((await thrown(open({ passwordMinLength: 3 }))).report, null);
  assert.equal((await thrown(open({ preset: "standrad" }))).report, null);
});

test("names are those of the core", () => {
  const files = { typescript: "names.ts", python: "names.py", kotlin: "Names.kt", swift: "Names.swift", rust: "names.rs" };
  for (const [language, file] of Object.entries(files)) {
    const { status, stdout, stderr } = cli("permissions", join(root, NAMES, "policy.toml"), `--${language}`);
    assert.deepEqual([status, stdout, stderr], [0, text(`${NAMES}/${file}`), ""]);
  }
});

test("the command tells what is wrong", async (t) => {
  const app = await folder(t);
  const file = (name, content) => (writeFileSync(join(app, name), content), join(app, name));
  const main = file("main.toml", FAULTY);
  for (const command of [["check", main], ["permissions", main, "--rust"]]) {
    const { status, stdout, stderr } = cli(...command);
    assert.deepEqual([status, stdout, stderr], [1, "", `the policy has errors\n\n${REPORT.replaceAll("policy:", `${main}:`)}\n`]);
  }
  assert.deepEqual([cli("check", file("good.json", '{"roles": {}}')).status, cli("check", "preset:standard").status], [0, 0]);
  assert.match(cli("check", file("latin1.toml", Buffer.from("description = 'ä'", "latin1"))).stderr, /line 1, column 16: byte 0xe4/);
  assert.match(cli("check", join(app, "nothing.toml")).stderr, /ENOENT/);
  for (const wrong of [[], ["permissions", main], ["permissions", main, "--rust", "--swift"], ["frobnicate"], ["check", main, "--cobol"]]) {
    assert.deepEqual([cli(...wrong).status, cli(...wrong).stdout], [2, ""], wrong.join(" "));
  }
});

const PROGRAM = `import type { Caller, UserManagement } from "rolekeep";
import { type DronePermission, type Permission, type Role, typed, type UserGroupPermission } from "./names.js";

const one: Permission = "user-group:set_status";
const drone: DronePermission = "drone:read";
const group: UserGroupPermission = "user-group:read";
const role: Role = "operatorOnCall";

export function may(me: Caller): boolean {
  const caller = typed(me);
  caller.require("user:update{full_name}");
  const page = caller.users.list({ search: role });
  const { rows } = caller.filter("drone:read", { dialect: "sqlite", qualifier: "drones" });
  caller.canMany(["drone:read", ["drone:read", { type: "drone", id: "1" }]]);
  return caller.can("drone:read", { type: "drone", id: "1" }) && caller.canSomewhere(one) && caller.can(drone) && caller.can(group) && page !== null && rows !== "none";
}

export const about = async (um: UserManagement): Promise<boolean> =>
  typed(um).checkCached("a", drone) && (await typed(um).check("a", "drone:read", { type: "drone", id: "1" })) && (await typed(um).explain("a", drone)).allowed;
`;

test("names are types: a misspelt one does not compile", async (t) => {
  // Below the package, where it finds itself by its name.
  const app = await folder(t, join(here, "test"));
  const tsc = join(createRequire(import.meta.url).resolve("typescript/package.json"), "../bin/tsc");
  copyFileSync(join(root, NAMES, "names.ts"), join(app, "names.ts"));
  const options = ["--strict", "--noEmit", "--target", "es2022", "--lib", "es2022,dom", "--types", "", "--module", "nodenext", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "--verbatimModuleSyntax"];
  const compiled = (program) => {
    writeFileSync(join(app, "program.ts"), program);
    const { status, stdout } = spawnSync(process.execPath, [tsc, "--ignoreConfig", ...options, join(app, "program.ts")], { cwd: app, encoding: "utf8" });
    return status === 0 ? "good" : stdout;
  };
  assert.equal(compiled(PROGRAM), "good");
  for (const [right, wrong] of [
    ['"user-group:set_status"', '"user-group:set_statu"'], ['DronePermission = "drone:read"', 'DronePermission = "user:read"'],
    ['UserGroupPermission = "user-group:read"', 'UserGroupPermission = "user:read"'], ['"operatorOnCall"', '"operatorOncall"'],
    ['can("drone:read"', 'can("drone:raed"'], ['canMany(["drone:read"', 'canMany(["drone:raed"'],
    ['["drone:read", {', '["drone:raed", {'], ['check("a", "drone:read"', 'check("a", "drone:raed"'], ['filter("drone:read"', 'filter("drone:raed"'], ['"user:update{full_name}"', '"user:updat{full_name}"'],
  ]) {
    assert.ok(PROGRAM.includes(right), right);
    assert.match(compiled(PROGRAM.replace(right, wrong)), /program\.ts\(\d+,\d+\): error TS2/, wrong);
  }
});
