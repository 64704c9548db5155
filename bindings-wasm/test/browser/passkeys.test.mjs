// Passkeys in a real browser, by its virtual authenticator: pages ask for them, and a server of Node verifies them.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

// By its name it would be what pages load here.
import { open } from "../../dist/index.mjs";
import { CHEAP, here } from "../node/support.mjs";
import { browser, serve } from "./support.mjs";

const PASSWORD = "correct horse battery staple";
const ADA = { identifier: "ada@example.org", password: PASSWORD };
const DEVICE = { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true };

let chromium;
before(async () => (chromium = await browser()));
after(() => chromium?.close());

/** What the application offers its pages, by the path. */
const ROUTES = {
  "/login": (me, input) => me.sessions.login(input),
  "/passkey/start": (me, input) => me.signIn.passkeyStart(input),
  "/passkey": (me, input) => me.signIn.passkey(input),
  "/enrol/start": (me, input) => me.signIn.enrolPasskeyStart(input),
  "/enrol": (me, input) => me.signIn.enrolPasskey(input),
  "/add/start": (me) => me.factors.addPasskeyStart(),
  "/add": (me, input) => me.factors.addPasskey(input),
  "/factors": (me) => me.factors.list(),
  "/step-up/start": (me) => me.sessions.stepUpPasskeyStart(),
  "/step-up": (me, input) => me.sessions.stepUpPasskey(input),
  "/me": (me) => me.users.me(),
};

/** An application with accounts, and a page of it with an authenticator. */
async function site(t, settings = {}) {
  let um;
  const server = createServer(async (request, response) => {
    if (request.method === "GET") return response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>app</title>");
    try {
      const { token, input } = JSON.parse(Buffer.concat(await request.toArray()).toString());
      const me = token ? await um.authenticate(token) : um.anonymous();
      response.end(JSON.stringify({ answer: await ROUTES[request.url](me, input) }));
    } catch (error) {
      response.end(JSON.stringify({ error: { reason: error.reason, fields: error.fields, message: error.message } }));
    }
  });
  await new Promise((done) => server.listen(0, "localhost", done));
  const url = `http://localhost:${server.address().port}`;
  um = await open({ ...CHEAP, passkeyDomain: "localhost", passkeyOrigins: [url], ...settings });
  const ada = await um.system.users.create({ email: "ada@example.org", password: PASSWORD, fullName: "Ada" });
  const page = await chromium.page(url);
  t.after(async () => {
    await page.close();
    server.close();
    await um.close();
  });
  await page.evaluate(script);
  const devices = await page.context().newCDPSession(page);
  await devices.send("WebAuthn.enable");
  const device = async (more) => (await devices.send("WebAuthn.addVirtualAuthenticator", { options: { ...DEVICE, ...more } })).authenticatorId;
  const run = async (work, given) => {
    // Browsers ask for passkeys only on the page that is looked at.
    await page.bringToFront();
    return page.evaluate(work, given);
  };
  return { um, ada, run, devices, device, first: await device() };
}

/** The page's script, as an application would have it. */
const script = () => {
  const post = async (path, input, token) => {
    const { answer, error } = await (await fetch(path, { method: "POST", body: JSON.stringify({ input, token }) })).json();
    if (error) throw Object.assign(new Error(error.message), error);
    return answer;
  };
  const made = async (options) => {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(options));
    return JSON.stringify(await navigator.credentials.create({ publicKey }));
  };
  const used = async (options) => {
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(options));
    return JSON.stringify(await navigator.credentials.get({ publicKey }));
  };
  /** Asks for a passkey at one path and gives the answer to another; `change` makes other options of those that were given. */
  const ceremony = async (path, ask, { start = {}, more = {}, token, change = (options) => options } = {}) => {
    const { challenge, options } = await post(`${path}/start`, start, token);
    const response = await ask(JSON.stringify(change(JSON.parse(options))));
    return post(path, { challenge, response, ...more }, token);
  };
  const reasonOf = (work) => work.then(() => "no error", (error) => error.reason ?? error.name);
  globalThis.app = { post, made, used, ceremony, reasonOf };
};

