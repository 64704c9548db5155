/** Plain resources are packed, everything else goes as JSON: both must answer the same, errors included. */

const ID = "0190a0b0-0000-7000-8000-00000000000a";
const PERMISSIONS = ["document:read", "document:edit", "document:delete", "document:share", "note:read", "document:edit{title}"];

/** What JSON is made of by the way through `toJSON`. */
class AsJson {
  constructor(given) {
    this.given = given;
  }
  toJSON() {
    return this.given;
  }
}

const throwing = { type: "document", get owner() { throw new Error("no owner"); } };

const GOOD = {
  owner: ["ada", "bob", "Zoë", "😀", "日本", "", "nul\0", new Date(7)],
  tenant: ["acme", "other", null],
  region: [ID, ID.toUpperCase(), null],
  size: [0, 1, -1, -0, 999, 1000, 2 ** 31, -(2 ** 31) - 1, 2 ** 53 - 1, -(2 ** 53) + 1, 7.0],
  is_open: [true, false],
  due_at: [new Date("2999-01-31T12:30:00.005Z"), "2999-01-01T00:00:00Z", "2000-01-01T00:00:00.5+01:00", null],
  lasts: ["1h", 5, null],
  address: ["10.1.2.3", "192.0.2.1", "::1", null],
  labels: [[], ["public"], ["public", "ö"], ["x"]],
  readers: [[ID], [], null],
  codes: [[7], [1, 2, 7], [3], [], null],
  title: ["On engines", null, undefined],
};
const ODD = [
  null, undefined, true, 0, 1, 1.5, 2 ** 53, 2 ** 53 + 2, 1e300, Number.NaN, Number.POSITIVE_INFINITY, "", "x", "\ud800", "a\udc00b", "ö\ud800", "x".repeat(200_000),
  "ö".repeat(5_000), ID, new Date(Number.NaN), new Map([["a", 1]]), new Set(["public"]), 10n, Symbol("x"), () => 1, [], [null], [[1]], [{}], {}, { a: 1 }, ["x", 1.5], [1, true],
  // eslint-disable-next-line no-sparse-arrays
  [undefined], [, 1], Array.from({ length: 3_000 }, (_, at) => at),  new AsJson("public"), new AsJson(["public"]), new String("public"), ["\ud800"], [new Date(7)], /x/,
  new (class extends Array {})("public", "x"), Object.create({ a: 1 }), new Uint8Array(2),
];
const STRANGE_KEYS = ["ownr", "Owner", "", "\ud800", "nul\0", "type ", "__proto__", "constructor", "ö"];
const STRANGE_RESOURCES = [
  null, 5, "document", new (class { type = "note"; toJSON() { return { type: "user" }; } })(), [], ["type", "document"], {}, { type: "document" }, { type: 5 }, { type: null }, new Date(7), new Map([["type", "document"]]), throwing, () => 1,
  Object.create({ type: "note" }), new (class { type = "note"; })(), new (class { get type() { return "note"; } })(), Object.assign([], { type: "note" }),
  new Proxy({ type: "note", size: 1 }, {}), Object.freeze({ type: "note" }), { type: "note", toJSON: 5 }, { type: "note", toJSON: () => ({ type: "user" }) },
  Object.defineProperty({ size: 1 }, "type", { value: "note", enumerable: false }), Object.assign(Object.create(null), { type: "note" }), { [Symbol("type")]: 1, type: "note" },
];

/** Numbers that look random, and are the same each time. */
function random(seed) {
  let state = seed;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  return { next, below: (count) => Math.floor(next() * count), of: (list) => list[Math.floor(next() * list.length)] };
}

