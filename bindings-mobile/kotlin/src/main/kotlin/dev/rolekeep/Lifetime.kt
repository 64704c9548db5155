package dev.rolekeep

import kotlinx.coroutines.CancellableContinuation
import kotlinx.coroutines.Dispatchers
import kotlin.coroutines.ContinuationInterceptor
import kotlin.coroutines.resume

/**
 * Goes on in the coroutine's own dispatcher, or in the default one where it has none (`suspend fun main`): else the host's
 * code would run on a thread of the library, and block it with everything that waits there.
 */
internal fun CancellableContinuation<Byte>.resumeOnHost(result: Byte) {
    val dispatcher = context[ContinuationInterceptor]
    if (dispatcher == null || dispatcher === Dispatchers.Unconfined) {
        Dispatchers.Default.dispatch(context) { resume(result) }
    } else {
        resume(result)
    }
}

/** What an object answers after its `close()`. */
internal fun closed(name: String): RolekeepException = RolekeepException.Unavailable(
    detail = "this $name was closed",
    code = Code.UNAVAILABLE,
    reason = Reason.CLOSED,
    fields = emptyList(),
    problems = emptyList(),
    timestamp = null,
    httpStatus = 503,
    changeId = null,
    retryAfter = null,
    permission = null,
    requestId = null,
    clientMessage = "this $name was closed",
)
