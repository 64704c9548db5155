import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { report, scenarioFiles, tables } from "../node/scenarios.mjs";
import { here, seed, text } from "../node/support.mjs";
import { forms } from "../shared/forms.mjs";
import { opened, serve } from "./support.mjs";

const stage = opened(here);

/** What the pages compare with; assert is Node's alone. */
const EQUAL = `(given, wanted) => {
  const same = (a, b) => a === b || (a && b && typeof a === "object" && typeof b === "object" && Object.keys({ ...a, ...b }).every((key) => same(a[key], b[key])));
  if (!same(given, wanted)) throw new Error("expected " + JSON.stringify(wanted) + ", got " + JSON.stringify(given));
}`;

test("conformance: every scenario, on IndexedDB", async () => {
  const page = await stage.chromium.page(stage.site.url);
  const outcome = await page.evaluate(async ([files, tables]) => {
    const { open, indexedDB } = await import("rolekeep");
    const { playAll } = await import("/test/shared/player.mjs");
    let count = 0;
    const place = () => {
      const name = `scenario${(count += 1)}`;
      const remove = () => new Promise((done) => Object.assign(globalThis.indexedDB.deleteDatabase(name), { onsuccess: done, onerror: done, onblocked: done }));
      return { persister: () => indexedDB(name), remove };
    };
    // What a console shows, no script of the page can tell.
    const inspect = (value) => (value instanceof Error ? `${value.message} ${value.stack} ${JSON.stringify(value)}` : "");
    return playAll(files, { open, place, inspect, ...tables });
  }, [scenarioFiles(), tables()]);
  await page.close();
  report("chromium", outcome);
});

test("rules without accounts, by a wasm of their own", async () => {
  const page = await stage.chromium.page(stage.site.url);
  const [policy, file] = ["policy.toml", "decisions.json"].map((name) => text(`tests/conformance/rules/${name}`));
  const { given, wanted } = await page.evaluate(async ([equal, policy, file]) => {
    const { compile } = await import("rolekeep/rules");
    const { asked, decisions } = await import("/test/shared/rules.mjs");
    await asked(compile, eval(equal));
    return decisions(compile, policy, JSON.parse(file));
  }, [EQUAL, policy, file]);
  assert.deepEqual(given, wanted);
  assert.equal(given.length, 1000);
  await page.close();
});

test("row filters in a browser's SQLite pass what checks allow", async () => {
  const page = await stage.chromium.page(stage.site.url);
  await page.addScriptTag({ url: "/node_modules/sql.js/dist/sql-wasm-browser.js" });
  const counts = await page.evaluate(async (equal) => {
    const { open } = await import("rolekeep");
    const { filterLaw } = await import("/test/shared/filters.mjs");
    const SQL = await initSqlJs({ locateFile: (file) => `/node_modules/sql.js/dist/${file}` });
    return filterLaw(open, SQL, eval(equal));
  }, EQUAL);
  assert.ok(counts["document:read"].ada > 0 && counts["document:read"].ada < 300);
  await page.close();
});

test("normal forms are the browser's, and say what those of the core say", async () => {
  const page = await stage.chromium.page(stage.site.url);
  const inPage = await page.evaluate(async () => {
    const { open } = await import("rolekeep");
    return (await import("/test/shared/forms.mjs")).forms(open);
  });
  await page.close();
  const { open } = await import("rolekeep");
  assert.deepEqual(inPage, await forms(open));
});

test("languages are the core's and time zones the browser's, and both say what servers say", async () => {
  const page = await stage.chromium.page(stage.site.url);
  const { wrong, unknown, played } = await page.evaluate(async (lists) => {
    const { open } = await import("rolekeep");
    return (await import("/test/shared/locales.mjs")).locales(open, lists, true);
  }, JSON.parse(text("tests/conformance/locales.json")));
  await page.close();
  assert.deepEqual(wrong, []);
  assert.ok(played > 1800);
  console.log(`time zones that Chromium does not know: ${unknown.join(" ") || "none"}`);
  // Only what the database has gained since.
  assert.ok(unknown.length < 5, String(unknown));
});

