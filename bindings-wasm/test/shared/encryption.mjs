// What a page's persister gets where there is a key (docs/decisions/059), of any persister; what a page is refused is `reasonOf`'s.

export const SECRET = "a key of the application's: 32 bytes and more";
const PASSWORD = "correct horse battery staple";
const SETTINGS = { hashingMemoryKib: 7168, hashingIterations: 5 };
/** What no plain row is without. */
const TOLD = ["ada@example.org", "example", "users/", "claims", "credentials", "$argon2", "commits", "password_hash"];

/** A key of WebCrypto that gives nothing of itself away. */
export const cryptoKey = (secret, usages = ["deriveBits"], name = "HKDF") =>
  crypto.subtle.importKey("raw", new TextEncoder().encode(secret), name, false, usages);

async function reasonOf(promise) {
  return promise.then((um) => um.close?.() ?? "no error", ({ reason, fields }) => [reason, ...(fields ?? []).map(({ field }) => field)].join(" "));
}

const told = (rows) => TOLD.filter((word) => JSON.stringify(rows).includes(word));
const keysIn = (rows) => [...new Set(rows.filter(({ row }) => row).map(({ row }) => String(row.encrypted).split(".").slice(0, 2).join(".")))];
const login = (um) => um.login("ada@example.org", PASSWORD).then((result) => result.done());

/** Opens stores in one place, which `rows()` shows as it is kept. */
export async function encryption(openIn, rows, equal) {
  const open = (encryptionKey, ...retiredEncryptionKeys) => openIn({ ...SETTINGS, encryptionKey, retiredEncryptionKeys });
  const [one, other, third] = [await cryptoKey(SECRET), "another key of the application, as long as that", await cryptoKey("a third one ".repeat(4))];

  // Plain at first.
  const plain = await open();
  await plain.system.users.create({ email: "ada@example.org", password: PASSWORD });
  await plain.system.users.delete({ id: (await plain.system.users.create({ email: "bob@example.org" })).id });
  equal(told(await rows()).length, TOLD.length);

  // Encrypted when it is opened with a key, which keeps out who has none, also one that is open.
  const first = await open(one);
  equal([told(await rows()), keysIn(await rows()).length], [[], 1]);
  equal(await reasonOf(plain.refresh()), "encryption_key_wrong");
  await plain.close();
  await login(first);
  for (const keys of [[], [other], [other, third]]) equal(await reasonOf(open(...keys)), "encryption_key_wrong");
  equal(told(await rows()), []);

  // Two with one key agree, and the text of a key is the key.
  const second = await open(SECRET);
  for (let round = 0; round < 5; round += 1) {
    const race = [first, second].map((um, at) => um.system.users.create({ email: `t${at}r${round}@example.org`, username: `same${round}` }).then(() => "made", ({ reason }) => reason));
    equal((await Promise.all(race)).sort(), ["made", "taken"]);
  }
  const made = await first.system.users.create({ email: "cleo@example.org" });
  equal((await second.system.users.get({ id: made.id })).email, "cleo@example.org");
  await second.system.users.delete({ id: made.id });
  await first.refresh();
  equal((await first.system.users.list()).items.some(({ id }) => id === made.id), false);
  await second.close();

  // Another key: who knows it as a retired one goes on, and hears of what was deleted just before.
  const knowing = await open(one, other);
  const dora = await first.system.users.create({ email: "dora@example.org" });
  await knowing.refresh();
  await first.system.users.delete({ id: dora.id });
  const [before] = keysIn(await rows());
  const later = await open(other, one);
  equal([keysIn(await rows()).length, keysIn(await rows()).includes(before), told(await rows())], [1, false, []]);
  equal(await reasonOf(first.refresh()), "encryption_key_wrong");
  await knowing.refresh();
  equal((await knowing.system.users.list()).total, 6);
  await later.system.users.create({ email: "eve@example.org" });
  await knowing.refresh();
  equal((await knowing.system.users.list()).total, 7);
  for (const um of [first, knowing, later]) await um.close();
  equal(await reasonOf(open(one)), "encryption_key_wrong");
  const last = await open(third, other);
  equal((await last.system.audit.verify()).isWhole, true);
  await login(last);
  await last.close();
  const alone = await open(third);
  equal((await alone.system.users.list()).total, 7);
  await alone.close();
  equal([keysIn(await rows()).length, told(await rows())], [1, []]);
  return third;
}

/** What is no key is refused. */
export async function wrongKeys(openIn, equal) {
  const refused = async (encryptionKey, retiredEncryptionKeys) => reasonOf(openIn({ ...SETTINGS, encryptionKey, retiredEncryptionKeys }));
  equal(await refused("short"), "config_invalid encryptionKey");
  equal(await refused(SECRET, ["short"]), "config_invalid retiredEncryptionKeys[0]");
  equal(await refused(undefined, [SECRET]), "config_invalid retiredEncryptionKeys");
  for (const key of [{}, 7, await cryptoKey(SECRET, ["deriveKey"]), await cryptoKey(SECRET, ["deriveBits"], "PBKDF2")]) {
    equal(await refused(key), "config_invalid encryptionKey");
  }
}

/** Rows that were changed, moved, or put there by somebody else. `rewrite(change)` changes the rows as they are kept. */
export async function changedRows(openIn, key, rewrite, equal) {
  const opens = () => reasonOf(openIn({ ...SETTINGS, encryptionKey: key }));
  const damages = {
    moved: (rows) => rows.map((row) => ({ ...row, row: row.row && rows[0].row })),
    changed: (rows) => rows.map((row, at) => (at > 0 ? row : { ...row, row: { encrypted: row.row.encrypted.replace(/.$/, (last) => (last === "A" ? "Q" : "A")).replace(/\.(.)(.)/, ".$2$1") } })),
    planted: (rows) => [...rows, { ...rows[0], id: "guards/x", table: "guards", row: { name: "x", version: 1 } }],
    ofServers: (rows) => rows.map((row) => ({ ...row, row: { encrypted: "e1.0123456789ab.AAAA" } })),
  };
  for (const [name, damage] of Object.entries(damages)) {
    const restore = await rewrite((rows) => damage(rows));
    equal([name, /^(corrupt|encryption_key_wrong)$/.test(await opens())], [name, true]);
    await restore();
  }
  equal(await opens(), undefined);
}
