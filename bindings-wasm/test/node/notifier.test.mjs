import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { inspect } from "node:util";

import { open, UnavailableError, ValidationError } from "rolekeep";

import { mailer } from "../../dist/notifier.js";
import { compile, CHEAP, folder, here, text } from "./support.mjs";
import { Outbox, until } from "./outbox.mjs";

const PASSWORD = "correct horse battery staple";
const PAGE = "https://app.example.org/account";
const ADA = { email: "ada@example.org", password: PASSWORD };

async function opened(t, notifier, settings = {}) {
  const um = await open({ ...CHEAP, ...settings, notifier });
  t.after(() => um.close());
  return um;
}

/** What is told to the console meanwhile. */
function complaints(t) {
  const told = [];
  t.mock.method(console, "error", (...parts) => told.push(parts.map((part) => inspect(part, { depth: 9 })).join(" ")));
  return told;
}

const forgets = (um, identifier = "ada@example.org") => um.anonymous({ ip: "192.0.2.1", userAgent: "App/1" }).passwords.forgot({ identifier });

class AsyncOutbox extends Outbox {
  async send(notice) {
    await new Promise((done) => setTimeout(done, 1));
    return super.send(notice);
  }
}

for (const Kind of [Outbox, AsyncOutbox]) {
  test(`a notice is typed and whole: ${Kind.name}`, async (t) => {
    const outbox = new Kind();
    const um = await opened(t, outbox, { linkUrl: PAGE });
    const ada = await um.system.users.create(ADA);
    const before = Date.now();
    await forgets(um, "ADA@example.org");
    const [notice] = await outbox.wait();
    const { id, token, at, expiresAt, text, ...rest } = notice;
    assert.match(id, /^[0-9a-f-]{36}$/);
    assert.match(token, /^rkp_/);
    assert.ok(at instanceof Date && expiresAt instanceof Date && before - 1000 <= at && at < expiresAt);
    assert.ok(text.includes(`${PAGE}#${token}`));
    assert.deepEqual({ ...rest }, {
      kind: "password_reset", address: "ada@example.org", userId: ada.id, subject: "Choose a new password",
      code: null, apiKeys: [], link: `${PAGE}#${token}`, ip: "192.0.2.1", userAgent: "App/1", ...inspected(notice),
    });
    const shown = inspect({ deep: { notice } }, { depth: 9, showHidden: true });
    assert.ok(!shown.includes(token) && shown.includes("ada@example.org"), shown);
    await um.anonymous().passwords.reset({ token, newPassword: `another ${PASSWORD}` });
    const changed = (await outbox.wait(2))[1];
    assert.deepEqual([changed.kind, changed.token, changed.link, changed.expiresAt], ["password_changed", null, null, null]);
  });
}

/** How a record hides its secrets, which is no field of it. */
function inspected(record) {
  return Object.fromEntries(Object.getOwnPropertySymbols(record).map((symbol) => [symbol, record[symbol]]));
}

test("what failed comes again", async (t) => {
  const told = complaints(t);
  const asked = [];
  class Noting extends Outbox {
    send(notice) {
      asked.push(Date.now());
      return super.send(notice);
    }
  }
  const outbox = new Noting(new Error("the cable is out"), { retryAfter: 1 });
  const um = await opened(t, outbox);
  await um.system.users.create(ADA);
  await forgets(um);
  const [first, second, third] = await outbox.wait(3);
  assert.ok(asked[1] - asked[0] > 9_000, String(asked));
  // As soon as it asked for.
  assert.ok(asked[2] - asked[1] < 9_000, String(asked));
  for (const again of [second, third]) assert.deepEqual([again.id, again.token], [first.id, first.token]);
  assert.equal(told.length, 1);
  assert.ok(told[0].includes(first.id) && told[0].includes("the cable is out") && !told[0].includes(first.token), told[0]);
});

test("what is refused is gone", async (t) => {
  const outbox = new AsyncOutbox("refused");
  const um = await opened(t, outbox);
  await um.system.users.create(ADA);
  await forgets(um);
  await until(async () => (await um.system.audit.list({ action: "notices.failed" })).items.length === 1, () => "nothing was told");
  assert.equal(outbox.given.length, 1);
});

test("each store has its own notifier, or none", async (t) => {
  const outboxes = [new Outbox(), new Outbox()];
  for (const [at, outbox] of outboxes.entries()) {
    const um = await opened(t, outbox);
    await um.system.users.create({ ...ADA, email: `user${at}@example.org` });
    await forgets(um, `user${at}@example.org`);
    assert.equal((await outbox.wait())[0].address, `user${at}@example.org`);
  }
  assert.deepEqual(outboxes.map(({ given }) => given.length), [1, 1]);
  for (const none of [undefined, null]) {
    const um = await opened(t, none);
    await assert.rejects(forgets(um), (error) => error instanceof UnavailableError && error.reason === "not_offered");
  }
});

