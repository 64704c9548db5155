import dev.rolekeep.*
import dev.rolekeep.blocking.RolekeepBlocking
import kotlinx.coroutines.*
import kotlin.test.*

class BreachedPasswordsTest {
    private val good = "correct horse battery staple"
    private val leaked = "a phrase that leaked"

    private fun ada(password: String) = CreateUser(email = "ada@example.org", password = password)

    @Test
    fun `what leaked is refused`() = runBlocking<Unit> {
        val asked = mutableListOf<String>()
        val um = UserManagement.open(quick, breachedPasswords = { password ->
            asked += password
            password == leaked
        })
        val refused = assertFailsWith<RolekeepException.Validation> { um.system().users.create(ada(leaked)) }
        assertEquals(listOf("password" to FieldCode.BREACHED_PASSWORD), refused.fields.map { it.field to it.code })
        um.system().users.create(ada(good))
        um.login("ada@example.org", good).done()
        assertEquals(listOf(leaked, good), asked)
    }

    @Test
    fun `a list that fails says no yes`() = runBlocking<Unit> {
        val failures = listOf<() -> Boolean>(
            { throw BreachedPasswordsException.Failed("there is no list today") },
            { throw IllegalStateException("it is broken") },
        )
        for (failure in failures) {
            val um = UserManagement.open(quick, breachedPasswords = { failure() })
            val refused = assertFailsWith<RolekeepException.Unavailable> { um.system().users.create(ada(good)) }
            assertEquals(Reason.BREACHED_PASSWORDS_UNAVAILABLE, refused.reason)
            assertTrue(um.system().users.list(ListUsers()).items.isEmpty())
        }
    }

    @Test
    fun `what hangs is cancelled after five seconds`() = runBlocking<Unit> {
        val cancelled = CompletableDeferred<Unit>()
        val um = UserManagement.open(quick, breachedPasswords = {
            try {
                awaitCancellation()
            } finally {
                cancelled.complete(Unit)
            }
        })
        val refused = assertFailsWith<RolekeepException.Unavailable> { um.system().users.create(ada(good)) }
        assertEquals(Reason.BREACHED_PASSWORDS_UNAVAILABLE, refused.reason)
        withTimeout(10_000) { cancelled.await() }
    }

    @Test
    fun `the blocking face has it, too`() {
        RolekeepBlocking.open(quick, breachedPasswords = { it == leaked }).use { um ->
            assertFailsWith<RolekeepException.Validation> { um.system().users().create(ada(leaked)) }
            um.system().users().create(ada(good))
        }
    }
}
