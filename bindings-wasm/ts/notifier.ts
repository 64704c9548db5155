import { fromJson } from "./codec.js";
import { ValidationError } from "./errors.js";
import type { Notice } from "./generated/types.js";

/**
 * What became of a notice. Nothing or `sent`: it is durably on its way. `refused`: it never will be, for example because
 * there is no such address; the audit log says so, and the notice is gone. `retryAfter`: not now; it is to be given again
 * after so many seconds, 1 at least and 3,600 at most. Anything else counts as `sent`, and is logged with `console.error`.
 */
export type Delivery = void | undefined | "sent" | "refused" | { readonly retryAfter: number };

/**
 * Sends notices to people, by mail as a rule: the library has no mail client of its own. On servers alone.
 *
 * A notice is stored together with what it tells of, and is given to the notifier of one process after that, so
 * the caller never sees a mail failure. If `send` throws, rejects or takes more than 30 seconds, or its process ends, the
 * notice is given again, with the same id and token, after ten seconds at first and an hour at last, until its token
 * expires, at most for a day. What it throws is logged with `console.error`. Up to four are asked at a time. Notices that
 * wait do not keep a process alive.
 *
 * ```ts
 * const mail: Notifier = {
 *   async send({ address, subject, text }) {
 *     await transport.sendMail({ from: "accounts@example.org", to: address, subject, text });
 *   },
 * };
 * const um = await open({ linkUrl: "https://app.example.org/account", notifier: mail });
 * ```
 */
export interface Notifier {
  /** Sends a notice, and says what became of it. */
  send(notice: Notice): Delivery | Promise<Delivery>;
}

/** What the wasm asks: JSON in, JSON out. @internal */
export function mailer(notifier: Notifier): (notice: string) => Promise<string> {
  if (typeof notifier?.send !== "function") {
    const message = "the notifier lacks the method send";
    throw new ValidationError({ code: "VALIDATION_ERROR", reason: "config_invalid", message, timestamp: new Date(), httpStatus: 400 });
  }
  return async (json) => {
    const notice = fromJson(json, "Notice") as Notice;
    try {
      return plain(await notifier.send(notice));
    } catch (problem) {
      console.error(`rolekeep: the notifier failed with the notice ${notice.id}, which is given again later:`, problem);
      throw problem;
    }
  };
}

function plain(delivery: Delivery): string {
  if (delivery === undefined || delivery === "sent" || delivery === "refused") return JSON.stringify(delivery ?? "sent");
  const { retryAfter } = Object(delivery);
  if (Number.isFinite(retryAfter) && retryAfter >= 0) return JSON.stringify(retryAfter);
  const told = 'a notifier answers nothing, "sent", "refused" or { retryAfter: seconds }';
  if (retryAfter !== undefined) throw new TypeError(told);
  // By then the mail is out, as a rule; `return transport.sendMail(…)` must not send it again and again.
  console.error(`rolekeep: ${told}; anything else counts as "sent"`);
  return JSON.stringify("sent");
}
