// What a page keeps is encrypted between the store and its persister (docs/decisions/059). Loaded by pages that give a key.
import type { Batch, Loaded, Persisted, Persister, RowChange, SealedChange } from "./persister.js";
import { invalid } from "./raise.js";
import type { EncryptionKey } from "./store.js";

/** The table of every change that is encrypted, and the only column of its row. */
const SEALED = "encrypted";
/** The row that says how many batches were not commits of the store, but encrypted its rows anew. */
const RENEWALS = "renewals";
const PREFIX = "e2.";
const NONCE = 12;
const MIN_SECRET = 32;
const ATTEMPTS = 16;

interface Key {
  /** Twelve hexadecimal digits, which tell nothing of it. */
  readonly id: string;
  readonly cipher: CryptoKey;
  /** Makes the ids that rows have where their own are not to be seen. */
  readonly names: CryptoKey;
}

/** A persister that keeps what this one is given by the store, encrypted: the first key encrypts, all decrypt. @internal */
export async function encrypted(persister: Persister, secrets: readonly [EncryptionKey, ...EncryptionKey[]]): Promise<Persister> {
  const named = secrets.map((secret, at) => keyOf(secret, at === 0 ? "encryptionKey" : `retiredEncryptionKeys[${at - 1}]`));
  return new Encrypted(persister, (await Promise.all(named)) as [Key, ...Key[]]);
}

class Encrypted implements Persister {
  readonly isShared: boolean;
  readonly #inner: Persister;
  readonly #keys: readonly [Key, ...Key[]];
  /** So far are the persister's positions ahead of the store's. */
  #renewals = 0;

