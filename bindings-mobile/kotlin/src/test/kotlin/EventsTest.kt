import dev.rolekeep.*
import dev.rolekeep.blocking.RolekeepBlocking
import kotlinx.coroutines.async
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import kotlin.test.*

/** Events as they happen: subscriptions and consumers. */
class EventsTest {
    private fun withStore(tell: suspend (Caller) -> Unit) = runBlocking<Unit> {
        val um = UserManagement.open(quick.copy(preset = "standard"))
        tell(um.system())
        um.shutdown()
    }

    @Test
    fun `a subscription goes on with what happens`() = withStore { me ->
        val position = me.events.read(ReadEvents()).position
        val ada = me.users.create(CreateUser(email = "ada@example.org"))
        val first = me.subscribe(position).first { it.eventType == EventType.USER_CREATED }
        assertEquals(listOf("user", ada.id.toString(), "system"), listOf(first.aggregate.kind, first.aggregate.id, first.actor))
        runBlocking {
            val later = async { me.subscribe(position).first { it.eventType == EventType.USER_SUSPENDED } }
            delay(50)
            me.users.suspend(SuspendUser(ada.id))
            assertEquals("users.suspend", withTimeout(10_000) { later.await() }.cause)
        }
    }

    @Test
    fun `a consumer reads on where it was left`() = withStore { me ->
        val lease = me.consumers.claim(ClaimConsumer("mails", from = "earliest")).lease
        me.consumers.release(ReleaseConsumer("mails", lease))
        repeat(5) { me.users.create(CreateUser(email = "user$it@example.org")) }
        val all = me.events.read(ReadEvents(from = "earliest", limit = 1000)).events.map { it.id }
        val handled = me.consume("mails").take(3).toList().map { it.id }
        // What was in hand as the collection ended is read again.
        val rest = me.consume("mails").take(all.size - 2).toList().map { it.id }
        assertEquals(all, handled.dropLast(1) + rest)
        assertEquals("mails", me.consumers.claim(ClaimConsumer("mails")).name)
        val held = assertFailsWith<RolekeepException.Conflict> { me.consumers.claim(ClaimConsumer("mails")) }
        assertEquals(Reason.LEASE_HELD, held.reason)
    }

    @Test
    fun `for blocking code`() {
        RolekeepBlocking.open(quick.copy(preset = "standard")).use { um ->
            val me = um.system()
            me.users().create(CreateUser(email = "ada@example.org"))
            val heard = mutableListOf<EventType>()
            me.subscribe("earliest") { heard += it.eventType; it.eventType != EventType.USER_CREATED }
            assertEquals(EventType.USER_CREATED, heard.last())
        }
    }
}
