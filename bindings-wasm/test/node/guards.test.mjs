// The example's service for real: a socket, tokens, and somebody who asks by HTTP.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { before, after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { build } from "esbuild";
import { assertAdmin, assertCan, assertRole, assertSignedIn, ForbiddenError, open, UnauthorizedError } from "rolekeep";
import { callerOf, guarded } from "rolekeep/node";

import { here, text } from "./support.mjs";

const CHEAP = { hashingMemoryKib: 7168, hashingIterations: 5 };
const password = (name) => `correct horse battery ${name}`;
// How long an access token is good for here.
const TOKEN_SECONDS = 15;
/** Waits until a moment is past. */
const past = (moment) => sleep(Math.max(0, moment - Date.now()) + 100);
// Within the package, so that programs there find it by its name.
const made = mkdtempSync(join(here, "test/made-"));
let world;

before(async () => {
  const outfile = join(made, "service.mjs");
  await build({ entryPoints: [join(here, "examples/service.ts")], outfile, format: "esm" });
  const { service } = await import(pathToFileURL(outfile));
  const { server, um, documents } = await service({ accessTokenSeconds: TOKEN_SECONDS, ...CHEAP });
  const ids = {};
  for (const [name, roles] of Object.entries({ ada: ["author"], lin: ["librarian"], root: ["admin"], eve: [] })) {
    ids[name] = (await um.system.users.create({ email: `${name}@example.org`, password: password(name), roles })).id;
  }
  documents.set(1, { type: "document", owner_id: ids.ada, is_published: false });
  documents.set(2, { type: "document", owner_id: ids.lin, is_published: false });
  documents.set(3, { type: "document", owner_id: ids.lin, is_published: true });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  world = { server, um, ids, base: `http://127.0.0.1:${server.address().port}` };
});

after(async () => {
  await new Promise((done) => world.server.close(done));
  await world.um.close();
  rmSync(made, { recursive: true });
});

async function ask(method, path, authorization, body) {
  const headers = authorization ? { authorization: authorization.includes(" ") ? authorization : `Bearer ${authorization}` } : {};
  const response = await fetch(world.base + path, { method, headers: { ...headers, connection: "close" }, ...(body && { body: JSON.stringify(body) }) });
  return { status: response.status, challenge: response.headers.get("www-authenticate"), body: await response.json() };
}

async function login(name) {
  const { status, body } = await ask("POST", "/login", undefined, { identifier: `${name}@example.org`, password: password(name) });
  assert.equal(status, 200);
  return body.tokens.accessToken;
}

function refused({ status, challenge, body }, ...wanted) {
  assert.deepEqual([status, body.code, body.reason], wanted);
  const bearer = body.reason === "not_signed_in" || body.reason === "invalid_credentials" ? "Bearer" : 'Bearer error="invalid_token"';
  assert.equal(challenge, status === 401 ? bearer : null);
  assert.ok(body.message.length > 5 && body.fields.length === 0 && body.httpStatus === status, JSON.stringify(body));
}

test("guards let in who may", async () => {
  const [ada, lin, root] = [await login("ada"), await login("lin"), await login("root")];
  assert.equal((await ask("GET", "/greeting", ada)).body, "Hello ada@example.org");
  assert.equal((await ask("GET", "/greeting")).body, "Hello");
  assert.deepEqual((await ask("GET", "/documents", ada)).body, [1, 3]);
  assert.equal((await ask("GET", "/documents/1", ada)).body.owner_id, world.ids.ada);
  assert.equal((await ask("PUT", "/documents/1", ada)).body.is_published, true);
  assert.deepEqual((await ask("GET", "/documents", lin)).body, [1, 3]);
  assert.equal((await ask("GET", "/desk", lin)).body, "welcome");
  assert.equal((await ask("GET", "/users", root)).body.total, 4);
  assert.equal((await ask("GET", "/desk", `bearer ${lin}`)).status, 200);
});

