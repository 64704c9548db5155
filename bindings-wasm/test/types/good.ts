import { open, importUsers, indexedDB, ConflictError, type Import, type Page, type Persister, type PostgresValue, type RowFilter, type SqliteValue, type User } from "rolekeep";
import { filePersister } from "rolekeep/node";

const persister: Persister = "indexedDB" in globalThis ? indexedDB("app") : filePersister("/tmp/app");
const um = await open({ preset: "flyos", accessTokenSeconds: 300, persister });
const ada: User = await um.system.users.create({ email: "ada@example.org", roles: ["OPERATOR"] });
await um.system.users.suspend({ id: ada.id, until: new Date("2027-01-01"), expectedVersion: ada.version });
const page: Page<User> = await um.system.users.list({ status: "suspended", createdFrom: ada.createdAt });
const when: Date | null | undefined = page.items[0]?.suspendedUntil;
await um.system.users.update({ id: ada.id, fullName: null, email: "ada@example.com" }).catch((error: unknown) => {
  if (error instanceof ConflictError && error.code === "CONFLICT") return error.timestamp?.getTime() ?? when;
  throw error;
});
const bob: User = await um.system.users.create({ identity: { issuer: "staff", subject: "17" } });
const address: string | null = (await um.system.users.update({ id: bob.id, email: null })).user.email;
if (address === null) await um.actingAsIdentity(bob.identities[0] ?? { issuer: "staff", subject: "17" });
const known = await um.login("ada@example.org", "correct horse battery ada", { deviceToken: null, ip: "192.0.2.1" });
await um.anonymous().sessions.login({ identifier: "ada@example.org", password: "…", deviceToken: known.deviceToken, platform: null });
const columns = { owner_id: "author", tags: { column: "meta", keys: ["tags"] } };
const filter: RowFilter<SqliteValue> = um.system.filter("drone:list", { dialect: "sqlite", qualifier: "d", columns, firstParameter: 2 });
const bound: (number | bigint | string | Uint8Array)[] = ["active", ...filter.parameters];
const postgres: PostgresValue[] = um.system.filter("drone:list", { dialect: "postgres", qualifier: "drones", times: "timestamptz" }).parameters;
if (filter.rows !== "none") console.log(filter.sql, bound, postgres, filter.expires.getTime());
const answers: boolean[] = um.system.canMany(["drone:read", ["drone:update", { type: "drone" }]]);
if (answers[0]) console.log(um.system.explain("drone:read").text, um.system.explain("drone:update", { type: "drone" }).text);
const may: boolean = um.checkCached(ada.id, "drone:read", undefined, { atLeast: um.position }) && (await um.check(ada.id, "drone:read", { type: "drone" }));
if (may) console.log((await um.explain(ada.id, "drone:read", { type: "drone" }, { context: {} })).text);
const imported: Import = await importUsers(um.system, new Blob(["email\n"]), { source: "old", format: "csv", resume: undefined, onProgress: ({ items }) => items.length });
if (imported.status === "stopped") console.log(await importUsers(um.system, [new Uint8Array(1)], { source: "old", format: "json_lines", shape: "auth0" }));
