import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import * as rolekeep from "rolekeep";

import * as errors from "../../dist/errors.js";
import { toError } from "../../dist/raise.js";
import { root, text } from "./support.mjs";

const toCamel = (name) => name.replace(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase());
const toSnake = (name) => name.replace(/(?<!^)([A-Z])/g, "_$1").toLowerCase();

/** The macros that declare inputs whose fields are the same, and where they are. */
const MACROS = { user_list: "list", user_change: "change" };

/** A source with what it declares by such a macro. */
function expanded(source) {
  return Object.entries(MACROS).reduce((source, [macro, file]) => {
    const [struct] = /^ {8}#\[derive\(Clone, Debug, Input, Describe\)\][\s\S]*?^ {8}\}/m.exec(text(`core/src/operations/users/${file}.rs`));
    const written = struct.replace(/^ {8}/gm, "");
    const used = new RegExp(`^${macro}! \\{\\n[\\s\\S]*?^ {4}(\\w+)(?: \\{(?:\\}|\\n([\\s\\S]*?)^ {4}\\}))?\\n\\}`, "gm");
    return source.replace(used, (_, name, more = "") => written.replace("$name", name).replace("    $($more)*\n", more.replace(/^ {4}/gm, "")));
  }, source);
}

/** What the core says, read from its own text: not by way of the generator. */
function core() {
  const sources = readdirSync(join(root, "core/src"), { recursive: true }).filter((path) => path.endsWith(".rs")).map((path) => expanded(text(`core/src/${path}`)));
  const derived = /#\[derive\(([^)]*)\)\]\n((?:#\[[\s\S]*?\]\n)*)pub (struct|enum) (\w+)(?:<[^>]*>)? \{(?:\}|([\s\S]*?)\n\})/g;
  const types = sources
    .flatMap((source) => [...source.matchAll(derived)])
    .filter(([, derives]) => derives.includes("Describe"))
    .map(([, , attributes, kind, rust, body = ""]) => ({ kind, rust, name: /^#\[describe\(name = "(\w+)"/m.exec(attributes)?.[1] ?? rust, body }));
  const table = text("docs/operations.md");
  // What the operations take and answer, what that holds, and what the hand-written parts speak of.
  const open = ["Config", "RulesConfig", "PrincipalData", "SqlTable", "SqlColumn", "SqlFilter", "Code", "Reason", "Problem", "FieldError", "Notice", "Health", "Tidied", ...[...table.matchAll(/^\| `\w+\.\w+` \| `([^`]*)` \| `([^`]*)`/gm)].flatMap(([, takes, answers]) => [takes, answers.split(" ").at(-1)])];
  const reached = new Set();
  for (let name; (name = open.pop()) !== undefined; ) {
    if (reached.has(name)) continue;
    reached.add(name);
    // A field says the type by its name in Rust, the table of operations by the name that it is shown by.
    const type = types.find((type) => type.name === name) ?? types.find((type) => type.rust === name);
    if (type === undefined) continue;
    reached.add(type.name);
    open.push(...[...type.body.matchAll(/^ {4}pub \w+: (.*),$/gm)].flatMap(([, type]) => type.match(/\w+/g)));
  }
  const shown = types.filter(({ name }) => reached.has(name));
  const records = shown.filter(({ kind }) => kind === "struct").map(({ name, body }) => [name, [...body.matchAll(/^ {4}pub (\w+):/gm)].map(([, field]) => field)]);
  const words = shown.filter(({ kind }) => kind === "enum").map(({ name, body }) => [name, [...body.matchAll(/(?:#\[word\("([^"]+)"\)\]\n)?^ {4}(\w+),$/gm)].map(([, word, variant]) => word ?? toSnake(variant))]);
  const operations = [...table.matchAll(/^\| `(\w+\.\w+)` \|/gm)].map(([, name]) => name);
  return { records, words, operations };
}

/** What of it a face lacks. */
function lacking(face) {
  const { records, words, operations } = core();
  const body = (name) => new RegExp(`^export interface ${name} \\{\n([\\s\\S]*?)^\\}`, "m").exec(face.types)?.[1];
  const union = (name) => new RegExp(`^export type ${name} =\n([\\s\\S]*?);$`, "m").exec(face.types)?.[1];
  const area = (name) => new RegExp(`^export class ${name} \\{\n([\\s\\S]*?)^\\}`, "m").exec(face.areas)?.[1] ?? "";
  return [
    ...operations.filter((operation) => {
      const [name, method] = operation.split(".").map(toCamel);
      const isThere = new RegExp(`^  ${method}\\(`, "m").test(area(name[0].toUpperCase() + name.slice(1))) && face.areas.includes(`"${operation}"`);
      return !isThere || !face.areas.includes(`  get ${name}():`);
    }),
    ...records.flatMap(([name, fields]) => {
      const shape = body(name);
      const codec = new RegExp(`^  ${name}: "(.*)",$`, "m").exec(face.codec)?.[1]?.split(" ").map((field) => field.split(":")[0]);
      if ((shape === undefined && fields.length > 0) || codec === undefined) return [name];
      return fields.filter((field) => !new RegExp(`^  readonly ${toCamel(field)}\\??:`, "m").test(shape) || !codec.includes(field)).map((field) => `${name}.${field}`);
    }),
    ...words.flatMap(([name, words]) => words.filter((word) => !union(name)?.includes(`| "${word}"`)).map((word) => `${name}: ${word}`)),
  ];
}

const generated = "bindings-wasm/ts/generated";
const face = () => ({
  types: readdirSync(join(root, generated, "types")).map((name) => text(`${generated}/types/${name}`)).join("\n"),
  areas: text(`${generated}/areas.ts`),
  codec: ["codec", "rules", "servers"].map((name) => text(`${generated}/${name}.ts`)).join("\n"),
});

test("the face has every operation, record, field and word of the core", () => {
  const { records, words, operations } = core();
  assert.ok(records.length > 60 && words.length > 10 && operations.length > 40, `${records.length} ${words.length} ${operations.length}`);
  assert.deepEqual(lacking(face()), []);
  // And nothing else: what is read here is all that there is.
  const written = [...face().codec.matchAll(/^  (\w+): "/gm)].map(([, name]) => name);
  assert.deepEqual(records.map(([name]) => name).sort(), written.sort());
});

test("what is taken out of the face is missed by name", () => {
  const without = (part, cut) => {
    const whole = face();
    const less = { ...whole, [part]: whole[part].replace(cut, "") };
    assert.notEqual(less[part], whole[part]);
    return lacking(less);
  };
  assert.deepEqual(without("areas", /^ {2}reassign\([\s\S]*?^ {2}\}\n/m), ["drones.reassign"]);
  assert.deepEqual(without("areas", /^ {2}get setup\(\)[\s\S]*?^ {2}\}\n/m), ["setup.seed"]);
  assert.deepEqual(without("types", /(?<=^export interface User \{\n(?:(?!^\})[\s\S])*)^ {2}readonly suspendedUntil: .*\n/m), ["User.suspended_until"]);
  assert.deepEqual(without("codec", /(?<=^ {2}User: ".*) suspended_until:time/m), ["User.suspended_until"]);
  assert.deepEqual(without("types", /^export interface Tokens \{[\s\S]*?^\}\n/m), ["Tokens"]);
  assert.deepEqual(without("types", / {2}\| "CONFLICT"\n?/), ["Code: CONFLICT"]);
  assert.deepEqual(without("types", / {2}\| "version_stale"\n?/), ["Reason: version_stale"]);
});

test("every operation is a method that answers, or says why not", async () => {
  const um = await rolekeep.open({ hashingMemoryKib: 7168, hashingIterations: 5 });
  for (const operation of core().operations) {
    const [area, method] = operation.split(".").map(toCamel);
    const outcome = await um.system[area][method]({}).catch((error) => error);
    assert.ok(!(outcome instanceof Error) || (outcome instanceof rolekeep.RolekeepError && outcome.reason !== "unknown_operation" && outcome.code !== "INTERNAL_SERVER_ERROR"), `${operation}: ${outcome}`);
  }
});

test("every code is a class of its own", () => {
  const codes = core().words.find(([name]) => name === "Code")[1];
  const names = codes.map((code) => {
    const error = toError(JSON.stringify({ code, reason: "internal", message: "x", fields: [], problems: [], timestamp: null, http_status: 500, retry_after: 7 }));
    assert.equal(error.retryAfter, 7);
    assert.ok(error instanceof errors.RolekeepError && error.code === code && errors[error.name] === error.constructor, code);
    assert.equal(Object.getPrototypeOf(rolekeep[error.name]), rolekeep.RolekeepError, code);
    return error.name;
  });
  assert.equal(new Set(names).size, 9);
});