const NOTICE = JSON.stringify({ id: "01", kind: "password_changed", at: "2026-01-01T00:00:00Z", expires_at: null });

test("answers", async (t) => {
  const told = complaints(t);
  const answers = [[undefined, "sent"], ["sent", "sent"], ["refused", "refused"], [{ retryAfter: 120 }, 120], [{ retryAfter: 1.5 }, 1.5], [{ retryAfter: 0 }, 0]];
  for (const [answer, wanted] of answers) {
    for (const given of [answer, Promise.resolve(answer)]) assert.deepEqual(JSON.parse(await mailer({ send: () => given })(NOTICE)), wanted);
  }
  assert.deepEqual(told, []);
  const times = [{ retryAfter: -1 }, { retryAfter: NaN }, { retryAfter: Infinity }, { retryAfter: "5" }];
  for (const given of times) await assert.rejects(mailer({ send: () => given })(NOTICE), /retryAfter: seconds/, inspect(given));
  const others = [null, true, false, 5, 0, "later", "", [], {}];
  for (const given of others) assert.equal(await mailer({ send: () => given })(NOTICE), '"sent"', inspect(given));
  assert.equal(told.length, times.length + others.length);
});

test("what is no notifier is refused", async () => {
  for (const notifier of ["smtp://localhost", {}, { send: "later" }, () => {}, 7, ""]) {
    await assert.rejects(open({ notifier }), (error) => error instanceof ValidationError && error.reason === "config_invalid" && /send/.test(error.message), inspect(notifier));
  }
});

test("neither notices that wait nor their notifier keep a process alive", async (t) => {
  const program = `
    import { open } from "rolekeep";
    const asked = [];
    const um = await open({ ...${JSON.stringify(CHEAP)}, notifier: { send: (notice) => (asked.push(notice), console.log(asked.length), { retryAfter: 3600 }) } });
    await um.system.users.create({ email: "ada@example.org" });
    await um.anonymous().passwords.forgot({ identifier: "ada@example.org" });
    for (; asked.length === 0; ) await new Promise((done) => setTimeout(done, 5));`;
  const path = join(await folder(t, here), "program.mjs");
  writeFileSync(path, program);
  const { status, stdout, stderr } = spawnSync(process.execPath, [path], { encoding: "utf8", timeout: 60_000 });
  assert.deepEqual([status, stdout.trim(), stderr], [0, "1", ""]);
});

test("the types: in Node alone, and as the documentation shows it", async (t) => {
  const at = await folder(t, here);
  const [, shown] = /```ts\n([\s\S]*?)```/.exec(text("bindings-wasm/ts/notifier.ts").replaceAll(/^ \* ?/gm, ""));
  const good = `import { open, type Delivery, type Notice, type Notifier, type ServerOptions } from "rolekeep";
declare const transport: { sendMail(mail: { from: string; to: string; subject: string; text: string }): Promise<void> };
${shown}
const later = { send: async ({ userAgent }: Notice): Promise<Delivery> => (userAgent === null ? { retryAfter: 60 } : "refused") };
await um.close();
await open({ notifier: later });
const options: ServerOptions = { linkUrl: "https://app.example.org", notifier: { send: () => {} } };
await open(options);
`;
  const compiled = (program, ...how) => {
    writeFileSync(join(at, "program.mts"), program);
    return compile("--ignoreConfig", "--strict", "--exactOptionalPropertyTypes", "--noEmit", "--target", "es2022", "--lib", "es2022,dom", "--types", "", ...how, join(at, "program.mts")).stdout;
  };
  const inNode = ["--module", "nodenext"];
  assert.equal(compiled(good, ...inNode), "");
  for (const [right, wrong] of [['"refused"', '"later"'], ["retryAfter: 60", "retryAfter: true"], ["userAgent", "userAgnt"], ["send: ()", "post: ()"], ["async send", "async post"]]) {
    assert.match(compiled(good.replace(right, wrong), ...inNode), /error TS/, wrong);
  }
  const inPage = ["--module", "esnext", "--moduleResolution", "bundler"];
  const page = (option) => `import { open, type OpenOptions } from "rolekeep";\nexport const options: OpenOptions = { ${option} };\nvoid open(options);\n`;
  assert.equal(compiled(page('linkUrl: "https://app.example.org"'), ...inPage), "");
  assert.match(compiled(page("notifier: { send: () => {} }"), ...inPage), /notifier/);
  assert.equal(compiled(good, ...inPage, "--customConditions", "node"), "");
});
