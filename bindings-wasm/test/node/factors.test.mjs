import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";

import jsqr from "jsqr";
import { open, UnauthorizedError, ValidationError } from "rolekeep";

import { code } from "../shared/totp.mjs";
import { CHEAP } from "./support.mjs";

const PASSWORD = "correct horse battery staple";

async function opened(t, settings = {}) {
  const um = await open({ ...CHEAP, ...settings });
  t.after(() => um.close());
  return um;
}

/** What a camera reads from a QR code, so many pixels to a module. */
function scanned(svg, scale = 4) {
  const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg).map(Number);
  const [background, dark] = [...svg.matchAll(/<path[^>]* d="([^"]*)"/g)].map(([, path]) => path);
  assert.deepEqual([width, background], [height, `M0,0h${width}v${width}H0z`]);
  assert.match(dark, /^(M\d+,\d+h1v1h-1z)+$/, "every module is a square of its own");
  const size = width * scale;
  const pixels = new Uint8ClampedArray(size * size * 4).fill(255);
  for (const [, x, y] of dark.matchAll(/M(\d+),(\d+)/g)) {
    for (let row = y * scale; row < (Number(y) + 1) * scale; row += 1) {
      for (let column = x * scale; column < (Number(x) + 1) * scale; column += 1) pixels.set([0, 0, 0], (row * size + column) * 4);
    }
  }
  return jsqr.default(pixels, size, size)?.data;
}

for (const [named, name] of [["few letters", "Rolekeep"], ["many of any kind", `Öl & Söhne: "Rolls" ${"😀".repeat(40)}`]]) {
  test(`a camera reads the URI from the QR code: ${named}`, async (t) => {
    const um = await opened(t, { applicationName: name, secondFactor: "required" });
    await um.system.users.create({ email: "ada+1@example.org", password: PASSWORD });
    const { challenge } = await um.login("ada+1@example.org", PASSWORD);
    const { uri, qrSvg, secret } = await um.anonymous().signIn.enrolStart({ challenge });
    assert.equal(scanned(qrSvg), uri);
    const read = new URL(uri);
    assert.deepEqual([read.protocol, read.host, decodeURIComponent(read.pathname)], ["otpauth:", "totp", `/${name}:ada+1@example.org`]);
    assert.deepEqual(Object.fromEntries(read.searchParams), { secret, issuer: name, algorithm: "SHA1", digits: "6", period: "30" });
  });
}

test("what is shown once is shown nowhere else", async (t) => {
  const um = await opened(t);
  await um.system.users.create({ email: "ada@example.org", password: PASSWORD });
  const me = await um.authenticate((await um.login("ada@example.org", PASSWORD)).done().accessToken);
  const setup = await me.factors.addStart();
  const added = await me.factors.add({ challenge: setup.challenge, code: await code(setup.secret) });
  const shown = inspect({ setup, added }, { depth: 9, showHidden: true });
  for (const secret of [setup.secret, "otpauth", "<svg", ...added.recoveryCodes]) assert.ok(!shown.includes(secret), shown);
});

test("a sign-in by both factors, step by step", async (t) => {
  const um = await opened(t);
  const ada = await um.system.users.create({ email: "ada@example.org", password: PASSWORD });
  let me = await um.authenticate((await um.login("ada@example.org", PASSWORD)).done().accessToken);
  const { challenge, secret, expiresAt } = await me.factors.addStart();
  assert.ok(expiresAt instanceof Date && expiresAt > new Date());
  const { factor, tokens, recoveryCodes } = await me.factors.add({ challenge, code: await code(secret), name: "Phone" });
  assert.deepEqual([factor.kind, factor.name, factor.isSuspended, recoveryCodes.length], ["totp", "Phone", false, 10]);
  assert.ok(factor.addedAt instanceof Date && factor.lastUsedAt instanceof Date);
  me = await um.authenticate(tokens.accessToken);

  const owed = await um.login("ada@example.org", PASSWORD);
  assert.deepEqual([owed.step, owed.tokens, owed.offers], ["factor", null, ["totp", "recovery_code"]]);
  assert.throws(() => owed.done(), (error) => error instanceof UnauthorizedError && error.reason === "step_needed");
  const nobody = um.anonymous();
  await assert.rejects(nobody.signIn.factor({ challenge: owed.challenge, code: "12345" }), (error) => error.reason === "invalid_credentials");
  const proved = await nobody.signIn.factor({ challenge: owed.challenge, code: await code(secret, 1) });
  assert.equal(proved.step, "done");
  me = await um.authenticate(proved.done().accessToken);
  assert.equal((await me.users.me()).id, ada.id);

  await assert.rejects(me.sessions.stepUp({ password: PASSWORD }), (error) => error instanceof ValidationError && error.fields[0].field === "code");
  const fresh = await me.sessions.stepUp({ password: PASSWORD, code: recoveryCodes[0] });
  me = await um.authenticate(fresh.accessToken);
  assert.equal((await me.factors.list()).recoveryCodesLeft, 9);
  me = await um.authenticate((await me.factors.remove({ id: factor.id })).accessToken);
  assert.deepEqual((await me.factors.list()).factors, []);
});
