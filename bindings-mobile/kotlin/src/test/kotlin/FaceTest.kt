import dev.rolekeep.*
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import java.time.Instant
import java.time.LocalDate
import kotlin.test.*

class FaceTest {
    private val settings = quick.copy(roles = mapOf("editor" to listOf("document:edit")), permissions = listOf("document:delete"))

    @Test
    fun `the taste`() = runBlocking<Unit> {
        val um = UserManagement.open(settings)
        val ada = um.system().users.create(CreateUser(email = "ada@example.org", roles = listOf("editor")))
        val me = um.actingAs(ada.id)
        assertTrue(me.can("document:edit"))
        assertFalse(me.can("document:delete"))
        assertEquals(listOf(true, false), me.canMany(listOf(Check("document:edit"), Check("document:delete", resource("document")))))
        assertTrue(me.canSomewhere("document:edit"))
        me.require("document:edit")
        val denied = assertFailsWith<RolekeepException.Forbidden> { me.require("document:delete") }
        assertEquals(403, denied.httpStatus)
        assertEquals("document:delete", denied.permission)
        val why = me.explain("document:delete")
        assertEquals(Cause.NOTHING_GRANTS, why.cause)
        assertTrue("document:delete" in why.text, why.text)
    }

    @Test
    fun `the program of the guide to accounts kept elsewhere`() = runBlocking<Unit> {
        assertEquals(listOf(true, false, true), identitiesTaste())
    }

    @Test
    fun `accounts that stand for somebody at another issuer`() = runBlocking<Unit> {
        val um = UserManagement.open(settings)
        val identity = ExternalIdentity("staff", "17")
        val ada = um.system().users.create(CreateUser(identity = identity, roles = listOf("editor")))
        assertNull(ada.email)
        assertEquals(listOf(identity), ada.identities)
        val me = um.actingAsIdentity("staff", "17")
        assertTrue(me.can("document:edit"))
        assertEquals(ada.id, um.system().users.find(FindUser(identity = identity)).id)
        assertEquals("ada@example.org", um.system().users.update(UpdateUser(ada.id, email = StringPatch.Set("ada@example.org"))).user.email)
        assertNull(um.system().users.update(UpdateUser(ada.id, email = StringPatch.Clear)).user.email)
        assertFailsWith<RolekeepException.NotFound> { um.actingAsIdentity("staff", "18") }
        assertFailsWith<RolekeepException.Duplicate> { um.system().users.create(CreateUser(identity = identity)) }
        val wrong = assertFailsWith<RolekeepException.Validation> { um.actingAsIdentity("the staff", "") }
        assertEquals(listOf("identity.issuer", "identity.subject"), wrong.fields.map { it.field })
        um.system().users.suspend(SuspendUser(ada.id))
        assertFailsWith<RolekeepException.Unauthorized> { um.actingAsIdentity("staff", "17") }
    }

    @Test
    fun `a signed-in user, with ids, times, dates and patches as they are in Kotlin`() = runBlocking<Unit> {
        val um = UserManagement.open(settings)
        val start = Instant.now()
        val born = LocalDate.of(1990, 12, 10)
        val ada = um.system().users.create(CreateUser(email = "ada@example.org", password = "correct horse battery ada", birthDate = born, username = "ada"))
        assertEquals(7, ada.id.version())
        assertTrue(ada.createdAt in start.minusSeconds(1)..Instant.now())
        assertEquals(born, ada.birthDate)
        val login = um.login("ada", "correct horse battery ada", RequestContext(ip = "192.0.2.1", userAgent = "Test")).done()
        val me = um.authenticate(login.accessToken, RequestContext(ip = "192.0.2.1"))
        assertEquals("192.0.2.1", me.sessions.list().items.single().ip)
        val changed = um.system().users.update(UpdateUser(ada.id, username = StringPatch.Clear, displayName = StringPatch.Set("Ada"), birthDate = DatePatch.Set(born.plusDays(1)))).user
        assertEquals(listOf(null, "Ada", born.plusDays(1)), listOf(changed.username, changed.displayName, changed.birthDate))
        val stale = assertFailsWith<RolekeepException.Conflict> { um.system().users.update(UpdateUser(ada.id, email = StringPatch.Set("x@example.org"), expectedVersion = 1)) }
        assertEquals(Reason.VERSION_STALE, stale.reason)
        me.sessions.logout()
        assertEquals(Reason.SESSION_ENDED, assertFailsWith<RolekeepException.Unauthorized> { me.can("document:edit") }.reason)
        assertFailsWith<RolekeepException.Unauthorized> { um.anonymous().users.me() }
    }

    @Test
    fun `all rows of a list, page after page`() = runBlocking<Unit> {
        val users = UserManagement.open(settings).system().users
        val emails = (0 until 7).map { "u$it@example.org" }
        emails.forEach { users.create(CreateUser(email = it)) }
        assertEquals(emails.reversed(), users.listAll(ListUsers(limit = 3)).toList().map { it.email })
        assertEquals(emails.reversed().take(3), users.list(ListUsers(limit = 3)).iterator().asSequence().map { it.email }.toList())
        assertFailsWith<RolekeepException.Validation> { users.listAll(ListUsers(limit = 0)).toList() }
    }

