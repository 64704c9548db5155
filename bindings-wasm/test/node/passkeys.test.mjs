import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";

import { open, ValidationError } from "rolekeep";

import { Authenticator } from "./authenticator.mjs";
import { CHEAP, reasonOf } from "./support.mjs";

const PASSWORD = "correct horse battery staple";

async function opened(t, settings = {}) {
  const um = await open({ ...CHEAP, passkeyDomain: "example.org", ...settings });
  t.after(() => um.close());
  const ada = await um.system.users.create({ email: "ada@example.org", password: PASSWORD, fullName: "Ada" });
  return { um, ada, nobody: um.anonymous() };
}

// ES256 and EdDSA are verified by the wasm, RS256 by `node:crypto`.
for (const algorithm of ["ES256", "EdDSA", "RS256"]) {
  test(`a passkey signs in, is the second factor, and proves who one is once more: ${algorithm}`, async (t) => {
    const { um, ada, nobody } = await opened(t);
    let me = await um.authenticate((await um.login("ada@example.org", PASSWORD)).done().accessToken);
    const { challenge, options, expiresAt } = await me.factors.addPasskeyStart();
    assert.ok(expiresAt instanceof Date && expiresAt > new Date());
    assert.deepEqual(JSON.parse(options).pubKeyCredParams.map(({ alg }) => alg), [-7, -8, -257]);
    const laptop = new Authenticator(algorithm);
    const { factor, tokens, recoveryCodes } = await me.factors.addPasskey({ challenge, response: laptop.create(options), name: "Laptop" });
    assert.deepEqual([factor.kind, factor.name, factor.isBackedUp, factor.isSuspended, recoveryCodes.length], ["passkey", "Laptop", false, false, 10]);
    assert.equal(factor.credentialId, laptop.id.toString("base64url"));
    me = await um.authenticate(tokens.accessToken);
    assert.deepEqual((await me.factors.list()).factors, [factor]);

    const start = await nobody.signIn.passkeyStart();
    const done = await nobody.signIn.passkey({ challenge: start.challenge, response: laptop.get(start.options), deviceName: "Desk" });
    assert.equal(done.step, "done");
    assert.equal((await (await um.authenticate(done.done().accessToken)).users.me()).id, ada.id);

    const owed = await um.login("ada@example.org", PASSWORD);
    assert.deepEqual([owed.step, owed.offers], ["factor", ["passkey", "recovery_code"]]);
    const second = await nobody.signIn.passkeyStart({ challenge: owed.challenge });
    const proved = await nobody.signIn.passkey({ challenge: second.challenge, response: laptop.get(second.options, { verified: false }) });
    me = await um.authenticate(proved.done().accessToken);

    let again = await me.sessions.stepUpPasskeyStart();
    await assert.rejects(
      me.sessions.stepUpPasskey({ challenge: again.challenge, response: laptop.get(again.options, { verified: false }) }),
      (error) => error instanceof ValidationError && error.fields[0].field === "password",
    );
    again = await me.sessions.stepUpPasskeyStart();
    me = await um.authenticate((await me.sessions.stepUpPasskey({ challenge: again.challenge, response: laptop.get(again.options) })).accessToken);
    me = await um.authenticate((await me.factors.remove({ id: factor.id })).accessToken);
    assert.deepEqual((await me.factors.list()).factors, []);
  });

  test(`what the passkey did not sign is refused: ${algorithm}`, async (t) => {
    const { um, nobody } = await opened(t);
    const me = await um.authenticate((await um.login("ada@example.org", PASSWORD)).done().accessToken);
    const setup = await me.factors.addPasskeyStart();
    const laptop = new Authenticator(algorithm);
    await me.factors.addPasskey({ challenge: setup.challenge, response: laptop.create(setup.options) });
    const { challenge, options } = await nobody.signIn.passkeyStart();
    const answer = laptop.get(options);
    const changed = (name, change) => {
      const whole = JSON.parse(answer);
      const bytes = Buffer.from(whole.response[name], "base64url");
      whole.response[name] = change(bytes).toString("base64url");
      return JSON.stringify(whole);
    };
    const flipped = (at) => (bytes) => (bytes[at < 0 ? bytes.length + at : at] ^= 1, bytes);
    const wrong = [
      changed("signature", flipped(-1)),
      changed("signature", (bytes) => bytes.subarray(0, -1)),
      changed("signature", () => Buffer.alloc(0)),
      // The last byte of the counter.
      changed("authenticatorData", flipped(36)),
      changed("clientDataJSON", (bytes) => Buffer.from(`${bytes} `)),
    ];
    for (const response of wrong) assert.equal(await reasonOf(nobody.signIn.passkey({ challenge, response })), "invalid_credentials");
    assert.equal((await nobody.signIn.passkey({ challenge, response: answer })).step, "done", "a wrong answer uses nothing up");
  });
}

test("where everybody has to have a second factor, the next sign-in adds a passkey", async (t) => {
  const { um, nobody } = await opened(t, { secondFactor: "required" });
  const { step, challenge } = await um.login("ada@example.org", PASSWORD);
  assert.equal(step, "enrol");
  const { options } = await nobody.signIn.enrolPasskeyStart({ challenge });
  const enrolled = await nobody.signIn.enrolPasskey({ challenge, response: new Authenticator().create(options), name: "Key" });
  assert.deepEqual([enrolled.step, enrolled.recoveryCodes.length], ["done", 10]);
  const me = await um.authenticate(enrolled.done().accessToken);
  assert.deepEqual((await me.factors.list()).factors.map(({ kind, name }) => [kind, name]), [["passkey", "Key"]]);
});

test("where `node:crypto` cannot be asked for, as in Node before 20.16, RSA is not offered", async (t) => {
  const { getBuiltinModule } = process;
  const { um } = await opened(t);
  const me = await um.authenticate((await um.login("ada@example.org", PASSWORD)).done().accessToken);
  t.after(() => (process.getBuiltinModule = getBuiltinModule));
  process.getBuiltinModule = undefined;
  const { challenge, options } = await me.factors.addPasskeyStart();
  assert.deepEqual(JSON.parse(options).pubKeyCredParams.map(({ alg }) => alg), [-7, -8]);
  const asked = JSON.stringify({ ...JSON.parse(options), pubKeyCredParams: [{ type: "public-key", alg: -257 }] });
  const response = new Authenticator("RS256").create(asked);
  await assert.rejects(me.factors.addPasskey({ challenge, response }), (error) => error.fields[0].field === "response" && /algorithm/.test(error.fields[0].message));
});

test("challenges are shown nowhere", async (t) => {
  const { nobody } = await opened(t);
  const start = await nobody.signIn.passkeyStart();
  assert.ok(!inspect(start, { depth: 9, showHidden: true }).includes(start.challenge));
});