/** Ada signs in by her password and adds a passkey; her tokens. */
const add = async (login) => {
  const { post, made, ceremony } = globalThis.app;
  const { tokens } = await post("/login", login);
  return ceremony("/add", made, { token: tokens.accessToken, more: { name: "Laptop" } });
};

test("a passkey signs in without a name, is the second factor, and proves who one is once more", async (t) => {
  const { um, ada, run, devices, first } = await site(t);
  const { factor, recoveryCodes } = await run(add, ADA);
  assert.deepEqual([factor.kind, factor.name, factor.isSuspended, recoveryCodes.length], ["passkey", "Laptop", false, 10]);
  const { credentials } = await devices.send("WebAuthn.getCredentials", { authenticatorId: first });
  assert.deepEqual(credentials.map(({ isResidentCredential, rpId }) => [isResidentCredential, rpId]), [[true, "localhost"]]);
  assert.equal(Buffer.from(credentials[0].credentialId, "base64").toString("base64url"), factor.credentialId);

  const byItself = await run(() => app.ceremony("/passkey", app.used));
  assert.equal(byItself.step, "done");
  assert.equal((await (await um.authenticate(byItself.tokens.accessToken)).users.me()).id, ada.id);

  const [owed, proved, stepped] = await run(async (login) => {
    const { post, used, ceremony } = globalThis.app;
    const owed = await post("/login", login);
    const proved = await ceremony("/passkey", used, { start: { challenge: owed.challenge } });
    return [owed, proved, await ceremony("/step-up", used, { token: proved.tokens.accessToken })];
  }, ADA);
  assert.deepEqual([owed.step, owed.offers, proved.step], ["factor", ["passkey", "recovery_code"], "done"]);
  const me = await um.authenticate(stepped.accessToken);
  assert.equal((await me.users.me()).id, ada.id);
  // The authenticator says so of itself.
  const [listed] = (await me.factors.list()).factors;
  assert.deepEqual([listed.id, listed.isSuspended, typeof listed.isBackedUp], [factor.id, false, "boolean"]);
});

test("the same authenticator is not added twice", async (t) => {
  const { run } = await site(t);
  const { tokens } = await run(add, ADA);
  const again = await run((token) => app.reasonOf(app.ceremony("/add", app.made, { token })), tokens.accessToken);
  assert.equal(again, "InvalidStateError");
});

test("where everybody has to have a second factor, the next sign-in adds a passkey", async (t) => {
  const { run } = await site(t, { secondFactor: "required" });
  const [owed, enrolled, later] = await run(async (login) => {
    const { post, made, used, ceremony } = globalThis.app;
    const owed = await post("/login", login);
    const more = { challenge: owed.challenge };
    return [owed, await ceremony("/enrol", made, { start: more }), await ceremony("/passkey", used)];
  }, ADA);
  assert.deepEqual([owed.step, enrolled.step, enrolled.recoveryCodes.length, later.step], ["enrol", "done", 10, "done"]);
});

test("one that does not verify who is there is no first proof, but a second factor", async (t) => {
  const { run, devices, device, first } = await site(t);
  const { tokens } = await run(add, ADA);
  await devices.send("WebAuthn.setUserVerified", { authenticatorId: first, isUserVerified: false });
  assert.equal(await run(() => app.reasonOf(app.ceremony("/passkey", app.used))), "NotAllowedError", "the browser sees to it");
  const lax = (options) => run((options) => app.reasonOf(app.ceremony("/passkey", app.used, { change: (asked) => ({ ...asked, ...options }) })), options);
  assert.equal(await lax({ userVerification: "discouraged" }), "invalid_credentials", "a page that asks for less gets no further");
  await devices.send("WebAuthn.setUserVerified", { authenticatorId: first, isUserVerified: true });
  assert.equal(await lax({ userVerification: "required" }), "no error");

  // A security key without a PIN.
  await devices.send("WebAuthn.removeVirtualAuthenticator", { authenticatorId: first });
  await device({ transport: "usb", hasResidentKey: false, hasUserVerification: false, isUserVerified: false });
  const [proved, alone, together] = await run(async ([login, token]) => {
    const { post, made, used, ceremony, reasonOf } = globalThis.app;
    await ceremony("/add", made, { token, more: { name: "Key" } });
    const { challenge } = await post("/login", login);
    const proved = await ceremony("/passkey", used, { start: { challenge } });
    const as = { token: proved.tokens.accessToken };
    const alone = await reasonOf(ceremony("/step-up", used, as));
    return [proved.step, alone, await reasonOf(ceremony("/step-up", used, { ...as, more: { password: login.password } }))];
  }, [ADA, tokens.accessToken]);
  assert.deepEqual([proved, alone, together], ["done", "invalid_input", "no error"]);
});