test("a page opens no store with usernames beyond ASCII", async () => {
  const page = await stage.chromium.page(stage.site.url);
  const wrong = await page.evaluate(async () => {
    const { open } = await import("rolekeep");
    return open({ usernameProfile: "precis" }).then(() => null, ({ reason, fields }) => ({ reason, count: fields.length }));
  });
  await page.close();
  assert.deepEqual(wrong, { reason: "config_invalid", count: 1 });
});

test("IndexedDB keeps the contract", async () => {
  const page = await stage.chromium.page(stage.site.url);
  await page.evaluate(async (equal) => {
    const { indexedDB } = await import("rolekeep");
    const { contract } = await import("/test/shared/persister.mjs");
    await contract(() => indexedDB("contract"), eval(equal));
  }, EQUAL);
  await page.close();
});

test("a page whose quota is used up is told so, loses nothing, and goes on once there is room", async () => {
  // An origin of its own: others keep their room.
  const site = await serve(here);
  const page = await stage.chromium.page(site.url);
  const devtools = await page.context().newCDPSession(page);
  const origin = new URL(site.url).origin;
  const room = (quotaSize) => devtools.send("Storage.overrideQuotaForOrigin", { origin, quotaSize });
  const create = (email) => page.evaluate((email) => globalThis.um.system.users.create({ email }).then(() => "done", (error) => error.reason), email);
  const count = () => page.evaluate(async () => (await globalThis.um.system.users.list()).total);
  const begin = () => page.evaluate(async () => {
    const { open, indexedDB } = await import("rolekeep");
    globalThis.um = await open({ persister: indexedDB("full") });
  });
  // Before it is opened, as a database is given some room ahead.
  await room(500_000);
  await begin();
  let [created, last] = [0, "done"];
  for (; last === "done" && created < 2_000; created += last === "done") last = await create(`user${created}@example.org`);
  assert.equal(last, "storage_full");
  assert.ok(created > 10);
  assert.equal(await count(), created);
  await room(undefined);
  assert.equal(await create("ada@example.org"), "done");
  await page.reload();
  await begin();
  assert.equal(await count(), created + 1);
  await page.close();
  site.close();
});

test("a batch that IndexedDB refuses half-way leaves nothing", async () => {
  const page = await stage.chromium.page(stage.site.url);
  const found = await page.evaluate(async () => {
    const { open, indexedDB } = await import("rolekeep");
    const um = await open({ persister: indexedDB("half") });
    const { put } = IDBObjectStore.prototype;
    let count = 0;
    IDBObjectStore.prototype.put = function (...given) {
      if ((count += 1) === 3) throw new DOMException("refused", "DataCloneError");
      return put.apply(this, given);
    };
    const reason = await um.system.users.create({ email: "ada@example.org" }).then(() => "done", (error) => error.reason);
    IDBObjectStore.prototype.put = put;
    await um.close();
    const database = await new Promise((done) => {
      const request = globalThis.indexedDB.open("half");
      request.onsuccess = () => done(request.result);
    });
    const all = (store, method) => new Promise((done) => {
      const request = database.transaction([store]).objectStore(store)[method](...(method === "get" ? ["position"] : []));
      request.onsuccess = () => done(request.result);
    });
    const [rows, position] = [await all("rows", "getAll"), await all("head", "get")];
    database.close();
    return { reason, count, later: rows.filter((row) => row.position > position).length };
  });
  await page.close();
  assert.deepEqual(found, { reason: "storage_unavailable", count: 3, later: 0 });
});

test("what is pruned is gone from IndexedDB, and what stays is whole", async () => {
  const page = await stage.chromium.page(stage.site.url);
  await page.evaluate(async (equal) => {
    const { open, indexedDB } = await import("rolekeep");
    const { retention } = await import("/test/shared/persister.mjs");
    const answer = (request) => new Promise((done, fail) => Object.assign(request, { onsuccess: () => done(request.result), onerror: () => fail(request.error) }));
    const within = async (work) => {
      const database = await answer(globalThis.indexedDB.open("retention"));
      const transaction = database.transaction(["rows", "head"], "readwrite");
      const result = await work(transaction.objectStore("rows"), transaction.objectStore("head"));
      database.close();
      return result;
    };
    const rewrite = (change) => within(async (rows, head) => {
      const later = change(await answer(rows.getAll()), await answer(head.get("position")));
      rows.clear();
      for (const row of later.rows) rows.put(row);
      await answer(head.put(later.position, "position"));
      return later.old;
    });
    await retention(open, () => indexedDB("retention"), rewrite, () => within((rows) => answer(rows.getAllKeys())), eval(equal));
  }, EQUAL);
  await page.close();
});

