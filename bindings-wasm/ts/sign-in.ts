import { UnauthorizedError } from "./errors.js";
import type { SignInResult, Tokens } from "./generated/types.js";

/** Gives the answer to a step of a sign-in its method; not enumerable, so that it stays plain data. */
export function withDone(answer: object): object {
  const done = function (this: SignInResult): Tokens {
    if (this.tokens !== null) return this.tokens;
    const message = "the sign-in needs another step: see `step`";
    throw new UnauthorizedError({ code: "UNAUTHORIZED", reason: "step_needed", message, httpStatus: 401 });
  };
  return Object.defineProperty(answer, "done", { value: done });
}