test("a copy of a passkey suspends it", async (t) => {
  // Otherwise two tabs could overtake each other by so much.
  const { um, run, devices, device, first } = await site(t, { leewaySeconds: 0 });
  await run(add, ADA);
  const signIn = () => run(() => app.reasonOf(app.ceremony("/passkey", app.used)));
  const of = (authenticatorId) => devices.send("WebAuthn.getCredentials", { authenticatorId });
  const { credentials: [copy] } = await of(first);
  assert.equal(await signIn(), "no error");
  const { credentials: [original] } = await of(first);
  assert.ok(original.signCount > copy.signCount);
  // A browser has one authenticator of its own at a time.
  await devices.send("WebAuthn.removeVirtualAuthenticator", { authenticatorId: first });
  const second = await device();
  await devices.send("WebAuthn.addCredential", { authenticatorId: second, credential: copy });
  assert.equal(await signIn(), "invalid_credentials");
  const audit = await um.system.audit.list({ action: "factors.suspended" });
  assert.deepEqual(audit.items.map(({ detail }) => detail), ["passkey"]);

  await devices.send("WebAuthn.removeVirtualAuthenticator", { authenticatorId: second });
  await devices.send("WebAuthn.addCredential", { authenticatorId: await device(), credential: original });
  assert.equal(await signIn(), "invalid_credentials", "nor does the original sign in any more");
  const owed = await run((login) => app.post("/login", login), ADA);
  assert.deepEqual([owed.step, owed.offers], ["factor", ["recovery_code"]]);
});

test("what is asked for on one page is no good from another origin", async (t) => {
  const { run } = await site(t);
  const other = await site(t);
  await run(add, ADA);
  // Of the same domain, which browsers let it be: a port makes another origin.
  await other.run(add, ADA);
  const start = await run(() => app.post("/passkey/start", {}));
  const answer = await other.run((options) => app.used(options), start.options);
  assert.equal(await run(([challenge, response]) => app.reasonOf(app.post("/passkey", { challenge, response })), [start.challenge, answer]), "invalid_credentials");
});

test("a page that keeps the accounts itself offers none of it", async (t) => {
  const files = await serve(here);
  const page = await chromium.page(files.url);
  t.after(async () => (await page.close(), files.close()));
  const reasons = await page.evaluate(async ([settings, login]) => {
    const { open } = await import("rolekeep");
    const um = await open(settings);
    await um.system.users.create({ email: login.identifier, password: login.password });
    const me = await um.authenticate((await um.anonymous().sessions.login(login)).done().accessToken);
    const answer = { challenge: "rkw_", response: "{}" };
    const calls = [
      me.factors.addPasskeyStart(), me.factors.addPasskey(answer), me.sessions.stepUpPasskeyStart(), me.sessions.stepUpPasskey(answer),
      me.signIn.passkeyStart(), me.signIn.passkey(answer), me.signIn.enrolPasskeyStart({ challenge: "" }), me.signIn.enrolPasskey(answer),
    ];
    const outcomes = await Promise.allSettled(calls);
    return outcomes.map(({ reason }) => `${reason?.reason}: ${reason?.message}`);
  }, [CHEAP, ADA]);
  assert.equal(reasons.length, 8);
  for (const reason of reasons) assert.match(reason, /^not_offered: .*passkey\w* is not offered in a web page/);
});