test("FlyOS on IndexedDB survives a reload, and a restart of the browser", async () => {
  const job = async (page, part) =>
    page.evaluate(async ([part, seed, equal]) => {
      const { open, indexedDB } = await import("rolekeep");
      const job = await import("/test/shared/flyos.mjs");
      await job[part](open, () => indexedDB("flyos"), seed, eval(equal));
    }, [part, seed(), EQUAL]);
  const page = await stage.chromium.page(stage.site.url);
  await job(page, "mainJob");
  await page.reload();
  await job(page, "afterRestart");
  await stage.chromium.restart();
  await job(await stage.chromium.page(stage.site.url), "afterRestart");
});

const CHEAP = { hashingMemoryKib: 7168, hashingIterations: 5, roles: { editor: ["document:edit"] } };
const openIn = (page, name) =>
  page.evaluate(async ([settings, name]) => {
    const { open, indexedDB } = await import("rolekeep");
    globalThis.um = await open({ ...settings, persister: indexedDB(name) });
  }, [CHEAP, name]);

/** As a browser does in a tab that is hidden for long: a minute or more between two turns of a timer. */
const holdBack = (page) =>
  page.evaluate(() => {
    const later = globalThis.setTimeout;
    globalThis.setTimeout = (work, millis = 0) => later(work, millis < 100 ? millis : millis + 60_000);
  });

test("two tabs agree: of two that take one name only one gets it, and each sees the other's work", async () => {
  const tabs = [await stage.chromium.page(stage.site.url), await stage.chromium.page(stage.site.url)];
  for (const tab of tabs) await openIn(tab, "tabs");
  for (let round = 0; round < 10; round += 1) {
    const race = tabs.map((tab, at) =>
      tab.evaluate(([round, at]) => um.system.users.create({ email: `t${at}r${round}@example.org`, username: `same${round}` }).then(() => "made", (error) => error.reason), [round, at]),
    );
    assert.deepEqual((await Promise.all(race)).sort(), ["made", "taken"]);
  }
  for (const tab of tabs) assert.deepEqual(await tab.evaluate(async () => [(await um.system.users.list()).total, (await um.system.audit.verify()).isWhole]), [10, true]);
  await Promise.all(tabs.map((tab) => tab.close()));
});

test("a second tab's revocation reaches the first tab's synchronous check, faster than by asking", async () => {
  const [one, two] = [await stage.chromium.page(stage.site.url), await stage.chromium.page(stage.site.url)];
  // It does not ask by itself: nothing but the other tab's word makes it.
  await holdBack(one);
  await openIn(one, "revocation");
  await openIn(two, "revocation");
  const id = await two.evaluate(async () => (await um.system.users.create({ email: "ada@example.org", roles: ["editor"] })).id);
  const before = await one.evaluate(async (id) => {
    globalThis.me = await um.actingAs(id);
    return me.can("document:edit");
  }, id);
  assert.equal(before, true);
  // It listens before anything is to be heard.
  await one.evaluate(() => void (globalThis.seen = new Promise((done) => {
    const channel = new BroadcastChannel("rolekeep:revocation");
    // Rights that are old for now are none that were taken.
    const isRefused = () => {
      try {
        return !me.can("document:edit");
      } catch {
        return false;
      }
    };
    channel.onmessage = async () => {
      const since = performance.now();
      while (!isRefused()) {
        if (performance.now() - since > 20_000) return done("never");
        await new Promise((next) => setTimeout(next, 1));
      }
      done(performance.now() - since);
    };
  })));
  await two.evaluate((id) => um.system.roles.unassign({ userId: id, role: "editor" }), id);
  const millis = await one.evaluate(() => globalThis.seen);
  console.log(`seen ${Math.round(millis)} ms after the other tab's word`);
  assert.notEqual(millis, "never");
  await Promise.all([one.close(), two.close()]);
});

