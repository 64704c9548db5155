import { type BreachedPasswords, breaches } from "./breached.js";
import { fetchText } from "./fetch.node.js";
import { mailer, type Notifier } from "./notifier.js";
import { read } from "./read.node.js";
import init, * as functions from "./rolekeep_node.js";
import { openOn, type OpenOptions, type UserManagement } from "./store.js";
import { wasmFile } from "./wasm.node.js";

export * from "./api.js";
export type { BreachedPasswords } from "./breached.js";
export type { Delivery, Notifier } from "./notifier.js";

/** The settings of a store on a server. Everything has a safe default. */
export interface ServerOptions extends OpenOptions {
  /**
   * Sends notices to people. Without one nobody is told of anything, and what is done by mail, such as
   * `passwords.forgot`, is `UNAVAILABLE`.
   */
  readonly notifier?: Notifier | undefined;
  /** Whether a password is known from a breach. Without it common ones are refused, and those built from the account's names. */
  readonly breachedPasswords?: BreachedPasswords | undefined;
}

/** Opens a store: in memory and with the policy `standard`, unless told otherwise. */
export async function open(options: ServerOptions = {}): Promise<UserManagement> {
  const { notifier, breachedPasswords, ...anywhere } = options;
  const send = notifier == null ? undefined : mailer(notifier);
  const contain = breachedPasswords == null ? undefined : breaches(breachedPasswords);
  const open: typeof functions.open = (config, persister) => functions.openInNode(config, persister, fetchText, send, contain);
  return openOn({ wasm: wasmFile(), init, functions: { ...functions, open }, read }, anywhere);
}
