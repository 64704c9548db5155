import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { open, UserManagement, ValidationError } from "rolekeep";
import { filePersister } from "rolekeep/node";

const folder = await mkdtemp(join(tmpdir(), "rolekeep-operating-"));
after(() => rm(folder, { recursive: true }));

/** What happens while these variables are set. */
async function within(variables, happens) {
  // Those of the tests themselves begin like settings, too.
  for (const name of Object.keys(process.env)) if (name.startsWith("ROLEKEEP_")) delete process.env[name];
  Object.assign(process.env, variables);
  try {
    return await happens();
  } finally {
    for (const name of Object.keys(variables)) delete process.env[name];
  }
}

test("OPS-1 a store says how it is", async () => {
  const um = await open({ persister: filePersister(join(folder, "store")) });
  assert(um instanceof UserManagement);
  const ada = await um.system.users.create({ email: "ada@example.org" });
  await um.check(ada.id, "user:read");
  const health = await um.health();
  assert.deepEqual([health.status, health.isReady, await um.ready()], ["healthy", true, true]);
  assert.deepEqual([health.storage.reason, health.storage.schemaVersion, health.storage.pools], [null, null, []]);
  assert(health.feed.isShared && health.feed.ageMillis < 2000);
  assert(health.at instanceof Date && health.caches[0].kind === "users" && health.caches[0].count === 1);
  assert(!JSON.stringify(health).includes("ada"));
  await um.close();
  const closed = await um.health();
  assert.deepEqual([closed.status, closed.isReady, closed.storage.reason], ["unhealthy", false, "closed"]);
});

test("OPS-5 settings of the environment and a file, behind those of the program", async () => {
  const [configFile, key] = [join(folder, "app.toml"), join(folder, "key")];
  await writeFile(configFile, 'issuer = "file"\naudience = "file"\nmax_sessions = 3\n[roles]\neditor = ["document:edit"]\n');
  await writeFile(key, "0123456789012345678901234567890123456789\n");
  const variables = { ROLEKEEP_AUDIENCE: "variable", ROLEKEEP_ISSUER: "variable", ROLEKEEP_SIGNING_KEY_FILE: key };
  const um = await within(variables, () => open({ fromEnv: true, configFile, issuer: "program" }));
  const password = "correct horse battery";
  await um.system.users.create({ email: "ada@example.org", password, roles: ["editor"] });
  const { accessToken } = (await um.login("ada@example.org", password)).done();
  const claims = JSON.parse(Buffer.from(accessToken.split(".")[1], "base64url").toString());
  assert.deepEqual([claims.iss, claims.aud], ["program", "variable"]);
  await um.close();
});

test("OPS-5 every wrong variable is named, and the policy's problems, too", async () => {
  const variables = {
    ROLEKEEP_SESSION_SECONDS: "long",
    ROLEKEEP_MAX_SESSIONS: "0",
    ROLEKEEP_SESION_SECONDS: "1",
    ROLEKEEP_PASSWORD_PEPPER_FILE: join(folder, "none"),
    ROLEKEEP_ROLES__EDITOR: '["documentedit"]',
  };
  const wrong = within(variables, () => open({ fromEnv: true }));
  await assert.rejects(wrong, (error) => {
    assert(error instanceof ValidationError && error.reason === "config_invalid" && error.problems.length > 0);
    const told = ["SESSION_SECONDS", "MAX_SESSIONS", "SESION_SECONDS", "PASSWORD_PEPPER_FILE"];
    for (const name of told) assert(error.message.includes(`(ROLEKEEP_${name})`), error.message);
    return true;
  });
  await assert.rejects(open({ configFile: join(folder, "none.toml") }), /none\.toml cannot be read: ENOENT/);
  await within(variables, async () => (await open()).close());
});
