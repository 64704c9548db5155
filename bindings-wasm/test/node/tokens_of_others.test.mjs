import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { test } from "node:test";

import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify, SignJWT } from "jose";
import { open, UnauthorizedError, UnavailableError } from "rolekeep";

import { CHEAP } from "./support.mjs";

const PASSWORD = "correct horse battery staple";
const ISSUER = "https://login.example.org";

async function opened(t, settings) {
  const um = await open({ ...CHEAP, ...settings });
  t.after(() => um.close());
  return um;
}

for (const [tokenAlgorithm, name] of [["es256", "ES256"], ["eddsa", "EdDSA"]]) {
  test(`jose verifies our tokens of ${name} by the key set`, async (t) => {
    const um = await opened(t, { tokenAlgorithm, issuer: "https://example.org", audience: "api" });
    const ada = await um.system.users.create({ email: "ada@example.org", password: PASSWORD });
    const tokens = (await um.login("ada@example.org", PASSWORD)).done();
    const { json } = await um.anonymous().signingKeys.jwks();
    const options = { issuer: "https://example.org", audience: "api", typ: "at+jwt", algorithms: [name] };
    const { payload, protectedHeader } = await jwtVerify(tokens.accessToken, createLocalJWKSet(JSON.parse(json)), options);
    assert.deepEqual([payload.sub, payload.sid, protectedHeader.alg], [ada.id, tokens.sessionId, name]);
  });
}

test("tokens that jose signs let in whom they name, by the key that they name", async (t) => {
  const pairs = {};
  for (const name of ["ES256", "EdDSA", "RS256"]) pairs[name] = await generateKeyPair(name, { extractable: true });
  const keys = await Promise.all(
    Object.entries(pairs).map(async ([name, { publicKey }]) => ({ ...(await exportJWK(publicKey)), kid: name, alg: name, use: "sig" })),
  );
  const um = await opened(t, { signInTries: 0, trustedIssuers: [{ issuer: ISSUER, audiences: ["app"], jwks: JSON.stringify({ keys }) }] });
  const ada = await um.system.users.create({ username: "ada", identity: { issuer: ISSUER, subject: "auth0|1" } });
  const token = (alg, kid) =>
    new SignJWT({ jti: `${alg}${kid}` })
      .setProtectedHeader({ alg, kid, typ: "JWT" })
      .setIssuer(ISSUER).setSubject("auth0|1").setAudience(["other", "app"]).setIssuedAt().setExpirationTime("1m")
      .sign(pairs[alg].privateKey);
  for (const name of Object.keys(pairs)) {
    const answer = await um.anonymous().signIn.external({ token: await token(name, name) });
    assert.equal(answer.done().user.id, ada.id, name);
    for (const other of Object.keys(pairs).filter((other) => other !== name)) {
      await assert.rejects(async () => um.anonymous().signIn.external({ token: await token(name, other) }), UnauthorizedError);
    }
  }
});

test("jose verifies a token for Supabase, by what the project has", async (t) => {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const secret = "a key that the issuer and the application share";
  for (const [settings, key] of [
    [{ supabaseSecret: secret }, new TextEncoder().encode(secret)],
    [{ supabaseSigningKey: JSON.stringify({ ...(await exportJWK(privateKey)), kid: "project" }) }, publicKey],
  ]) {
    const um = await opened(t, { supabaseIssuer: ISSUER, ...settings });
    const ada = await um.system.users.create({ email: "ada@example.org", password: PASSWORD });
    const tokens = (await um.login("ada@example.org", PASSWORD)).done();
    const answer = await (await um.authenticate(tokens.accessToken)).sessions.supabaseToken();
    const { payload } = await jwtVerify(answer.accessToken, key, { issuer: ISSUER, audience: "authenticated" });
    assert.deepEqual([payload.sub, payload.session_id, payload.role], [ada.id, tokens.sessionId, "authenticated"]);
    await assert.rejects(async () => um.authenticate(answer.accessToken), UnauthorizedError);
  }
});

const tls = (name) => readFileSync(new URL(`../../../tests/tls/${name}`, import.meta.url));

test("a key set is fetched over TLS, from where it may be, and no more of it than fits", async (t) => {
  const { publicKey, privateKey } = await generateKeyPair("EdDSA");
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: "one" }] });
  let asked = 0;
  const answers = {
    "/keys": (answer) => answer.end(keys),
    "/moved": (answer) => answer.writeHead(302, { location: "/keys" }).end(),
    "/large": (answer) => answer.end(keys + " ".repeat(256 * 1024)),
    "/text": (answer) => answer.end("<html>"),
    "/bytes": (answer) => answer.end(Buffer.from([0xff])),
    "/gone": (answer) => answer.destroy(),
    "/slow": (answer) => answer.write(" "),
  };
  const server = createServer({ cert: tls("localhost.pem"), key: tls("localhost.key") }, (request, answer) => {
    asked++;
    answers[request.url](answer);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address();
  const signIn = async (path, settings = {}, host = "localhost") => {
    const issuer = { issuer: ISSUER, audiences: ["app"], jwksUrl: `https://${host}:${port}${path}`, ...settings };
    const um = await opened(t, { signInTries: 0, trustedIssuers: [issuer] });
    await um.system.users.create({ username: "ada", identity: { issuer: ISSUER, subject: "auth0|1" } });
    const token = () =>
      new SignJWT({ jti: crypto.randomUUID() })
        .setProtectedHeader({ alg: "EdDSA", kid: "one" })
        .setIssuer(ISSUER).setSubject("auth0|1").setAudience("app").setIssuedAt().setExpirationTime("1m")
        .sign(privateKey);
    for (const _ of [1, 2]) (await um.anonymous().signIn.external({ token: await token() })).done();
  };
  const known = { rootCertificates: tls("ca.pem").toString(), allowPrivateNetwork: true };
  await signIn("/keys", known);
  assert.equal(asked, 1);
  const refused = (message) => (error) => error instanceof UnavailableError && error.reason === "issuer_unavailable" && message.test(error.message);
  const paths = { "/moved": /status 302/, "/large": /too large/, "/text": /not a key set/, "/bytes": /not a key set/, "/gone": /not be reached/, "/slow": /too long/ };
  for (const [path, message] of Object.entries(paths)) await assert.rejects(signIn(path, known), refused(message), path);
  asked = 0;
  await assert.rejects(signIn("/keys", { allowPrivateNetwork: true }), refused(/certificate/));
  for (const host of ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "2130706433"]) {
    const elsewhere = { ...known, allowPrivateNetwork: false };
    await assert.rejects(signIn("/keys", elsewhere, host), refused(/public internet/), host);
  }
  assert.equal(asked, 0);
});
