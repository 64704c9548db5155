// Row filters as SQL, in a real SQLite.
import assert from "node:assert/strict";
import { test } from "node:test";

import initSqlJs from "sql.js";
import { open, ValidationError } from "rolekeep";

import { columns, filterLaw, world } from "../shared/filters.mjs";

test("a row passes if and only if the check allows it", async () => {
  const counts = await filterLaw(open, await initSqlJs(), assert.deepEqual);
  for (const [permission, { ada, bob, host, nobody }] of Object.entries(counts)) {
    assert.deepEqual([host, nobody], [300, 0]);
    assert.ok(ada > 0 && ada < 300, `${permission}: ${ada}`);
    assert.ok(permission === "document:read" ? bob > 0 && bob < 300 : bob === 0, `${permission}: ${bob}`);
  }
});

test("both dialects, and values that drivers bind", async () => {
  const { um, ada, callers } = await world(open);
  const me = callers.ada;
  const edit = me.filter("document:edit", { dialect: "postgres", qualifier: "d", columns, firstParameter: 4 });
  assert.deepEqual([edit.rows, edit.sql, edit.parameters, edit.kinds], ["some", '"d"."author" = $4::uuid', [ada.id], ["uuid"]]);
  assert.ok(edit.expires instanceof Date);
  const [blob] = me.filter("document:edit", { dialect: "sqlite", qualifier: "documents", ids: "blob", strict: true, columns }).parameters;
  assert.ok(blob instanceof Uint8Array);
  assert.equal(Buffer.from(blob).toString("hex"), ada.id.replaceAll("-", ""));
  const { parameters, kinds } = me.filter("document:count", { dialect: "postgres", qualifier: "documents", columns });
  assert.deepEqual(parameters[kinds.indexOf("ints")].map(String).sort(), ["5", "9007199254740993"]);
  assert.deepEqual(um.system.filter("document:read", { dialect: "postgres", qualifier: "documents" }).sql, "TRUE");
  await um.close();
});

test("what cannot be said is told, all of it", async () => {
  const { um, callers } = await world(open);
  const thrown = (permission, table) => {
    try {
      callers.ada.filter(permission, table);
    } catch (error) {
      assert.ok(error instanceof ValidationError, String(error));
      return error;
    }
    return assert.fail("nothing was thrown");
  };
  assert.deepEqual(thrown("document:read", { dialect: "sqlite", qualifier: "documents", ids: "uuid", columns }).fields.map(({ field }) => field), ["owner_id"]);
  assert.match(thrown("document:raed", { dialect: "sqlite", qualifier: "documents" }).message, /document:read/);
  assert.equal(thrown("document:read", { dialect: "oracle", qualifier: "documents" }).fields[0].field, "table.dialect");
  assert.match(thrown("document:read", { dialect: "sqlite", qualifier: "documents", first_parameter: 2 }).fields[0].message, /firstParameter/);
  assert.equal(thrown(undefined, { dialect: "sqlite", qualifier: "documents" }).fields[0].field, "permission");
  await um.close();
  assert.equal((() => { try { callers.ada.filter("document:edit", { dialect: "sqlite", qualifier: "documents" }); } catch (error) { return error.reason; } })(), "closed");
});

test("rights that were taken away are seen by the next filter", async () => {
  const { um, ada, callers } = await world(open);
  assert.equal(callers.ada.filter("document:edit", { dialect: "sqlite", qualifier: "documents", columns }).rows, "some");
  await um.system.roles.unassign({ userId: ada.id, role: "author" });
  assert.equal(callers.ada.filter("document:edit", { dialect: "sqlite", qualifier: "documents", columns }).rows, "none");
  await um.close();
});
