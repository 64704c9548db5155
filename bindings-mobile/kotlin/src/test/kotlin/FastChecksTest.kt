import com.sun.management.ThreadMXBean
import dev.rolekeep.*
import java.lang.management.ManagementFactory
import kotlinx.coroutines.runBlocking
import kotlin.test.*

class FastChecksTest {
    private val um = runBlocking { UserManagement.open(quick.copy(roles = mapOf("editor" to listOf("document:edit")), permissions = listOf("document:delete"))) }

    /** Bytes that a call allocates, the least of many: the fast calls of the patched code need a fraction of the others. */
    private fun bytes(run: () -> Boolean): Long {
        val bean = ManagementFactory.getThreadMXBean() as ThreadMXBean
        val thread = Thread.currentThread().id
        repeat(5_000) { assertTrue(run()) }
        return (1..200).minOf {
            val before = bean.getThreadAllocatedBytes(thread)
            run()
            bean.getThreadAllocatedBytes(thread) - before
        }
    }

    @Test
    fun `a check is much cheaper than a call with text`() = runBlocking<Unit> {
        val me = um.actingAs(um.system().users.create(CreateUser("ada@example.org", roles = listOf("editor"))).id)
        val fast = bytes { me.can("document:edit") }
        val slow = bytes { me.canSomewhere("document:edit") }
        println("a check: $fast bytes; a call with text: $slow bytes")
        // The patch of the generated code is in place: without it both are the same.
        assertTrue(fast * 5 < slow, "$fast against $slow")
    }

    @Test
    fun `a check about a user is as cheap, and follows every change`() = runBlocking<Unit> {
        val ada = um.system().users.create(CreateUser("ada@example.org", roles = listOf("editor"))).id
        assertEquals(Reason.NOT_LOADED, assertFailsWith<RolekeepException.Unavailable> { um.checkCached(ada, "document:edit") }.reason)
        assertTrue(um.check(ada, "document:edit"))
        val me = um.actingAs(ada)
        val fast = bytes { um.checkCached(ada, "document:edit") }
        val slow = bytes { um.checkCached(ada, "document:edit", circumstances = Circumstances(atLeast = um.position())) }
        println("a check about a user: $fast bytes; under circumstances: $slow bytes")
        assertTrue(fast * 5 < slow, "$fast against $slow")
        assertFalse(um.checkCached(ada, "document:delete"))
        um.system().roles.unassign(UnassignRole(ada, "editor"))
        assertFalse(um.checkCached(ada, "document:edit"))
        assertEquals(Reason.UNKNOWN_PERMISSION, assertFailsWith<RolekeepException.Validation> { um.checkCached(ada, "document:edti") }.reason)
        assertEquals(listOf(false), um.checkMany(listOf(UserCheck(ada, "document:edit", resource("document")))))
        me.close()
    }

    @Test
    fun `it follows every change, and says what is wrong`() = runBlocking<Unit> {
        val ada = um.system().users.create(CreateUser("ada@example.org", password = "correct horse battery ada"))
        val me = um.authenticate(um.login("ada@example.org", "correct horse battery ada").done().accessToken)
        assertFalse(me.can("document:edit"))
        um.system().roles.assign(AssignRole(ada.id, "editor"))
        assertTrue(me.can("document:edit"))
        assertFalse(me.can("document:delete"))
        assertTrue(um.system().can("document:delete"))
        um.system().roles.unassign(UnassignRole(ada.id, "editor"))
        assertFalse(me.can("document:edit"))
        assertEquals(Reason.UNKNOWN_PERMISSION, assertFailsWith<RolekeepException.Validation> { me.can("document:edti") }.reason)
        um.system().users.suspend(SuspendUser(ada.id))
        assertEquals(Reason.SESSION_ENDED, assertFailsWith<RolekeepException.Unauthorized> { me.can("document:edit") }.reason)
        me.close()
        assertEquals(Reason.CLOSED, assertFailsWith<RolekeepException.Unavailable> { me.can("document:edit") }.reason)
    }

    @Test
    fun `a permission of another store is unknown here`() = runBlocking<Unit> {
        assertTrue(um.system().can("document:edit"))
        val other = UserManagement.open(quick).system()
        assertEquals(Reason.UNKNOWN_PERMISSION, assertFailsWith<RolekeepException.Validation> { other.can("document:edit") }.reason)
        assertTrue(other.can("user:read"))
        assertEquals(Reason.UNKNOWN_PERMISSION, assertFailsWith<RolekeepException.Validation> { other.can("document:edit") }.reason)
    }
}
