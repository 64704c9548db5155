/// <reference lib="esnext.disposable" preserve="true" />
import { known, type Resource, type ResourceOf, safely } from "./ask.js";
import { Caller, contextJson, learn, numberOf, type RequestContext, unlessAborted } from "./caller.js";
import { addRecords, fromJson, toJson } from "./codec.js";
import { RolekeepError } from "./errors.js";
import { records } from "./generated/codec.js";
import type { Config, Explanation, ExternalIdentity, SignInResult } from "./generated/types.js";
import type { Persister } from "./persister.js";
import { invalid, only, text } from "./raise.js";
import type { StoreFfi } from "./rolekeep.js";
import { type Functions, type Platform, store, type WasmSources } from "./wasm.js";

/** A secret that is kept apart from what it encrypts: a random text of at least 32 bytes, or a `CryptoKey` of a page. */
// A key where its type is there: in the library `dom`, which programs for Node need not have.
export type EncryptionKey = string | (typeof globalThis extends { CryptoKey: { prototype: infer K } } ? K : never);

/** The settings of a store. Everything has a safe default. */
export interface OpenOptions extends Omit<Config, "sqlite" | "exclusive" | "postgres" | "postgresSchema">, WasmSources {
  /** Where data is kept: `indexedDB(name)`, `filePersister(path)`, or your own. In memory if not given. */
  readonly persister?: Persister | undefined;
}

/** The settings of a store in a web page. Everything has a safe default. */
export interface PageOptions extends Omit<OpenOptions, "encryptionKey" | "retiredEncryptionKeys"> {
  /**
   * A key under which all that the persister keeps is encrypted: each row, with its id. It is a text of at least 32 random bytes or, which
   * is better, a `CryptoKey` of `HKDF` with the usage `deriveBits` that cannot be extracted. Every tab has to have it, and whoever loses it
   * loses the store; without it, or with another, opening fails with the reason `encryption_key_wrong`. A store that has rows already is
   * encrypted when it is opened. Needs a secure context (HTTPS or localhost). What a page encrypted only pages read. Default: none.
   *
   * ```ts
   * const encryptionKey = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
   * const um = await open({ persister: indexedDB("app"), encryptionKey });
   * ```
   */
  readonly encryptionKey?: EncryptionKey | null | undefined;
  /** Keys that `encryptionKey` was before. What is still encrypted under them is re-encrypted when the store is opened. */
  readonly retiredEncryptionKeys?: readonly EncryptionKey[] | undefined;
}

/** What a sign-in may be given beside a name and a password. */
export interface LoginOptions extends RequestContext {
  /** The `deviceToken` of an earlier sign-in on this device. */
  readonly deviceToken?: string | null | undefined;
}

/** Options of a check about a user. */
export interface Circumstances {
  /** The values that conditions read as `context.NAME`. */
  readonly context?: RequestContext["context"];
  /** A `position`: everything committed up to it counts. */
  readonly atLeast?: string | undefined;
}

/** One of many checks about users. */
export interface Check<R = Resource> {
  readonly userId: string;
  readonly permission: string;
  readonly resource?: R | undefined;
}

/**
 * What a check is about. A resource that may not have been found does not compile: without one it is another question.
 * Circumstances alone stand behind an `undefined`.
 */
// `void`, as a union that is told apart by `undefined` would take what may be either.
export type About<R = Resource> = [] | [resource: R, circumstances?: Circumstances | undefined] | [resource: void, circumstances: Circumstances];

/** The numbers by which the wasm knows users; when there are too many, they are given anew. */
const users = new Map<string, number>();
const MAX_USERS = 100_000;

/** @internal */
export async function openOn(platform: Platform<Functions>, options: OpenOptions = {}): Promise<StoreFfi> {
  const { persister, wasm, deferredWasm, ...config } = options;
  // Here, so that a page with the rules alone does not load them.
  addRecords(records);
  const json = toJson(config, "Config");
  await store.load(platform, { wasm, deferredWasm });
  // Not that of whoever was first, which in Node has another notifier.
  const native = await store.asking(() => platform.functions.open(json, persister));
  // A failure will show when the store is asked.
  persister?.watch?.(() => void store.asking(() => native.refresh()).catch(() => {}));
  return native;
}