test("a tab whose timers were held back catches up when it is shown, without being asked", async () => {
  const [hidden, other] = [await stage.chromium.page(stage.site.url), await stage.chromium.page(stage.site.url)];
  await holdBack(hidden);
  await hidden.evaluate(() => {
    globalThis.show = (state) => Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
    globalThis.tried = () => {
      try {
        return me.can("document:edit");
      } catch (error) {
        return error.reason;
      }
    };
  });
  await openIn(hidden, "hidden");
  await openIn(other, "hidden");
  const id = await other.evaluate(async () => (await um.system.users.create({ email: "ada@example.org", roles: ["editor"] })).id);
  await hidden.evaluate(async (id) => (globalThis.me = await um.actingAs(id)), id);
  for (const [target, event] of [["document", "visibilitychange"], ["document", "resume"], ["window", "pageshow"], ["window", "focus"]]) {
    await new Promise((done) => setTimeout(done, 1_200));
    assert.equal(await hidden.evaluate(() => (show("hidden"), tried())), "rights_stale", event);
    const seen = await hidden.evaluate(async ([target, event]) => {
      show("visible");
      const since = performance.now();
      let isFresh = false;
      // Once more where a busy machine let what was fresh grow old unseen.
      while (!isFresh && performance.now() - since < 20_000) {
        globalThis[target].dispatchEvent(new Event(event));
        for (let turn = 0; turn < 500 && !isFresh; turn += 1) {
          await new Promise((next) => setTimeout(next, 1));
          isFresh = tried() === true;
        }
      }
      return [isFresh, performance.now() - since];
    }, [target, event]);
    assert.equal(seen[0], true, event);
    console.log(`fresh ${Math.round(seen[1])} ms after ${event}`);
  }
  await Promise.all([hidden.close(), other.close()]);
});

test("IndexedDB that cannot be opened is told, and so is one that is deleted", async () => {
  const page = await stage.chromium.page(stage.site.url);
  const reasons = await page.evaluate(async (settings) => {
    const { open, indexedDB } = await import("rolekeep");
    const reasonOf = (promise) => promise.then(() => "no error", (error) => error.reason ?? String(error));
    const newer = await new Promise((done) => (globalThis.indexedDB.open("newer", 7).onsuccess = (event) => done(event.target.result)));
    newer.close();
    const um = await open({ ...settings, persister: indexedDB("deleted") });
    await um.system.users.create({ email: "ada@example.org" });
    await new Promise((done, fail) => Object.assign(globalThis.indexedDB.deleteDatabase("deleted"), { onsuccess: done, onblocked: fail }));
    return [await reasonOf(open({ ...settings, persister: indexedDB("newer") })), await reasonOf(um.system.users.list())];
  }, CHEAP);
  assert.deepEqual(reasons, ["storage_unavailable", "storage_missing"]);
  await page.close();
});

test("the wasm is given as a URL, as bytes, as a Module; a missing one is told and can be given again", async () => {
  for (const give of ["url", "bytes", "module", "missing"]) {
    const page = await stage.chromium.page(stage.site.url);
    const got = await page.evaluate(async ([give, settings]) => {
      const { open } = await import("rolekeep");
      const url = new URL("/dist/rolekeep_bg.wasm", location.href);
      if (give === "missing") {
        const reason = await open({ wasm: "/nowhere.wasm" }).catch((error) => `${error.reason}: ${error.message}`);
        if (!/^storage_unavailable: .*nowhere.wasm.*404/.test(reason)) return reason;
      }
      const bytes = give === "url" || give === "missing" ? null : await (await fetch(url)).arrayBuffer();
      const wasm = { url, bytes, module: bytes && (await WebAssembly.compile(bytes)) }[give];
      const um = await open({ ...settings, wasm });
      return um.system.can("document:edit");
    }, [give, CHEAP]);
    assert.equal(got, true, give);
    await page.close();
  }
});

