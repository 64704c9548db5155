import { type BreachedPasswords, breaches } from "./breached.js";
import { addRecords } from "./codec.js";
import { fetchText } from "./fetch.node.js";
import { records as ofServers } from "./generated/servers.js";
import type { Health, Tidied } from "./generated/types.js";
import { placesOf } from "./env.node.js";
import { mailer, type Notifier } from "./notifier.js";
import { read } from "./read.node.js";
import init, * as functions from "./rolekeep_node.js";
import { openOn, type OpenOptions, UserManagement as Store } from "./store.js";
import { begin } from "./telemetry.js";
import { wasmFile } from "./wasm.node.js";

export * from "./api.js";
export type { BreachedPasswords } from "./breached.js";
export type { Delivery, Notifier } from "./notifier.js";
export { type LogLevel, type LogRecord, metrics, onLog } from "./telemetry.js";
/** What a store can do in web pages, too. */
export { UserManagement as UserManagementOfPages } from "./store.js";

/** The settings of a store on a server. Everything has a safe default. */
export interface ServerOptions extends OpenOptions {
  /**
   * Sends notices to people. Without one nobody is notified of anything, and what needs mail, such as
   * `passwords.forgot`, is `UNAVAILABLE`.
   */
  readonly notifier?: Notifier | undefined;
  /** Whether a password is known from a breach. Without it common ones are refused, and those built from the account's names. */
  readonly breachedPasswords?: BreachedPasswords | undefined;
  /**
   * Whether settings that are not given are taken from variables: `ROLEKEEP_SESSION_SECONDS=43200`, a part by two underscores
   * (`ROLEKEEP_ROLES__EDITOR`), lists in JSON. With `_FILE` at its end a variable names a file that has the value. One that is
   * no setting is an error.
   */
  readonly fromEnv?: boolean | undefined;
  /** A file in TOML (where its name ends so) or JSON with settings that neither the call nor a variable gives. */
  readonly configFile?: string | undefined;
}

/** An open store: users, roles, sessions, and the rules that decide. Made by `open`. */
export class UserManagement extends Store {
  /**
   * How well the store works, with everything that it depends on: for a page that says so, and for whoever restarts it.
   *
   * It is answered within two seconds, whatever the storage does, and the storage's answer is kept for a second, however
   * often this is called. Nothing in it is secret or names anybody. Of a store that was closed it says so.
   */
  async health(): Promise<Health> {
    return this.consult("health", {}, "Health");
  }

  /** Whether requests should be sent to this process: `isReady` of its health. */
  async ready(): Promise<boolean> {
    return (await this.health()).isReady;
  }

  /**
   * Lets go of old lines of the change feed, of sessions that ended long ago and the like, purges users who were deleted long ago, and
   * encrypts values that are plain or under a retired key. A store does all of it by itself, every hour (the setting
   * `tidyEverySeconds`) and every thousand commits; call this to end a change of the setting `encryptionKey`, or where processes live for
   * less than two minutes.
   *
   * A call does a part: `while ((await um.tidy()).hasMore);`. The old key may be taken out of `retiredEncryptionKeys` once every instance
   * has the new key as its `encryptionKey` and `hasMore` was false after that.
   *
   * Rejects with an `UnavailableError` if the storage fails, and with the reason `encryption_key_wrong` for what is under a key that is not
   * given; what was done until then stays done.
   */
  async tidy(): Promise<Tidied> {
    return this.consult("tidy", {}, "Tidied");
  }
}

/** Opens a store: in memory and with the policy `standard`, unless told otherwise. */
export async function open(options: ServerOptions = {}): Promise<UserManagement> {
  const { notifier, breachedPasswords, fromEnv, configFile, ...anywhere } = options;
  const places = await placesOf(fromEnv, configFile);
  const send = notifier == null ? undefined : mailer(notifier);
  const contain = breachedPasswords == null ? undefined : breaches(breachedPasswords);
  const open: typeof functions.open = (config, persister) => {
    begin();
    return functions.openInNode(config, places, persister, fetchText, send, contain);
  };
  addRecords(ofServers);
  const native = await openOn({ wasm: wasmFile(), init, functions: { ...functions, open }, read }, anywhere);
  return new UserManagement(native);
}
