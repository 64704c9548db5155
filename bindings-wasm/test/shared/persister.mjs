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
  await one.close?.();
  await two.close?.();
}
