package dev.rolekeep

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
)