/** Opens a store and does what pages do at once, then what needs the deferred part. */
const onDemand = ([settings, deferred]) => (async () => {
  const { open } = await import("rolekeep");
  const reasonOf = (ask) => Promise.resolve().then(ask).then(() => "none", (error) => `${error.reason}: ${error.message}`);
  const url = new URL("/dist/rolekeep_deferred_bg.wasm", location.href);
  const bytes = async () => (await fetch(url)).arrayBuffer();
  const given = { url, bytes: deferred === "bytes" && (await bytes()), module: deferred === "module" && (await WebAssembly.compile(await bytes())) };
  const um = await open({ ...settings, ...(deferred && { deferredWasm: given[deferred] || deferred }) });
  const before = performance.getEntriesByType("resource").filter(({ name }) => name.includes("_deferred_")).length;
  const allowed = [um.system.can("document:edit"), um.system.canSomewhere("document:edit"), await reasonOf(() => um.anonymous().sessions.login({ identifier: "nobody", password: "a long password" }))];
  const early = await reasonOf(() => um.system.explain("document:edit"));
  const both = await Promise.all([reasonOf(() => um.system.users.list()), reasonOf(() => um.system.users.create({ email: "ada@example.org" }))]);
  const late = await reasonOf(() => um.system.explain("document:edit"));
  await reasonOf(() => um.preload());
  return { before, allowed, early, both, late, after: performance.getEntriesByType("resource").filter(({ name }) => name.includes("_deferred_")).length };
})();

test("what is needed seldom is loaded when it is first needed, once, and given as a URL, as bytes, as a Module", async () => {
  for (const deferred of [undefined, "url", "bytes", "module"]) {
    const page = await stage.chromium.page(stage.site.url);
    const got = await page.evaluate(onDemand, [CHEAP, deferred]);
    const fetched = deferred === "bytes" || deferred === "module" ? 1 : 0;
    assert.deepEqual([got.before, got.after], [fetched, 1], String(deferred));
    assert.deepEqual(got.allowed.map((one) => String(one).split(":")[0]), ["true", "true", "invalid_credentials"]);
    assert.match(got.early, /^deferred_not_loaded: .*preload/);
    assert.deepEqual([...got.both, got.late].map((one) => one.split(":")[0]), ["none", "none", "none"]);
    await page.close();
  }
});

test("a deferred part that is missing, or of another build, is told, and all else goes on", async () => {
  for (const [deferred, message] of [["/nowhere.wasm", /HTTP 404.*deferredWasm/], ["/dist/rolekeep_rules_deferred_bg.wasm", /import.*deferredWasm/i]]) {
    const page = await stage.chromium.page(stage.site.url);
    const got = await page.evaluate(onDemand, [CHEAP, deferred]);
    assert.deepEqual(got.allowed.slice(0, 2), [true, true]);
    for (const one of got.both) assert.match(one, /^storage_unavailable: /);
    assert.match(got.both[0], message);
    assert.match(got.late, /^deferred_not_loaded/);
    await page.close();
  }
});

test("rules without accounts load TOML, presets, explanations and row filters on demand", async () => {
  const page = await stage.chromium.page(stage.site.url);
  const got = await page.evaluate(async () => {
    const { compile } = await import("rolekeep/rules");
    const loaded = () => performance.getEntriesByType("resource").filter(({ name }) => name.includes("_deferred_")).length;
    const policyJson = JSON.stringify({ permissions: { "document:edit": "" }, roles: { editor: { allow: ["document:edit"] } } });
    const rules = await compile({ policyJson });
    const ada = rules.principal({ id: "0190a0b0-0000-7000-8000-000000000001", roles: ["editor"] });
    const before = [ada.can("document:edit"), ada.canSomewhere("document:edit"), loaded()];
    let early;
    try {
      ada.explain("document:edit");
    } catch (error) {
      early = [error.constructor.name, error.code, error.reason];
    }
    await rules.preload();
    const late = ada.explain("document:edit").allowed;
    await compile({ preset: "flyos" });
    return { before, early, late, after: loaded() };
  });
  assert.deepEqual(got, { before: [true, true, 0], early: ["UnavailableError", "UNAVAILABLE", "deferred_not_loaded"], late: true, after: 1 });
  await page.close();
});

