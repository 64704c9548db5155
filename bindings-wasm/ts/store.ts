import { Caller, contextJson, rethrow, type RequestContext, type Resource } from "./caller.js";
import { toJson } from "./codec.js";
import { text, toError } from "./errors.js";
import type { Explanation, LoginResult, Settings } from "./generated/types.js";
import type { Persister } from "./persister.js";
import { open as openDoor, type StoreDoor } from "./rolekeep.js";
import { load, type Platform, type WasmSource } from "./wasm.js";

/** Where a store is kept, who may do what, and how it behaves. What is not given has a safe default. */
export interface OpenOptions extends Omit<Settings, "sqlite"> {
  /** Where everything is kept: `indexedDB(name)`, `filePersister(path)`, or your own. Without it, in memory. */
  readonly persister?: Persister | undefined;
  /** Where the wasm comes from, if not from beside the package's code; the first store that is opened decides. */
  readonly wasm?: WasmSource | undefined;
}

/** @internal */
export async function openOn(platform: Platform, options: OpenOptions = {}): Promise<UserManagement> {
  const { persister, wasm, ...settings } = options;
  const json = toJson(settings, "Settings");
  await load(platform, wasm);
  const door = await openDoor(json, persister).catch(async (thrown: unknown) => {
    const problem = toError(thrown);
    throw problem.problems.length > 0 && platform.reported ? await platform.reported(problem, json) : problem;
  });
  // A failure will show when the store is asked.
  persister?.watch?.(() => void door.refresh().catch(() => {}));
  return new UserManagement(door);
}

/** An open store: users, roles, sessions, and the rules that decide. Made by `open`. */
export class UserManagement {
  readonly #door: StoreDoor;
  /** The host itself: no rule holds it back, every invariant does. Not for requests of others. */
  readonly system: Caller;

  /** @internal */
  constructor(door: StoreDoor) {
    this.#door = door;
    this.system = new Caller(door.system());
  }

  /** Somebody who has not signed in. */
  anonymous(request?: RequestContext): Caller {
    try {
      return new Caller(this.#door.anonymous(contextJson(request)));
    } catch (thrown) {
      return rethrow(thrown);
    }
  }

  /** The user whom an access token was made for; an `UnauthorizedError` if it is none, or no longer good. */
  async authenticate(accessToken: string, request?: RequestContext): Promise<Caller> {
    return new Caller(await this.#door.authenticate(text(accessToken, "accessToken"), contextJson(request)).catch(rethrow));
  }

  /** A user for whom the host vouches itself, without a session. */
  async actingAs(userId: string): Promise<Caller> {
    return new Caller(await this.#door.actingAs(text(userId, "userId")).catch(rethrow));
  }

  /** Signs in with an e-mail address or username and the password; short for `anonymous().sessions.login(…)`. */
  async login(identifier: string, password: string, request?: RequestContext): Promise<LoginResult> {
    return this.anonymous(request).sessions.login({ identifier, password });
  }

  /** Whether any user may do this, reading its rights where needed. */
  async check(userId: string, permission: string, resource?: Resource): Promise<boolean> {
    return (await this.actingAs(userId)).can(permission, resource);
  }

  /** Why any user may or may not do this. */
  async explain(userId: string, permission: string, resource?: Resource): Promise<Explanation> {
    return (await this.actingAs(userId)).explain(permission, resource);
  }

  /** Hears at once what others wrote to the same storage; without it that takes 200 ms at most. */
  async refresh(): Promise<void> {
    await this.#door.refresh().catch(rethrow);
  }

  /** Finishes running commits, refuses further operations and lets go of the storage. */
  async close(): Promise<void> {
    await this.#door.close().catch(rethrow);
  }
}
