import dev.rolekeep.*
import kotlinx.coroutines.*
import java.nio.charset.CharacterCodingException
import java.time.Instant
import java.util.UUID
import kotlin.test.*

class BadInputTest {
    private val um = runBlocking { UserManagement.open(quick.copy(roles = mapOf("editor" to listOf("document:edit")))) }
    private val me = um.system()

    private fun reason(run: suspend () -> Unit) = assertFailsWith<RolekeepException> { runBlocking { run() } }.reason

    @Test
    fun `the raw call says what is wrong`() {
        assertEquals(Reason.UNKNOWN_OPERATION, reason { me.call("users.crate", "{}") })
        assertEquals(Reason.UNKNOWN_OPERATION, reason { me.call("x".repeat(1_000_000), "{}") })
        assertEquals(Reason.INVALID_JSON, reason { me.call("users.create", "{") })
        assertEquals(Reason.INVALID_JSON, reason { me.call("users.create", "") })
        assertEquals(Reason.INVALID_JSON, reason { me.call("users.create", "[".repeat(1_000_000)) })
        assertEquals(Reason.INVALID_JSON, reason { me.call("users.create", "{\"a\":".repeat(100_000)) })
        assertEquals(Reason.INVALID_JSON, reason { me.call("users.create", "\"" + "x".repeat(17 * 1024 * 1024) + "\"") })
        assertEquals(Reason.INVALID_INPUT, reason { me.call("users.create", "null") })
        val error = assertFailsWith<RolekeepException.Validation> { runBlocking { me.call("users.create", """{"emial": "x", "identity": {"issuer": "staff"}, "roles": 1}""") } }
        assertEquals(setOf("emial", "identity.subject", "roles"), error.fields.map { it.field }.toSet())
        assertTrue("did you mean email" in error.message, error.message)
    }

    @Test
    fun `huge and odd texts are refused or kept as they are`() = runBlocking<Unit> {
        val error = assertFailsWith<RolekeepException.Validation> {
            me.users.create(CreateUser(email = "a".repeat(500_000), firstName = "x".repeat(1_000), phone = "1", password = "\uD83D\uDE80"))
        }
        assertTrue(error.fields.map { it.field }.toSet().containsAll(listOf("email", "first_name", "phone", "password")), error.message)
        assertTrue(error.message.length < 10_000)
        assertEquals(Reason.INVALID_JSON, reason { me.users.create(CreateUser(email = "a".repeat(5_000_000))) })
        val name = "Zo\u00eb \uD83D\uDE80 \"\\"
        assertEquals(name, me.users.create(CreateUser(email = "zoe@example.org", displayName = name)).displayName)
        assertEquals(listOf("first_name"), assertFailsWith<RolekeepException.Validation> { me.users.create(CreateUser("a@example.org", firstName = "\u0000")) }.fields.map { it.field })
        // Half of a surrogate pair is no text; it does not leave Kotlin.
        assertFailsWith<CharacterCodingException> { me.users.create(CreateUser(email = "\uD800@example.org")) }
        assertFailsWith<CharacterCodingException> { me.can("\uD800") }
        assertEquals(Reason.INVALID_INPUT, reason { me.users.list(ListUsers(limit = Long.MAX_VALUE)) })
        assertEquals(Reason.INVALID_INPUT, reason { me.users.list(ListUsers(page = -1)) })
        assertEquals(Reason.INVALID_INPUT, reason { me.users.list(ListUsers(cursor = "x".repeat(100_000))) })
    }

    @Test
    fun `times and JSON that cannot be are typed errors, also in checks`() {
        assertEquals(Reason.INVALID_INPUT, reason { me.users.list(ListUsers(createdFrom = Instant.MAX)) })
        assertEquals(Reason.INVALID_INPUT, reason { me.users.list(ListUsers(createdFrom = Instant.MIN)) })
        assertEquals(Reason.INVALID_INPUT, reason { me.can("document:edit", Resource("document", mapOf("owner_id" to "{"))) })
        assertEquals(Reason.INVALID_INPUT, reason { me.can("document:edit", Resource("document", mapOf("owner_id" to "[".repeat(100_000)))) })
        assertEquals(Reason.UNKNOWN_PERMISSION, reason { me.can("document:edti") })
        assertEquals(Reason.UNKNOWN_PERMISSION, reason { me.canSomewhere("document:edti") })
        assertEquals(Reason.UNKNOWN_PERMISSION, reason { me.can("x".repeat(1_000_000)) })
        assertFailsWith<IllegalArgumentException> { resource("document", "size" to 1.5) }
    }

