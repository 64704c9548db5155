// Row filters in a host's own SQLite: the rows that pass are those that a check allows.

const POLICY = `
[types.document]
attributes = { id = "id", owner_id = "id?", region_id = "id?", level = "int", title = "string", due = "time?", tags = "set<string>?", is_open = "bool" }
[permissions]
"document:read" = ""
"document:edit" = ""
"document:sign" = ""
"document:count" = ""
[roles.author]
allow = [
  { permission = "document:read", when = "resource.owner_id == principal.id or resource.level < 3" },
  { permission = "document:read", when = "'shared' in resource.tags" },
  { permission = "document:edit", when = "resource.owner_id == principal.id" },
  { permission = "document:sign", when = "resource.is_open == true and has resource.due and not (resource.due < now) and resource.title != \\"a'b\\"" },
  { permission = "document:count", when = "resource.level in [9007199254740993, 5] or resource.title starts_with 'ä'" },
]
[roles.clerk]
allow = ["document:read"]
[roles.admin]
allow = ["admin:all"]
`;
const CHEAP = { hashingMemoryKib: 7168, hashingIterations: 5 };
const TABLE = "CREATE TABLE documents (id TEXT, author TEXT, region_id TEXT, level INT, title TEXT, due INT, meta TEXT, is_open INT)";
const ROWS = 300;

/** Each time the same numbers below `end`. */
function dice(seed) {
  return (end) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * end);
  };
}

/** The table's mapping, but for the dialect. */
export const columns = { owner_id: "author", tags: { column: "meta", keys: ["tags"] } };

/** A store and those who ask. */
export async function world(open) {
  const um = await open({ ...CHEAP, policyToml: POLICY });
  await um.preload();
  const ada = await um.system.users.create({ email: "ada@example.org", roles: ["author"] });
  const east = await um.system.regions.create({ code: "east", name: "East" });
  const bob = await um.system.users.create({ email: "bob@example.org" });
  await um.system.roles.assign({ userId: bob.id, role: "clerk", scope: `region:${east.id}` });
  return { um, ada, bob, east, callers: { ada: await um.actingAs(ada.id), bob: await um.actingAs(bob.id), host: um.system, nobody: um.anonymous() } };
}

/** `SQL` is sql.js. Answers how many rows passed, by permission and caller. */
export async function filterLaw(open, SQL, equal) {
  const { um, ada, bob, east, callers } = await world(open);
  const database = new SQL.Database();
  database.run(TABLE);
  const roll = dice(7);
  const pick = (...all) => all[roll(all.length)];
  const documents = Array.from({ length: ROWS }, (_, at) => ({
    type: "document",
    id: `00000000-0000-7000-8000-${String(at).padStart(12, "0")}`,
    owner_id: pick(ada.id, bob.id, null),
    region_id: pick(east.id, "00000000-0000-7000-8000-0000000000ff", null),
    level: roll(6),
    title: pick("a'b", "ä", "äöü", "", "🚀"),
    due: pick(new Date(Date.now() - 1e8), new Date(Date.now() + 1e8), null),
    tags: pick(null, ["shared"], ["x", "shared"], ["x"], []),
    is_open: pick(true, false),
  }));
  for (const one of documents) {
    const values = [one.id, one.owner_id, one.region_id, one.level, one.title, one.due && one.due.getTime() * 1000, JSON.stringify(one.tags ? { tags: one.tags } : {}), Number(one.is_open)];
    database.run("INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values);
  }
  const counts = {};
  for (const permission of ["read", "edit", "sign", "count"].map((action) => `document:${action}`)) {
    counts[permission] = {};
    for (const [name, me] of Object.entries(callers)) {
      const { rows, sql, parameters, kinds, expires } = me.filter(permission, { dialect: "sqlite", qualifier: "documents", columns });
      equal(kinds.length, parameters.length);
      equal(expires > new Date(), true);
      // As the driver of sql.js binds them; it knows no numbers of 64 bits.
      const bound = parameters.map((value) => (typeof value === "bigint" ? Number(value) : value));
      const found = database.exec(`SELECT id FROM documents WHERE ${sql} ORDER BY id`, bound)[0]?.values.flat() ?? [];
      const allowed = documents.filter((document) => me.can(permission, document)).map(({ id }) => id);
      equal(found, allowed);
      equal(rows, { 0: "none", [ROWS]: "all" }[found.length] ?? "some");
      counts[permission][name] = found.length;
    }
  }
  database.close();
  await um.close();
  return counts;
}