/** The options of a page, with a persister that encrypts where there is a key. The core of a page has no cipher. @internal */
export async function withEncryption(options: PageOptions = {}): Promise<OpenOptions> {
  const { encryptionKey, retiredEncryptionKeys = [], ...others } = options;
  const { persister } = options;
  if (encryptionKey == null && retiredEncryptionKeys.length > 0) {
    throw invalid("retiredEncryptionKeys", "disagrees", "goes with `encryptionKey` alone", "config_invalid");
  }
  // In memory nothing is kept.
  if (encryptionKey == null || persister == null) return others;
  const { encrypted } = await import("./encryption.js");
  return { ...others, persister: await encrypted(persister, [encryptionKey, ...retiredEncryptionKeys]) };
}

/** An open store: users, roles, sessions, and the rules that decide. Made by `open`. */
export class UserManagement {
  readonly #native: StoreFfi;
  /** The application itself. Rules do not restrict it, invariants do. Never use it to serve somebody else's request. */
  readonly system: Caller;

  /** @internal */
  constructor(native: StoreFfi) {
    this.#native = native;
    this.system = new Caller(native.system());
  }

  /** A caller who is not signed in. */
  anonymous(request?: RequestContext): Caller {
    return safely(() => new Caller(this.#native.anonymous(contextJson(request)), request?.signal));
  }

  /**
   * The caller of an access token or an API key: of what the request's header says after `Bearer `. Throws an
   * `UnauthorizedError` if the token is not valid, has expired, or its session has ended.
   */
  async authenticate(accessToken: string, request?: RequestContext): Promise<Caller> {
    const [token, context] = [text(accessToken, "accessToken"), contextJson(request)];
    const native = await unlessAborted(request?.signal, () => store.asking(() => this.#native.authenticate(token, context)));
    return new Caller(native, request?.signal);
  }

  /** A caller for a user that the application vouches for, without a session. */
  async actingAs(userId: string): Promise<Caller> {
    return new Caller(await store.asking(() => this.#native.actingAs(text(userId, "userId"))));
  }

  /**
   * The user who stands for a subject of another issuer, for whom the host vouches: it has verified a token of that
   * issuer, or knows the subject from a table of its own. The library verifies neither.
   *
   * Rejects with a `NotFoundError` where no account stands for it, with an `UnauthorizedError` for a user who is not
   * active, and with a `ValidationError` for what cannot be an `ExternalIdentity`.
   */
  async actingAsIdentity(identity: ExternalIdentity): Promise<Caller> {
    const [issuer, subject] = [text(identity?.issuer, "issuer"), text(identity?.subject, "subject")];
    return new Caller(await store.asking(() => this.#native.actingAsIdentity(issuer, subject)));
  }

  /**
   * Signs in with an e-mail address or username and the password; short for `anonymous(request).sessions.login(…)`. The answer has the
   * tokens, or the `step` that is needed next.
   *
   * Give the `deviceToken` of an earlier sign-in on this device, if there was one: strangers who guess at the account do not use up this
   * device's tries.
   *
   * Rejects with an `UnauthorizedError`, whatever was wrong, and with a `RateLimitedError` after too many that failed.
   */
  async login(identifier: string, password: string, options: LoginOptions = {}): Promise<SignInResult> {
    const { deviceToken, ...request } = options;
    return this.anonymous(request).sessions.login({ identifier, password, deviceToken });
  }

  /**
   * Like `check`, but synchronous: it uses the rights in memory and never waits.
   *
   * Throws an `UnavailableError` with the reason `not_loaded` if the rights are not in memory: `check` reads them.
   */
  checkCached<R extends ResourceOf<R>>(userId: string, permission: string, ...on: About<R>): boolean;
  checkCached(userId: string, permission: string, given?: Resource | void, circumstances?: Circumstances): boolean {
    const resource = given as Resource | undefined;
    const [user, number] = [users.get(userId), numberOf(permission)];
    if (user !== undefined && number !== undefined && circumstances === undefined) {
      const answer = resource === undefined ? this.#native.checkByNumber(user, number) : this.#checkPacked(user, number, resource);
      if (answer < 2) return answer === 1;
    }
    return safely(() => {
      const json = known(resource) !== undefined || circumstances ? toJson({ resource, ...under(circumstances) }, "") : undefined;
      const isAllowed = this.#native.check(text(userId, "userId"), text(permission, "permission"), json);
      learn(permission);
      meet(userId);
      return isAllowed;
    });
  }

  #checkPacked(user: number, number: number, resource: Resource): number {
    const length = store.packer.resource(resource);
    return length === 0 ? 2 : this.#native.checkPacked(user, number, length);
  }

  /**
   * Whether a user may do this, to a resource or to all there could be. A user who is not active may do nothing.
   *
   * Answers from memory, and reads the user's rights first if they are not there. If other processes write to the
   * same storage, rights may be as old as the setting `rightsMaxAgeMillis`; `atLeast` asks for newer ones.
   */
  async check<R extends ResourceOf<R>>(userId: string, permission: string, ...on: About<R>): Promise<boolean> {
    try {
      return this.checkCached(userId, permission, ...on);
    } catch (error) {
      if (!(error instanceof RolekeepError && ["not_loaded", "rights_stale"].includes(error.reason))) throw error;
    }
    const [resource, circumstances] = on as [Resource?, Circumstances?];
    return this.consult("check", about({ userId, permission, resource }, circumstances));
  }

  /** Many checks at one moment, about one user or several. */
  async checkMany<R extends readonly unknown[]>(checks: readonly [...{ [At in keyof R]: Check<R[At] & ResourceOf<R[At]>> }], circumstances?: Circumstances): Promise<boolean[]>;
  async checkMany(checks: readonly Check[], circumstances?: Circumstances): Promise<boolean[]> {
    return this.consult("check_many", { ...under(circumstances), checks: checks.map((check) => about(check)) });
  }

  /** Explains why a user may or may not do this. */
  async explain<R extends ResourceOf<R>>(userId: string, permission: string, ...on: About<R>): Promise<Explanation> {
    const [resource, circumstances] = on as [Resource?, Circumstances?];
    return this.consult("explain_user", about({ userId, permission, resource }, circumstances), "Explanation");
  }

  /** @internal */
  protected async consult<T>(question: string, input: object, answers = ""): Promise<T> {
    const json = toJson(input, "");
    return fromJson((await store.asking(() => this.#native.consult(question, json))) as string, answers) as T;
  }

  /**
   * How far the commits of the storage are known here, as an opaque text: up to the newest ones that this instance has
   * made or read. As `atLeast` it makes another instance count everything up to it.
   */
  get position(): string {
    return this.#native.position();
  }

  /**
   * Reads at once what others wrote to the same storage; otherwise that takes up to 200 ms, and up to five seconds where
   * nobody has asked anything for a minute.
   */
  async refresh(): Promise<void> {
    await store.asking(() => this.#native.refresh());
  }

  /**
   * Loads the part of the package that a page otherwise loads when it is first needed: most operations of
   * administrators, policies in TOML, explanations and row filters. Operations wait for it by themselves; `explain`
   * and `filter` of a caller cannot, and throw an `UnavailableError` with the reason `deferred_not_loaded` until it
   * is loaded. In Node everything is there from the start.
   */
  async preload(): Promise<void> {
    await store.preload();
  }

  /** Finishes running commits, refuses further operations and closes the storage. */
  async close(): Promise<void> {
    await store.asking(() => this.#native.close());
  }

  /** `await using um = await open()` closes the store at the end of the block. */
  declare [Symbol.asyncDispose]: () => Promise<void>;

  static {
    // Not every browser has it.
    if (Symbol.asyncDispose) this.prototype[Symbol.asyncDispose] = this.prototype.close;
  }
}

function about({ userId, permission, resource }: Check, circumstances?: Circumstances): object {
  return { user_id: text(userId, "userId"), permission: text(permission, "permission"), resource: known(resource), ...(circumstances && under(circumstances)) };
}

function under(circumstances: Circumstances = {}): object {
  only(circumstances, ["context", "atLeast"]);
  const { context = {}, atLeast } = circumstances;
  return { context, at_least: atLeast };
}

function meet(userId: string): void {
  if (users.has(userId)) return;
  if (users.size >= MAX_USERS) {
    users.clear();
    store.functions.forgetUsers();
  }
  const number = store.functions.internUser(userId);
  if (number !== undefined) users.set(userId, number);
}