    @Test
    fun `settings that are wrong are all named`() {
        val error = assertFailsWith<RolekeepException.Validation> {
            runBlocking { UserManagement.open(Config(accessTokenSeconds = -1, hashingParallel = 0, signingKey = "short")) }
        }
        assertEquals(Reason.CONFIG_INVALID, error.reason)
        for (name in listOf("access_token_seconds", "hashing_parallel", "signing_key")) assertTrue(name in error.message, error.message)
        val policy = assertFailsWith<RolekeepException.Validation> { runBlocking { UserManagement.open(Config(policyToml = "[roles.editor]\nallow = [1]\n")) } }
        assertEquals(Reason.POLICY_INVALID, policy.reason)
        assertTrue(policy.problems.single().line in 1..2, policy.message)
        for (path in listOf(":memory:", "", "file:app.db?mode=ro", "sqlite://app.db")) {
            assertEquals(Reason.CONFIG_INVALID, reason { UserManagement.open(Config(sqlite = path)) }, path)
        }
        assertEquals(Reason.STORAGE_MISSING, reason { UserManagement.open(Config(sqlite = "/no/such/folder/store.db")) })
    }

    @Test
    fun `after shutdown everything is refused, and so it is after close`() = runBlocking<Unit> {
        val um = UserManagement.open(quick)
        val ada = um.system().users.create(CreateUser(email = "ada@example.org"))
        val caller = um.actingAs(ada.id)
        val users = um.system().users
        um.shutdown()
        um.shutdown()
        for (late in listOf<suspend () -> Unit>(
            { users.list() }, { um.actingAs(ada.id) }, { um.authenticate("x") }, { um.login("a", "b") }, { um.system().call("users.list", "{}") },
        )) assertEquals(Reason.CLOSED, assertFailsWith<RolekeepException.Unavailable> { late() }.reason)
        um.close()
        assertEquals(Reason.CLOSED, assertFailsWith<RolekeepException.Unavailable> { users.list() }.reason)
        caller.close()
        caller.close()
        assertEquals("this Caller was closed", assertFailsWith<RolekeepException.Unavailable> { caller.can("user:read") }.message)
        assertEquals(Reason.CLOSED, assertFailsWith<RolekeepException.Unavailable> { caller.users }.reason)
    }

    @Test
    fun `use closes the store, for its callers and for its file`() = runBlocking<Unit> {
        inFolder { folder ->
            val file = quick.copy(sqlite = folder.resolve("app.db").path, exclusive = true, roles = mapOf("editor" to listOf("document:edit")))
            val (um, me) = UserManagement.open(file).use { um ->
                val ada = um.system().users.create(CreateUser(email = "ada@example.org", roles = listOf("editor")))
                um to um.actingAs(ada.id).also { assertTrue(it.can("document:edit") && um.checkCached(ada.id, "document:edit")) }
            }
            for ((name, late) in mapOf<String, suspend () -> Any>(
                "operation" to { me.users.me() },
                "can" to { me.can("document:edit") },
                "can with a resource" to { me.can("document:edit", resource("document")) },
                "canMany" to { me.canMany(listOf(Check("document:edit"))) },
                "explain" to { me.explain("document:edit") },
                "system" to { um.system().users.list() },
                "login" to { um.login("a", "b") },
                "checkCached" to { um.checkCached(UUID(0, 0), "document:edit") },
                "check" to { um.check(UUID(0, 0), "document:edit") },
            )) {
                val error = assertFailsWith<RolekeepException>(name) { late() }
                assertEquals(Reason.CLOSED, error.reason, name)
            }
            um.close()
            UserManagement.open(file).use { assertEquals(1, it.system().users.list().items.size) }
        }
    }

    @Test
    fun `rules and principals that were closed say so`() {
        val rules = Rules.compile(RulesConfig(roles = mapOf("editor" to listOf("document:edit"))))
        val ada = rules.principal(UUID(0, 1), listOf("editor"))
        rules.close()
        assertTrue(ada.can("document:edit"))
        assertEquals(Reason.CLOSED, assertFailsWith<RolekeepException.Unavailable> { rules.anonymous() }.reason)
        ada.use { it.can("document:edit") }
        assertEquals(Reason.CLOSED, assertFailsWith<RolekeepException.Unavailable> { ada.can("document:edit") }.reason)
    }

    @Test
    fun `many threads at once`() = runBlocking<Unit> {
        val ada = me.users.create(CreateUser(email = "ada@example.org", roles = listOf("editor")))
        val caller = um.actingAs(ada.id)
        coroutineScope {
            repeat(50) { number ->
                launch(Dispatchers.Default) {
                    me.users.create(CreateUser(email = "m$number@example.org"))
                    repeat(100) { assertTrue(caller.can("document:edit")) }
                    assertEquals(listOf(true, true), caller.canMany(List(2) { Check("document:edit") }))
                }
            }
        }
        assertFailsWith<RolekeepException.NotFound> { um.actingAs(UUID(0, 0)) }
    }
}