test("guards keep out who may not", async (t) => {
  const [ada, lin, eve] = [await login("ada"), await login("lin"), await login("eve")];
  for (const path of ["/documents", "/documents/2", "/desk", "/users", "/fault"]) {
    refused(await ask("GET", path), 401, "UNAUTHORIZED", "not_signed_in");
    refused(await ask("GET", path, "Basic YTpi"), 401, "UNAUTHORIZED", "not_signed_in");
    refused(await ask("GET", path, "x.y.z"), 401, "UNAUTHORIZED", "invalid_token");
    refused(await ask("GET", path, `${ada.slice(0, -4)}AAAA`), 401, "UNAUTHORIZED", "invalid_token");
  }
  refused(await ask("GET", "/greeting", "x.y.z"), 401, "UNAUTHORIZED", "invalid_token");
  refused(await ask("GET", "/documents", eve), 403, "FORBIDDEN", "denied");
  refused(await ask("GET", "/documents/2", ada), 403, "FORBIDDEN", "denied");
  refused(await ask("PUT", "/documents/3", ada), 403, "FORBIDDEN", "denied");
  refused(await ask("DELETE", "/documents/1", ada), 403, "FORBIDDEN", "denied");
  refused(await ask("GET", "/desk", ada), 403, "FORBIDDEN", "denied");
  refused(await ask("GET", "/users", lin), 403, "FORBIDDEN", "denied");
  refused(await ask("GET", "/documents/9", ada), 404, "RESOURCE_NOT_FOUND", "not_found");
  refused(await ask("DELETE", "/documents/9", lin), 404, "RESOURCE_NOT_FOUND", "not_found");
  // What is none of the library's errors is told to the log alone.
  const told = t.mock.method(console, "error", () => {});
  const fault = await ask("GET", "/fault", ada);
  refused(fault, 500, "INTERNAL_SERVER_ERROR", "internal");
  assert.ok(!JSON.stringify(fault.body).includes("1234") && told.mock.callCount() === 1);
});

test("guards end with the window, the token and the session", async () => {
  const ada = await login("ada");
  const expires = Date.now() + TOKEN_SECONDS * 1_000;
  refused(await ask("GET", "/desk", ada), 403, "FORBIDDEN", "denied");
  const until = Date.now() + 4_000;
  await world.um.system.roles.assign({ userId: world.ids.ada, role: "librarian", validUntil: new Date(until) });
  assert.equal((await ask("GET", "/desk", ada)).status, 200);
  await past(until);
  refused(await ask("GET", "/desk", ada), 403, "FORBIDDEN", "denied");
  refused(await ask("DELETE", "/documents/1", ada), 403, "FORBIDDEN", "denied");
  assert.equal((await ask("GET", "/documents/1", ada)).status, 200);
  await past(expires);
  for (const path of ["/documents", "/documents/1", "/desk", "/users", "/greeting"]) {
    refused(await ask("GET", path, ada), 401, "UNAUTHORIZED", "token_expired");
  }
  const fresh = await login("ada");
  await world.um.system.sessions.revokeAll({ userId: world.ids.ada });
  refused(await ask("GET", "/documents/1", fresh), 401, "UNAUTHORIZED", "session_ended");
});

test("a guard that finds no resource does not ask without one", async (t) => {
  const um = await open({ roles: { editor: ["document:edit"] }, ...CHEAP });
  t.after(() => um.close());
  await um.system.users.create({ email: "ada@example.org", password: password("ada"), roles: ["editor"] });
  const { accessToken } = (await um.login("ada@example.org", password("ada"))).done();
  const request = { headers: { authorization: `Bearer ${accessToken}` }, socket: {} };
  const asked = async (resource) => {
    const answer = { headersSent: false, writeHead: (status) => (answer.status = status), end: (text) => (answer.text = text) };
    await guarded(um, { permission: "document:edit", resource }, (me, _, response) => response.writeHead(200))(request, answer);
    return answer;
  };
  for (const resource of [() => undefined, () => null, async () => undefined, () => Promise.resolve(null)]) {
    const { status, text } = await asked(resource);
    assert.deepEqual([status, JSON.parse(text).code], [500, "INTERNAL_SERVER_ERROR"]);
    // Which permission it was is not for who asks.
    assert.equal(JSON.parse(text).message, "something went wrong on the server");
  }
  assert.equal((await asked(() => ({ type: "document" }))).status, 200);
  assert.equal((await asked(undefined)).status, 200);
});

