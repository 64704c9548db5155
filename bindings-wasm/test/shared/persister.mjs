// What every persister must keep (core/src/storage/persister/mod.rs).

const change = (id, row = { id }) => ({ id: `users/${id}`, table: "users", row });

/** `make()` gives a persister of one and the same place each time. */
export async function contract(make, equal) {
  const [one, two] = [make(), make()];
  equal(await one.load(0), { position: 0, changes: [] });
  equal(await one.persist({ base: 0, position: 1, changes: [change("a"), change("b")] }), "done");
  equal(await two.persist({ base: 0, position: 1, changes: [change("lost")] }), "stale");
  const sorted = ({ position, changes }) => ({ position, changes: [...changes].sort((x, y) => (x.id < y.id ? -1 : 1)) });
  equal(sorted(await two.load(0)), { position: 1, changes: [change("a"), change("b")] });
  equal(await two.persist({ base: 1, position: 2, changes: [change("a", null), change("c", { text: "/ü\u0000\ud83d\ude80", n: 1.5 })] }), "done");
  equal(sorted(await one.load(1)), { position: 2, changes: [change("a", null), change("c", { text: "/ü\u0000\ud83d\ude80", n: 1.5 })] });
  equal(await one.load(2), { position: 2, changes: [] });

  // Of two that are first only one is.
  const race = [one, two].map((persister, at) => persister.persist({ base: 2, position: 3, changes: [change(`racer${at}`)] }));
  equal((await Promise.all(race)).sort(), ["done", "stale"]);
  equal((await one.load(2)).changes.length, 1);

  // Many commits, whatever a persister does to keep them short; a reader who is behind misses nothing.
  const rows = new Map();
  let base = 3;
  for (; base < 700; base += 1) {
    const id = `k${base % 40}`;
    rows.set(id, base);
    equal(await one.persist({ base, position: base + 1, changes: [change(id, { base })] }), "done");
  }
  for (const since of [3, 100, 690, base]) {
    const loaded = await two.load(since);
    equal(loaded.position, base);
    const newest = new Map(loaded.changes.map(({ id, row }) => [id.slice(6), row.base]));
    equal(Object.fromEntries(newest), Object.fromEntries([...rows].filter(([, at]) => at >= since)));
  }
  // A writer who was away while its history was drawn together is not let in.
  for (const stale of [0, 2, 50, 500]) equal(await two.persist({ base: stale, position: stale + 1, changes: [change("lost")] }), "stale");
  const all = await make().load(0);
  equal([all.position, all.changes.some(({ id }) => id === "users/lost")], [base, false]);

  if (one.forget) {
    // What is forgotten is gone some time later, and so is what was deleted long ago; who comes from before is told all.
    equal(await one.persist({ base, position: base + 1, changes: [change("k0", null)] }), "done");
    const deleted = base;
    for (base += 1; base < 2_100; base += 1) {
      if (base === 1_800) await one.forget(["users/b", "users/c"]);
      // What is stored again is needed again.
      const again = base === 1_801 ? [change("c")] : [];
      equal(await one.persist({ base, position: base + 1, changes: [change("k1", { base }), ...again] }), "done");
    }
    for (const since of [0, deleted]) {
      const { position, isWhole, changes } = await two.load(since);
      const newest = [...new Map(changes.map((change) => [change.id, change.row])).keys()];
      const are = ["b", "c", "k0", "k2"].map((id) => newest.includes(`users/${id}`));
      equal([position, isWhole, ...are], [base, true, false, true, false, true]);
    }
    equal(await two.load(base - 1), { position: base, changes: [change("k1", { base: base - 1 })] });
  }
  await one.close?.();
  await two.close?.();
}

const DAY_MICROS = 24 * 3600 * 1_000_000;

/** Rows as after eight days, with their commits the last ones before the 998th; and these commits' ids without the newest, whose line stays. */
export function eightDaysLater(rows, position) {
  const old = [];
  const later = rows.map((kept) => {
    if (kept.table !== "commits") return kept;
    const moved = kept.row.position + 998 - position;
    old.push(`commits/${moved}`);
    return { ...kept, id: `commits/${moved}`, position: moved, row: { ...kept.row, position: moved, at: kept.row.at - 8 * DAY_MICROS } };
  });
  return { rows: later, position: 998, old: old.filter((id) => id !== "commits/998") };
}

/** How many commits a store with one lane has seen: its position holds a format, the lane, their number (LEB128) and a tag. */
function commits({ position }) {
  const number = [...atob(position.replaceAll("-", "+").replaceAll("_", "/"))].slice(2, -4);
  return number.reduce((sum, byte, at) => sum + ((byte.charCodeAt(0) & 0x7f) << (7 * at)), 0);
}

/** What is pruned is gone from the host's store, and that is whole when it is opened again. */
export async function retention(open, make, rewrite, ids, equal) {
  const settings = { hashingMemoryKib: 7168, hashingIterations: 5 };
  const first = await open({ ...settings, persister: make() });
  await first.system.users.create({ email: "ada@example.org" });
  await first.system.users.delete({ id: (await first.system.users.create({ email: "bob@example.org" })).id });
  await first.close();
  const old = await rewrite(eightDaysLater);
  equal((await ids()).filter((id) => old.includes(id)).length, old.length);
  const second = await open({ ...settings, persister: make() });
  for (const name of ["cleo", "dora"]) await second.system.users.create({ email: `${name}@example.org` });
  // After each thousandth commit, in the background.
  for (let left = 500; left > 0 && (await ids()).some((id) => old.includes(id)); left -= 1) await new Promise((done) => setTimeout(done, 20));
  equal((await ids()).filter((id) => old.includes(id)), []);
  await second.close();
  const third = await open({ ...settings, persister: make() });
  equal((await third.system.users.list()).items.map(({ email }) => email.split("@")[0]).sort(), ["ada", "cleo", "dora"]);
  equal([commits(third), (await third.system.audit.verify()).isWhole], [1_000, true]);
  await third.system.users.create({ email: "eve@example.org" });
  await third.close();
}