test("under a strict content security policy, and without a word from eval", async () => {
  const strict = await serve(here, { "content-security-policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'" });
  mkdirSync(join(here, "test/browser/out"), { recursive: true });
  writeFileSync(join(here, "test/browser/out/strict.js"), `import { open } from "/dist/index.js"; open(${JSON.stringify(CHEAP)}).then((um) => (document.title = String(um.system.can("document:edit"))), (error) => (document.title = String(error)));`);
  const page = await stage.chromium.page(`${strict.url}`);
  await page.evaluate(() => document.head.append(Object.assign(document.createElement("script"), { type: "module", src: "/test/browser/out/strict.js" })));
  await page.waitForFunction(() => document.title !== "rolekeep", null, { timeout: 60_000 });
  assert.equal(await page.title(), "true");
  await page.close();
  strict.close();
  rmSync(join(here, "test/browser/out"), { recursive: true });
});

const RULES = text("bindings-wasm/examples/rules.ts").replace('await (await fetch("/docs/examples/documents.toml")).text()', JSON.stringify(text("docs/examples/documents.toml"))).replaceAll("console.log(", "said(");
const APP = `${text("bindings-wasm/examples/taste.ts").replaceAll("console.log(", "said(")}`;

async function built(name, build) {
  // Within the package, so that its name resolves to it as an installed one would.
  mkdirSync(join(here, "node_modules/.cache"), { recursive: true });
  const folder = mkdtempSync(join(here, "node_modules/.cache/app-"));
  try {
    await build(folder);
    const app = await serve(join(folder, "out"));
    const page = await stage.chromium.page(app.url);
    await page.waitForFunction(() => globalThis.answers?.length >= 2, null, { timeout: 60_000 });
    const answers = await page.evaluate(() => globalThis.answers);
    assert.equal(answers[0], "true false", name);
    assert.match(answers[1], /document:(delete|edit) is denied/);
    console.log(`${name}: ${app.requests.join(" ")}`);
    await page.close();
    app.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const MAIN = `const said = (...words) => (globalThis.answers ??= []).push(words.join(" "));\n`;
const wrapped = (imports, body) => `${imports}\n${MAIN}async function main() {\n${body}\n}\nvoid main();\n`;
const [IMPORT, ...REST] = APP.split("\n");

for (const [name, file, [first, ...rest]] of [["", "rolekeep_bg", [IMPORT, ...REST]], [" of rules alone", "rolekeep_rules_bg", RULES.split("\n")]]) {
  test(`an application${name} built by Vite finds the wasm`, async () => {
    const { build } = await import("vite");
    await built("vite", async (folder) => {
      writeFileSync(join(folder, "index.html"), '<!doctype html><script type="module" src="/main.ts"></script>');
      writeFileSync(join(folder, "main.ts"), wrapped(first, rest.join("\n")));
      await build({ root: folder, logLevel: "warn", configFile: false, build: { outDir: "out" } });
      const assets = readdirSync(join(folder, "out/assets")).filter((asset) => asset.endsWith(".wasm"));
      const names = assets.map((asset) => asset.split("-")[0]).sort();
      assert.deepEqual(names, [file, file.replace("_bg", "_deferred_bg")].sort(), "the wasm, and what it loads on demand");
    });
  });
}

test("an application built by esbuild gives the wasm's URL", async () => {
  const { build } = await import("esbuild");
  await built("esbuild", async (folder) => {
    mkdirSync(join(folder, "out"));
    writeFileSync(join(folder, "out/index.html"), '<!doctype html><script type="module" src="/main.js"></script>');
    const files = "wasm: new URL(wasm, import.meta.url), deferredWasm: new URL(deferred, import.meta.url)";
    const body = REST.join("\n").replace("open({", `open({ ${files},`);
    const imports = `${IMPORT}\nimport wasm from "rolekeep/rolekeep.wasm";\nimport deferred from "rolekeep/deferred.wasm";`;
    writeFileSync(join(folder, "main.ts"), wrapped(imports, body));
    const result = await build({ entryPoints: [join(folder, "main.ts")], outfile: join(folder, "out/main.js"), bundle: true, minify: true, format: "esm", target: "es2022", platform: "browser", loader: { ".wasm": "file" }, metafile: true });
    const code = Object.entries(result.metafile.outputs).find(([name]) => name.endsWith("main.js"));
    console.log(`esbuild: ${code[1].bytes} bytes of JavaScript`);
  });
});
