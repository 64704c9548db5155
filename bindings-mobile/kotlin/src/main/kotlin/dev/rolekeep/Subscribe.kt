package dev.rolekeep

import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.withContext

/** So many events are read at a time. */
private const val BATCH = 1_000L

/** How often it is looked anew where nobody tells of news. */
private const val BEAT_MILLIS = 30_000

/** How often a consumer renews its lease at least. */
private const val RENEW_MILLIS = 10_000

/** How soon a consumer that another process reads for is claimed again. */
private const val CLAIM_MILLIS = 2_000L

/** For how long what was handled may be unacknowledged while more is there. */
private const val ACKNOWLEDGE_AFTER_NANOS = 5_000_000_000L

/**
 * The events behind a position, and then those that happen, without an end: what the caller may hear of. Cancel the collection to break off.
 *
 * Throws [RolekeepException.Conflict] of the reason `POSITION_GONE` where the change feed no longer reaches back to the position, and
 * `POSITION_FOREIGN` where it is none of this store: read your data again, and continue from `now`.
 *
 * @param from a position of events, `now` or `earliest`; `now` is when the collection begins.
 */
fun Caller.subscribe(from: String = "now"): Flow<Event> = flow {
    var position = from
    while (true) {
        val batch = events.read(ReadEvents(from = position, limit = BATCH))
        batch.events.forEach { emit(it) }
        position = batch.position
        if (batch.events.isEmpty() && !batch.hasMore) isNews(position, BEAT_MILLIS)
    }
}

/**
 * The events of a consumer, from where it was left on, each at least once, without an end. While another process reads for the consumer, this
 * one waits. For the application itself.
 *
 * An event counts as handled once the collector has returned, and is acknowledged soon after; what a process had in hand when it ended is read
 * again by the next. A consumer that is new begins with what happens from now on, unless it was claimed before (`consumers.claim`).
 *
 * Throws [RolekeepException.Conflict] of the reason `LEASE_LOST` if an event took more than 30 seconds and another process reads on meanwhile:
 * begin again.
 */
fun Caller.consume(name: String): Flow<Event> = flow {
    val (lease, begin) = claim(name).let { it.lease to it.position }
    var handled = begin
    var acknowledged = begin
    var isHandling = false
    var at = System.nanoTime()
    suspend fun acknowledge() {
        consumers.acknowledge(Acknowledge(name, lease, handled))
        acknowledged = handled
        at = System.nanoTime()
    }
    try {
        var position = begin
        while (true) {
            val batch = events.read(ReadEvents(from = position, limit = BATCH))
            position = batch.position
            for (event in batch.events) {
                isHandling = true
                emit(event)
                isHandling = false
                handled = event.position
                if (System.nanoTime() - at >= ACKNOWLEDGE_AFTER_NANOS) acknowledge()
            }
            handled = position
            if (batch.events.isEmpty() && !batch.hasMore) isNews(position, RENEW_MILLIS)
            // What is no event alone is no reason: each acknowledgement is a commit, which wakes all other consumers.
            if (batch.events.isNotEmpty() || System.nanoTime() - at >= RENEW_MILLIS * 1_000_000L) acknowledge()
        }
    } finally {
        withContext(NonCancellable) {
            try {
                // Whoever breaks off at an event, or fails, has handled those before it.
                if (isHandling && handled != acknowledged) acknowledge()
                // So that nobody waits for its end; where another process has it, that changes nothing.
                consumers.release(ReleaseConsumer(name, lease))
            } catch (_: RolekeepException) {
                // That is not what ended it.
            }
        }
    }
}

private suspend fun Caller.isNews(position: String, millis: Int): Boolean {
    // A position has nothing that JSON would escape.
    return call("events.wait", """{"position": "$position", "millis": $millis}""") == "true"
}

private suspend fun Caller.claim(name: String): ConsumerLease {
    while (true) {
        try {
            return consumers.claim(ClaimConsumer(name))
        } catch (held: RolekeepException.Conflict) {
            if (held.reason != Reason.LEASE_HELD) throw held
        }
        delay(CLAIM_MILLIS)
    }
}
