import { ValidationError } from "./errors.js";

/**
 * Whether a password is known from a breach. On servers alone.
 *
 * It is asked about each password that somebody chooses or the application sets, once the password fits the rule and
 * before it is hashed; not about those that are generated, and never at a sign-in. A password for which it answers `true`
 * is refused with the code `breached_password`.
 *
 * If it throws, rejects, answers anything but a boolean or takes more than 5 seconds, the password is refused with an
 * `UnavailableError` (`breached_passwords_unavailable`), and nothing is written; an application that would rather take a
 * password than wait returns `false` itself. What it throws is logged with `console.error`.
 *
 * A service of ranges, such as that of Have I Been Pwned, gets the first five digits of a hash and never learns the
 * password:
 *
 * ```ts
 * async function isBreached(password: string): Promise<boolean> {
 *   const digits = createHash("sha1").update(password).digest("hex").toUpperCase();
 *   const known = await fetch(`https://api.pwnedpasswords.com/range/${digits.slice(0, 5)}`);
 *   if (!known.ok) throw new Error(`the list answered ${known.status}`);
 *   return (await known.text()).includes(digits.slice(5));
 * }
 * const um = await open({ breachedPasswords: isBreached });
 * ```
 */
export type BreachedPasswords = (password: string) => boolean | Promise<boolean>;

/** What the wasm asks. @internal */
export function breaches(contain: BreachedPasswords): (password: string) => Promise<boolean> {
  if (typeof contain !== "function") {
    const message = "breachedPasswords is no function";
    throw new ValidationError({ code: "VALIDATION_ERROR", reason: "config_invalid", message, timestamp: new Date(), httpStatus: 400 });
  }
  return async (password) => {
    try {
      const answer: unknown = await contain(password);
      if (typeof answer !== "boolean") throw new TypeError(`breachedPasswords answers true or false, not a ${typeof answer}`);
      return answer;
    } catch (problem) {
      console.error("rolekeep: the list of breached passwords failed, so a password is refused:", problem);
      throw problem;
    }
  };
}
