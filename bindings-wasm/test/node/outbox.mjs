// A notifier of the tests, which keeps what it is given.
import { setTimeout as sleep } from "node:timers/promises";

export class Outbox {
  given = [];

  /** Answers these, by and by, and at last that all is sent; throws what is an error. */
  constructor(...answers) {
    this.answers = answers;
  }

  send(notice) {
    this.given.push(notice);
    const answer = this.answers.shift();
    if (answer instanceof Error) throw answer;
    return answer;
  }

  /** What was given, once it is so much. */
  async wait(count = 1) {
    await until(() => this.given.length >= count, () => `${this.given.length} of ${count} notices came`);
    return this.given;
  }

  /** The next one of this kind to this address, once. */
  async take(kind, address) {
    const at = () => this.given.findIndex((notice) => notice.kind === kind && notice.address === address);
    await until(() => at() >= 0, () => `no ${kind} to ${address} came`);
    return this.given.splice(at(), 1)[0];
  }
}

/** Waits a minute at most. */
export async function until(isSo, why) {
  for (const end = Date.now() + 60_000; !(await isSo()); await sleep(10)) if (Date.now() > end) throw new Error(why());
}