test("the address behind a proxy", async (t) => {
  const um = await open({ ...CHEAP, trustedProxies: ["127.0.0.0/8", "10.0.0.0/8"] });
  t.after(() => um.close());
  const id = (await um.system.users.create({ email: "ada@example.org", password: password("ada") })).id;
  const asked = async (remoteAddress, forwarded) => {
    const headers = { "x-forwarded-for": forwarded };
    await (await callerOf(um, { headers, socket: { remoteAddress } })).sessions.login({ identifier: "ada@example.org", password: password("ada") });
    const [{ ip, targetId }] = (await um.system.audit.list({ action: "sessions.login" })).items;
    assert.equal(targetId, id);
    return ip;
  };
  assert.equal(await asked("::ffff:127.0.0.1", "198.51.100.66, 198.51.100.7, 10.0.0.9"), "198.51.100.7");
  assert.equal(await asked("127.0.0.1", ["198.51.100.7", "10.0.0.9"]), "198.51.100.7");
  assert.equal(await asked("127.0.0.1", "198.51.100.7, unknown"), "127.0.0.1");
  assert.equal(await asked("127.0.0.1", undefined), "127.0.0.1");
  assert.equal(await asked("203.0.113.9", "198.51.100.7"), "203.0.113.9");
});

test("assertions throw what a guard answers", async () => {
  const um = await open({ roles: { editor: ["document:edit"] }, permissions: ["document:delete"], ...CHEAP });
  const me = await um.actingAs((await um.system.users.create({ email: "ada@example.org", roles: ["editor"] })).id);
  assertSignedIn(me);
  assertCan(me, "document:edit");
  assertCan(me, "document:edit", { type: "document" });
  assertRole(me, "editor");
  assertAdmin(um.system);
  for (const forbidden of [() => assertCan(me, "document:delete"), () => assertRole(um.system, "editro"), () => assertAdmin(me)]) {
    assert.throws(forbidden, ({ code, message }) => code === (message.includes("editro") ? "VALIDATION_ERROR" : "FORBIDDEN"));
  }
  assert.throws(() => assertCan(me, "document:delete", { type: "document" }), ForbiddenError);
  for (const nobody of [undefined, null, um.anonymous()]) {
    for (const assertion of [() => assertSignedIn(nobody), () => assertCan(nobody, "document:edit"), () => assertRole(nobody, "editor"), () => assertAdmin(nobody)]) {
      assert.throws(assertion, (error) => error instanceof UnauthorizedError && error.reason === "not_signed_in" && error.httpStatus === 401);
    }
  }
  await um.close();
});

test("assertions narrow, and the compiler knows what was asked", () => {
  const tsc = join(createRequire(import.meta.url).resolve("typescript/package.json"), "../bin/tsc");
  const strict = ["--ignoreConfig", "--strict", "--noEmit", "--target", "es2022", "--lib", "es2022,dom", "--module", "nodenext"];
  const compile = (program, types = "") => {
    const path = join(made, "program.ts");
    writeFileSync(path, program);
    return spawnSync(process.execPath, [tsc, ...strict, "--types", types, path], { cwd: here, encoding: "utf8" }).stdout;
  };
  assert.equal(compile(text("bindings-wasm/examples/service.ts"), "node"), "");
  const program = text("bindings-wasm/test/types/guards.ts");
  assert.equal(compile(program), "");
  for (const line of program.split("\n").filter((line) => line.trim().startsWith("assert"))) {
    assert.match(compile(program.replace(line, "")), /error TS/, `without ${line.trim()}`);
  }
  assert.match(compile(program.replace('assertCan(me, "document:edit", document)', 'assertCan(me, "document:read", document)')), /error TS/);
});