  constructor(inner: Persister, keys: readonly [Key, ...Key[]]) {
    [this.#inner, this.#keys, this.isShared] = [inner, keys, inner.isShared !== false];
  }

  async load(since: number): Promise<Loaded> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const { position, changes, isWhole = false } = await this.#inner.load(since === 0 ? 0 : since + this.#renewals);
      const isAll = since === 0 || isWhole;
      // A log has what a row was before it was encrypted as well: the last change of an id counts.
      const last = [...new Map(changes.map((change) => [change.id, change])).values()];
      const plain = last.filter(({ table }) => table !== SEALED);
      const sealed = last.filter(({ table, row }) => table === SEALED && row !== null);
      // All rows are encrypted in one batch: afterwards, one that is not was put there by somebody else.
      const isEncrypted = !isAll || sealed.length > 0;
      if (isEncrypted && plain.some(({ row }) => row !== null)) throw failure("corrupt", "the storage is encrypted, and has rows that are not");
      const opened = await Promise.all(sealed.map((change) => this.#opened(change)));
      const renewals = opened.find(({ change }) => change.table === RENEWALS)?.change.row?.[RENEWALS];
      if (isAll || renewals !== undefined) this.#renewals = Number(renewals ?? 0);
      const rows = opened.filter(({ change }) => change.table !== RENEWALS);
      const loaded = { position: position - this.#renewals, changes: [...rows.map(({ change }) => change), ...(isEncrypted ? [] : plain)], ...(isWhole && { isWhole }) };
      if (since !== 0) return loaded;
      const old = [...plain, ...opened.filter(({ isOld }) => isOld)].map(({ id }) => id);
      // What stood for rows that have other ids since; and what was deleted, where nobody else has it.
      const gone = last.filter(({ table, row }) => table === SEALED && row === null).map(({ id }) => id);
      if (!this.isShared) gone.push(...rows.filter(({ change, isOld }) => change.row === null && !isOld).map(({ id }) => id));
      const isDone = old.length === 0 || (await this.#renew(position, old, [...rows.filter(({ isOld }) => isOld).map(({ change }) => change), ...(isEncrypted ? [] : plain)]));
      if (!isDone) continue;
      // An id may hold a name. Nobody misses these: who has not the new key is refused by all that is under it.
      if (this.isShared) gone.push(...old);
      // What is not forgotten now is named again when all is loaded again.
      if (gone.length > 0) await (async () => this.#inner.forget?.(gone))().catch(() => {});
      return loaded;
    }
    throw failure("contention", "other writers kept committing first");
  }

  /** Encrypts rows anew, in one batch that is no commit of the store; false where another writer was first. */
  async #renew(base: number, old: readonly string[], rows: readonly RowChange[]): Promise<boolean> {
    const renewals = this.#renewals + 1;
    const sealed = await Promise.all([...rows, { id: RENEWALS, table: RENEWALS, row: { [RENEWALS]: renewals } }].map((row) => this.#sealed(row)));
    const changes = [...old.map((id) => ({ id, table: SEALED, row: null })), ...sealed];
    if ((await this.#inner.persist({ base, position: base + 1, changes })) !== "done") return false;
    this.#renewals = renewals;
    return true;
  }

  async persist({ base, position, changes }: Batch): Promise<Persisted> {
    const ahead = this.#renewals;
    return this.#inner.persist({ base: base + ahead, position: position + ahead, changes: await Promise.all(changes.map((change) => this.#sealed(change))) });
  }

  async forget(ids: readonly string[]): Promise<void> {
    await this.#inner.forget?.(await Promise.all(ids.map((id) => hidden(this.#keys[0], id))));
  }

  async close(): Promise<void> {
    await this.#inner.close?.();
  }

  watch(changed: () => void): void {
    this.#inner.watch?.(changed);
  }

  /** A change as the persister gets it. */
  async #sealed({ id, table, row }: RowChange): Promise<SealedChange> {
    const key = this.#keys[0];
    const nonce = crypto.getRandomValues(new Uint8Array(NONCE));
    const name = await hidden(key, id);
    const algorithm = { name: "AES-GCM", iv: nonce, additionalData: utf8(name) };
    const ciphertext = new Uint8Array(await crypto.subtle.encrypt(algorithm, key.cipher, utf8(JSON.stringify({ id, table, row }))));
    return { id: name, table: SEALED, row: { [SEALED]: `${PREFIX}${key.id}.${base64url([...nonce, ...ciphertext])}` }, ...(row === null && { isDeleted: true }) };
  }

  /** A change as it was before. That its id stands for its own id follows, as both are authenticated together. */
  async #opened({ id, row }: RowChange): Promise<{ readonly id: string; readonly change: RowChange; readonly isOld: boolean }> {
    const [prefix, keyId, text] = String(row?.[SEALED]).split(".");
    if (`${prefix}.` !== PREFIX || text === undefined) throw failure("corrupt", "an encrypted row is not as pages write it");
    const key = this.#keys.find((key) => key.id === keyId);
    if (key === undefined) throw failure("encryption_key_wrong", "the store is encrypted, and under another key than those given");
    try {
      const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
      const algorithm = { name: "AES-GCM", iv: bytes.subarray(0, NONCE), additionalData: utf8(id) };
      const opened = await crypto.subtle.decrypt(algorithm, key.cipher, bytes.subarray(NONCE));
      return { id, change: JSON.parse(new TextDecoder().decode(opened)), isOld: key !== this.#keys[0] };
    } catch {
      throw failure("corrupt", "an encrypted row was changed, or stands elsewhere than where it was written");
    }
  }
}

async function keyOf(secret: EncryptionKey, field: string): Promise<Key> {
  const subtle = globalThis.crypto?.subtle;
  if (subtle === undefined) throw invalid(field, "disagrees", "needs WebCrypto, which pages have by HTTPS and on localhost alone", "config_invalid");
  const given = typeof secret === "string" ? utf8(secret) : secret;
  if (given instanceof Uint8Array && given.length < MIN_SECRET) throw invalid(field, "too_short", `must have at least ${MIN_SECRET} bytes`, "config_invalid");
  const source = given instanceof Uint8Array ? await subtle.importKey("raw", given, "HKDF", false, ["deriveBits"]) : given;
  if (source?.algorithm?.name !== "HKDF" || !source.usages.includes("deriveBits")) {
    throw invalid(field, "invalid_type", "expected a string, or a CryptoKey of HKDF with the usage deriveBits", "config_invalid");
  }
  const derived = async (purpose: string, bits: number) => {
    const algorithm = { name: "HKDF", hash: "SHA-256", salt: utf8("rolekeep"), info: utf8(`rolekeep page encryption ${purpose}`) };
    return new Uint8Array(await subtle.deriveBits(algorithm, source, bits));
  };
  const [id, cipher, names] = await Promise.all([derived("id", 48), derived("key", 256), derived("names", 256)]);
  const key = {
    id: Array.from(id, (byte) => byte.toString(16).padStart(2, "0")).join(""),
    cipher: await subtle.importKey("raw", cipher, "AES-GCM", false, ["encrypt", "decrypt"]),
    names: await subtle.importKey("raw", names, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]),
  };
  for (const bytes of [cipher, names]) bytes.fill(0);
  return key;
}

async function hidden(key: Key, id: string): Promise<string> {
  return base64url([...new Uint8Array(await crypto.subtle.sign("HMAC", key.names, utf8(id)))]);
}

function base64url(bytes: readonly number[]): string {
  const letters = bytes.map((byte) => String.fromCharCode(byte)).join("");
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** As a persister says it: what it throws reaches the caller as an error of this reason. */
function failure(reason: "corrupt" | "encryption_key_wrong" | "contention", message: string): Error {
  return Object.assign(new Error(message), { reason });
}