function resource(made) {
  if (made.next() < 0.05) return made.of(STRANGE_RESOURCES);
  const given = [["type", "document"], ...Object.entries(GOOD).map(([name, values]) => [name, made.of(values)])];
  for (let at = given.length - 1; at > 0; at--) {
    const other = made.below(at + 1);
    [given[at], given[other]] = [given[other], given[at]];
  }
  const one = Object.fromEntries(given);
  for (let count = made.next() < 0.5 ? made.of([1, 1, 2]) : 0; count > 0; count--) {
    const strange = made.below(5);
    if (strange === 0) one[made.of(Object.keys(GOOD))] = made.of(ODD);
    else if (strange === 1) delete one[made.of([...Object.keys(GOOD), "type"])];
    else if (strange === 2) Object.defineProperty(one, made.of(STRANGE_KEYS), { value: made.of([...ODD, "x"]), enumerable: true, configurable: true });
    else if (strange === 3) one.type = made.of(["note", "user", "documnt", "\ud800", ...ODD]);
    else for (let at = made.of([3, 60, 2_000]); at > 0; at--) one[`extra${at}`] = at;
  }
  return one;
}

function outcome(ask) {
  try {
    return ask();
  } catch (error) {
    // What the cause was is told by the message.
    return [error.name, error.reason, error.message, JSON.stringify(error.fields)];
  }
}

/** A resource that goes as JSON: what an enumerable `toJSON` answers is written. */
function slow(given) {
  return given === null || typeof given !== "object" || "toJSON" in given ? given : new AsJson(given);
}

/** Asks `rounds` random questions, alone and together; `equal(given, wanted, about)` throws. What was answered, by kind. */
export function same(askers, rounds, equal) {
  const made = random(11);
  const seen = {};
  for (const asker of askers) for (const permission of PERMISSIONS) outcome(() => asker.can(permission));
  for (let round = 0; round < rounds; round++) {
    const [asker, permission, given] = [made.of(askers), made.of(PERMISSIONS), resource(made)];
    const packed = outcome(() => asker.can(permission, given));
    equal(packed, outcome(() => asker.can(permission, slow(given))), permission);
    const kind = typeof packed === "boolean" ? packed : packed[1];
    seen[kind] = (seen[kind] ?? 0) + 1;
    if (round % 8 > 0) continue;
    const known = [given, ...Array.from({ length: made.below(3) }, () => resource(made))];
    // Mostly such as have an answer: one that has none ends all.
    const good = made.next() < 0.8 ? known.filter((one) => typeof outcome(() => asker.can("document:read", one)) === "boolean") : known;
    const checks = Array.from({ length: made.below(12) }, () => {
      const one = made.of([...good, undefined]);
      const name = made.of(PERMISSIONS.slice(0, 4));
      return one === undefined ? name : [name, one];
    });
    if (made.next() < 0.1) checks.push(made.of(["document:raed", ["note:read", given], 5, null, ["document:read", null], ["document:read", undefined], ["document:read"], ["note:read", given, 1], []]));
    const together = outcome(() => asker.canMany(checks));
    const asJson = (check) => (Array.isArray(check) && check[1] ? [check[0], slow(check[1])] : check);
    // What has no number goes as JSON: all of them, together with the one in brackets.
    equal(together, outcome(() => asker.canMany(checks.map(asJson))), checks.length);
    if (typeof together[0] === "boolean") {
      equal(together, checks.map((check) => (typeof check === "string" ? asker.can(check) : asker.can(...check))), checks.length);
      seen.many = (seen.many ?? 0) + 1;
    }
  }
  return seen;
}

/**
 * What a getter asks meanwhile does not disturb; `equal(given, wanted)` throws. The asker may edit the document `mine`, which
 * has no title, and not `other`.
 */
export function nested(asker, mine, other, equal) {
  const asking = {
    ...other,
    get title() {
      equal(asker.can("document:edit", mine), true);
      return "x";
    },
  };
  equal([asker.can("document:edit", mine), asker.can("document:edit", other)], [true, false]);
  equal(asker.can("document:edit", asking), false);
  const own = { type: "note", text: "x".repeat(50) };
  asker.can("note:read", own);
  const outer = {
    type: "note",
    get text() {
      equal(asker.can("note:read", own), true);
      equal(asker.canMany(["note:read", ["note:read", own]]), [true, true]);
      // So much JSON that the memory grows.
      outcome(() => asker.can("note:read", { type: "note", text: "x".repeat(900_000) }));
      return "outer";
    },
    last: "x",
  };
  equal(asker.can("note:read", outer), true);
  equal(asker.canMany([["note:read", outer], ["note:read", own]]), [true, true]);
}
