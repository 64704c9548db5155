import type { Caller } from "./caller.js";
import { ConflictError } from "./errors.js";
import type { ConsumerLease, Event } from "./generated/types.js";

/** So many events are read at a time. */
const BATCH = 1_000;
/** How often it is looked anew where nobody tells of news. */
const BEAT_MILLIS = 30_000;
/** How often a consumer renews its lease at least. */
const RENEW_MILLIS = 10_000;
/** How soon a consumer that another process reads for is claimed again. */
const CLAIM_MILLIS = 2_000;
/** For how long what was handled may be unacknowledged while more is there. */
const ACKNOWLEDGE_AFTER_MILLIS = 5_000;

/**
 * The events behind a position, and then those that happen, without an end: what the caller may hear of. Break off by leaving the loop, or by
 * the `signal` of the caller's request.
 *
 * Throws a `ConflictError` of the reason `position_gone` where the change feed no longer reaches back to the position, and `position_foreign`
 * where it is none of this store: read your data again, and continue from `now`.
 *
 * @param from a position of events, `now` or `earliest`; `now` is when the first event is asked for.
 */
export async function* subscribe(caller: Caller, from = "now"): AsyncGenerator<Event, never, undefined> {
  for (;;) {
    const { events, position, hasMore } = await caller.events.read({ from, limit: BATCH });
    yield* events;
    from = position;
    if (events.length === 0 && !hasMore) await isNews(caller, from, BEAT_MILLIS);
  }
}

/**
 * The events of a consumer, from where it was left on, each at least once, without an end. While another process reads for the consumer, this
 * one waits. For the application itself. Not in web pages.
 *
 * An event counts as handled once the next one is asked for, and is acknowledged soon after; what a process had in hand when it ended is read
 * again by the next. A consumer that is new begins with what happens from now on, unless it was claimed before (`consumers.claim`).
 *
 * Throws a `ConflictError` of the reason `lease_lost` if an event took more than 30 seconds and another process reads on meanwhile: begin again.
 */
export async function* consume(caller: Caller, name: string): AsyncGenerator<Event, never, undefined> {
  const { lease, position } = await claim(caller, name);
  let [handled, acknowledged, at] = [position, position, Date.now()];
  const acknowledge = () => caller.consumers.acknowledge({ name, lease, position: handled }).then(() => ([acknowledged, at] = [handled, Date.now()]));
  try {
    for (let from = position; ; ) {
      const batch = await caller.events.read({ from, limit: BATCH });
      from = batch.position;
      for (const event of batch.events) {
        yield event;
        handled = event.position;
        if (Date.now() - at >= ACKNOWLEDGE_AFTER_MILLIS) await acknowledge();
      }
      handled = from;
      if (batch.events.length === 0 && !batch.hasMore) await isNews(caller, from, RENEW_MILLIS);
      // What is no event alone is no reason: each acknowledgement is a commit, which wakes all other consumers.
      if (batch.events.length > 0 || Date.now() - at >= RENEW_MILLIS) await acknowledge();
    }
  } finally {
    // Whoever breaks off at an event has handled those before it; that is not for the signal to stop, and no failure is what ended this.
    const { consumers } = caller.withRequest({ signal: new AbortController().signal });
    if (handled !== acknowledged) await consumers.acknowledge({ name, lease, position: handled }).catch(() => {});
    // So that nobody waits for its end; where another process has it, that changes nothing.
    await consumers.release({ name, lease }).catch(() => {});
  }
}

const isNews = async (caller: Caller, position: string, millis: number) => (await caller.call("events.wait", JSON.stringify({ position, millis }))) === "true";

async function claim(caller: Caller, name: string) {
  for (;;) {
    const claimed = await caller.consumers.claim({ name }).catch((error: unknown) => error);
    if (!(claimed instanceof Error)) return claimed as ConsumerLease;
    if (!(claimed instanceof ConflictError && claimed.reason === "lease_held")) throw claimed;
    await new Promise((done) => setTimeout(done, CLAIM_MILLIS));
  }
}