    @Test
    fun `for ever and since ever`() = runBlocking<Unit> {
        val um = UserManagement.open(settings)
        val ada = um.system().users.create(CreateUser(email = "ada@example.org"))
        val (first, last) = listOf("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z").map(Instant::parse)
        val held = um.system().roles.assign(AssignRole(ada.id, "editor", validFrom = first, validUntil = last))
        assertEquals(listOf(first, last), listOf(held.validFrom, held.validUntil))
        // The last nanosecond is no later than the last microsecond.
        val found = um.system().users.list(ListUsers(createdFrom = first, createdUntil = last.plusNanos(999)))
        assertEquals(listOf(ada), found.items)
        for (beyond in listOf(first.minusNanos(1000), last.plusNanos(1000))) {
            assertFailsWith<RolekeepException.Validation> { um.system().users.list(ListUsers(createdFrom = beyond)) }
        }
    }

    @Test
    fun `a resource's attributes decide`() = runBlocking<Unit> {
        val policy = """
            [types.document.attributes]
            owner_id = "id?"
            tags = "set<string>"
            [permissions]
            "document:edit" = "Edit a document"
            [roles.editor]
            allow = [{ permission = "document:edit", when = "resource.owner_id == principal.id and \"draft\" in resource.tags" }]
        """.trimIndent()
        val um = UserManagement.open(quick.copy(policyToml = policy))
        val ada = um.system().users.create(CreateUser(email = "ada@example.org", roles = listOf("editor")))
        val me = um.actingAs(ada.id)
        assertTrue(me.can("document:edit", resource("document", "owner_id" to ada.id, "tags" to listOf("a\"\\\n", "draft"))))
        assertFalse(me.can("document:edit", resource("document", "owner_id" to null, "tags" to listOf("draft"))))
        assertEquals(Reason.RESOURCE_INCOMPLETE, assertFailsWith<RolekeepException.Validation> { me.can("document:edit", resource("document")) }.reason)
    }

    @Test
    fun `an error is one of nine, and the compiler knows`() = runBlocking<Unit> {
        val um = UserManagement.open(settings)
        val error = assertFailsWith<RolekeepException> { um.system().users.create(CreateUser(email = "no address", roles = listOf("nobody"))) }
        // No `else`: without one of them this does not compile.
        val word = when (error) {
            is RolekeepException.Validation -> "validation"
            is RolekeepException.Unauthorized -> "unauthorized"
            is RolekeepException.Forbidden -> "forbidden"
            is RolekeepException.NotFound -> "not found"
            is RolekeepException.Duplicate -> "duplicate"
            is RolekeepException.Conflict -> "conflict"
            is RolekeepException.RateLimited -> "rate limited"
            is RolekeepException.Unavailable -> "unavailable"
            is RolekeepException.Internal -> "internal"
        }
        assertEquals("validation", word)
        assertEquals(Code.VALIDATION_ERROR to Reason.INVALID_INPUT, error.code to error.reason)
        assertEquals(setOf("email" to FieldCode.INVALID_FORMAT, "roles[0]" to FieldCode.NOT_FOUND), error.fields.map { it.field to it.code }.toSet())
        assertEquals(400, error.httpStatus)
        assertNotNull(error.timestamp)
        assertTrue(error.message.startsWith("invalid input: email") && "\n  roles[0]: " in error.message, error.message)
        assertTrue(error.toString().endsWith(error.message))
    }

    @Test
    fun `a login is not printed`() = runBlocking<Unit> {
        val um = UserManagement.open(settings.copy(signingKey = "correct horse battery staple of the host"))
        val id = um.system().users.create(CreateUser(email = "ada@example.org", password = "correct horse battery ada")).id
        val login = um.login("ada@example.org", "correct horse battery ada").done()
        assertEquals("Tokens(…) [Tokens(…)]", "$login ${listOf(login)}")
        assertTrue("id=$id" in "${login.user}")
    }

    @Test
    fun `a record cannot be changed`() {
        assertTrue(User::class.java.methods.none { it.name.startsWith("set") })
    }

    @Test
    fun `the short form of a sign-in takes the token of a known device`() = runBlocking<Unit> {
        val cheap = Config(signInTries = 2, hashingMemoryKib = 7168, hashingIterations = 5)
        UserManagement.open(cheap).use { um ->
            um.system().users.create(CreateUser("ada@example.org", password = "correct horse battery ada"))
            val device = um.login("ada@example.org", "correct horse battery ada", deviceToken = null).deviceToken
            repeat(2) { assertFailsWith<RolekeepException.Unauthorized> { um.login("ada@example.org", "wrong") } }
            assertFailsWith<RolekeepException.RateLimited> { um.login("ada@example.org", "correct horse battery ada") }
            um.login("ada@example.org", "correct horse battery ada", deviceToken = device).done()
        }
    }
}
