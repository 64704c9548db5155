import dev.rolekeep.*
import kotlinx.coroutines.delay
import kotlinx.coroutines.withTimeoutOrNull

/** A notifier that keeps what it is given, each until a test takes it. */
class Mailbox(private val answer: suspend (Notice) -> Delivery = { Delivery.Sent }) : Notifier {
    private val kept = mutableListOf<Notice>()

    override suspend fun send(notice: Notice): Delivery {
        synchronized(kept) { kept += notice }
        return answer(notice)
    }

    /** Takes the first notice that fits; where there is none, waits for it, up to a minute: what failed comes again after some ten seconds. */
    suspend fun take(fits: (Notice) -> Boolean = { true }): Notice = withTimeoutOrNull(60_000) {
        var taken = takeIfThere(fits)
        while (taken == null) {
            delay(5)
            taken = takeIfThere(fits)
        }
        taken
    } ?: error("no such notice came")

    fun isEmpty() = synchronized(kept) { kept.isEmpty() }

    private fun takeIfThere(fits: (Notice) -> Boolean) =
        synchronized(kept) { kept.firstOrNull(fits)?.also { kept.remove(it) } }
}
