// Normal forms of Unicode, as they show in names, searches, addresses and passwords.

const CHEAP = { hashingMemoryKib: 7168, hashingIterations: 5 };
/** So many characters in one name. */
const CHUNK = 60;

/** Every character that some normal form changes, of those that this Node and this browser both know. */
function changing() {
  const all = [];
  for (let code = 0x80; code < 0x30000; code += 1) {
    if (code >= 0xac80 && code < 0xd800) continue; // Syllables of Hangul, which are computed: the first few will do.
    if (code >= 0xd800 && code < 0xe000) continue;
    const letter = String.fromCodePoint(code);
    // Characters that are older than either.
    if (/\p{Cn}/u.test(letter) || code > 0x1f700 || (code >= 0x10570 && code < 0x1d000)) continue;
    if (letter !== letter.normalize("NFD") || letter !== letter.normalize("NFKD")) all.push(letter);
  }
  return all;
}

/** Plays with them; answers all that is seen. */
export async function forms(open) {
  const um = await open(CHEAP);
  const letters = changing();
  const names = [];
  const { id } = await um.system.users.create({ email: "letters@example.org" });
  for (let at = 0; at < letters.length; at += CHUNK) {
    const name = letters.slice(at, at + CHUNK).join("a");
    const { fullName } = await um.system.users.update({ id, fullName: name }).then(({ user }) => user, (error) => ({ fullName: error.fields?.[0]?.code ?? String(error) }));
    const found = await um.system.users.list({ search: name.normalize("NFKC").slice(0, 20) }).then(({ total }) => total, (error) => error.reason);
    names.push([fullName, found]);
  }
  // In which order names stand that begin with some of them: no two are alike.
  for (let at = 0; at < letters.length; at += 29) {
    await um.system.users.create({ email: `at${at}@example.org`, lastName: `${letters[at]}x${at}` }).catch(() => undefined);
  }
  const order = [];
  for (let page = { nextCursor: undefined }; page.nextCursor !== null; ) {
    page = await um.system.users.list({ sort: "last_name", limit: 100, cursor: page.nextCursor });
    order.push(...page.items.map((user) => user.lastName));
  }
  const made = (email) => um.system.users.create({ email }).then((user) => user.email, (error) => error.reason);
  const addresses = [];
  for (const email of ["fi@example.org", "\ufb01@example.org", "e\u0301@example.org", "\u00e9@example.org", "\u03c3@example.org", "\u03c2@example.org"]) addresses.push(await made(email));
  const password = "correct horse caf\u00e9";
  const ann = await um.system.users.create({ email: "ann@example.org", password });
  const login = await um.login("ann@example.org", password.normalize("NFD")).then((login) => login.done().user.id === ann.id, (error) => error.reason);
  await um.close();
  return { letters: letters.length, names, order, addresses, login };
}
