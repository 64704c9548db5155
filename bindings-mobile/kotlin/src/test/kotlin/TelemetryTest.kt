import dev.rolekeep.*
import dev.rolekeep.blocking.RolekeepBlocking
import java.util.concurrent.CopyOnWriteArrayList
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking
import kotlin.test.*

/** A process has one log and one set of metrics, so that each test begins and ends its own. */
class TelemetryTest {
    private val heard = CopyOnWriteArrayList<LogRecord>()

    @AfterTest
    fun stop() = logTo(LogLevel.OFF, null)

    private fun listen(level: LogLevel, also: (LogRecord) -> Unit = {}) = logTo(level) { record ->
        heard += record
        also(record)
    }

    /** Those that came so far, of this request. */
    private suspend fun of(request: String, count: Int): List<LogRecord> {
        repeat(1_500) { if (heard.count { it.fields["request_id"] == request } < count) delay(20) }
        delay(100)
        return heard.filter { it.fields["request_id"] == request }
    }

    private fun request(id: String) = RequestContext(requestId = id)

    /** Keeps nothing, fails and is slow where it is told to. */
    private class Failing : Persister {
        @Volatile
        var fails = false

        @Volatile
        var millis = 0L

        private val batches = CopyOnWriteArrayList<Batch>()

        override suspend fun load(since: Long) = Loaded(batches.size.toLong(), batches.filter { it.position > since }.flatMap { it.changes })

        override suspend fun persist(batch: Batch): Persisted {
            delay(millis)
            if (fails) throw PersisterException.Failed("the disk of ada@example.org is gone")
            batches += batch
            return Persisted.DONE
        }
    }

    @Test
    fun `OPS-8 a commit that fails and one that is slow are heard of, with their request`() = runBlocking<Unit> {
        val persister = Failing()
        // On a busy machine any call may be slow: this one tells of none.
        val um = UserManagement.open(quick.copy(slowStatementMillis = 0), persister)
        listen(LogLevel.WARN)
        um.system().withRequest(request("kt-1")).users.create(CreateUser(email = "ada@example.org"))
        assertEquals(emptyList(), of("kt-1", 0))
        val slowing = UserManagement.open(quick.copy(slowStatementMillis = 100), persister)
        persister.millis = 200
        slowing.system().withRequest(request("kt-2")).users.create(CreateUser(email = "bob@example.org"))
        val slow = of("kt-2", 1).first { it.fields["call"] == "commit" }
        assertEquals(listOf("rolekeep.storage", "commit", LogLevel.WARN), listOf(slow.logger, slow.fields["call"], slow.level))
        assertTrue(slow.message.startsWith("a slow call of the storage: commit took ") && slow.fields.getValue("millis").toLong() >= 100)
        persister.millis = 0
        slowing.shutdown()
        persister.fails = true
        val failed = assertFailsWith<RolekeepException.Unavailable> {
            um.system().withRequest(request("kt-3")).users.create(CreateUser(email = "eve@example.org", password = "correct horse battery"))
        }
        assertEquals("kt-3", failed.requestId)
        val record = of("kt-3", 1).single()
        assertEquals("users.create failed: ${failed.reason.name.lowercase()}", record.message)
        assertEquals(listOf("users.create", failed.reason.name.lowercase()), listOf(record.fields["operation"], record.fields["reason"]))
        assertFalse(listOf("example.org", "correct horse").any { it in "$heard" }, "$heard")
        persister.fails = false
        um.shutdown()
    }

    @Test
    fun `OPS-8 a level has what matters more, and a sink that throws harms nothing`() = runBlocking<Unit> {
        val um = UserManagement.open(quick)
        val fail = suspend { assertFailsWith<RolekeepException.Unauthorized> { um.anonymous(request("kt-4")).users.list(ListUsers()) } }
        listen(LogLevel.INFO)
        fail()
        assertEquals(emptyList(), of("kt-4", 0))
        listen(LogLevel.DEBUG) { error("no log today") }
        repeat(3) { fail() }
        assertEquals(List(3) { "users.list failed: not_signed_in" }, of("kt-4", 3).map { it.message })
        logTo(LogLevel.OFF, null)
        heard.clear()
        fail()
        assertEquals(emptyList(), of("kt-4", 0))
        um.shutdown()
    }

    @Test
    fun `SEC-13 no record holds a secret or says who somebody is`() = runBlocking<Unit> {
        val um = UserManagement.open(quick)
        um.system().users.create(CreateUser(email = "ada@example.org", password = "correct horse battery staple"))
        listen(LogLevel.DEBUG)
        val tokens = um.login("ada@example.org", "correct horse battery staple", request("kt-5")).done()
        um.anonymous(request("kt-5")).sessions.refresh(Refresh(tokens.refreshToken))
        assertFailsWith<RolekeepException.Unauthorized> { um.login("grace@example.org", "a wrong password", request("kt-5")) }
        assertEquals(3, of("kt-5", 3).size)
        val secrets = listOf("correct horse", "a wrong password", "example.org", tokens.accessToken, tokens.refreshToken)
        assertEquals(emptyList(), secrets.filter { it in "$heard" })
        um.shutdown()
    }

    @Test
    fun `OPS-8 an error has the id of its request`() = runBlocking<Unit> {
        val um = UserManagement.open(quick)
        val me = um.anonymous(request("kt-6"))
        val errors = listOf<RolekeepException>(
            assertFailsWith { me.users.list(ListUsers()) },
            assertFailsWith { me.require("user:read") },
            assertFailsWith { me.can("user:raed") },
            assertFailsWith { um.authenticate("no token", request("kt-6")) },
            assertFailsWith { um.login("ada@example.org", "wrong", request("kt-6")) },
        )
        assertEquals(List(5) { "kt-6" }, errors.map { it.requestId })
        assertNull(assertFailsWith<RolekeepException> { um.anonymous().users.list(ListUsers()) }.requestId)
        um.shutdown()
    }

    /** Each name and labels with its value. */
    private fun parse(text: String): Map<String, Double> = text.lines().filter { it.isNotEmpty() && !it.startsWith("#") }
        .associate { it.substringBeforeLast(' ') to it.substringAfterLast(' ').toDouble() }

    @Test
    fun `OPS-1 metrics count what is done`() {
        RolekeepBlocking.metrics()
        RolekeepBlocking.open(quick).use { um ->
            val name = """rolekeep_operations_total{operation="users.list",outcome="OK"}"""
            val before = parse(metrics())[name] ?: 0.0
            repeat(3) { um.system().users().list(ListUsers()) }
            val text = RolekeepBlocking.metrics()
            assertEquals(3.0, parse(text).getValue(name) - before)
            assertTrue("# TYPE rolekeep_operation_duration_seconds histogram" in text)
            assertTrue(parse(text).getValue("""rolekeep_operation_duration_seconds_bucket{operation="users.list",le="+Inf"}""") >= 3.0)
        }
    }
}
