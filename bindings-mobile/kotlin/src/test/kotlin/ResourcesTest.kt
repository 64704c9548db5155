import com.sun.management.ThreadMXBean
import dev.rolekeep.*
import java.lang.management.ManagementFactory
import java.time.Instant
import java.util.UUID
import java.util.concurrent.Executors
import java.util.concurrent.Future
import kotlin.random.Random
import kotlin.test.*
import kotlinx.coroutines.runBlocking

/** Resources that are written into the native side's memory are answered as those that go as records. */
class ResourcesTest {
    private val policy = repository.resolve("tests/conformance/rules/resources.toml").readText()
    private val id = UUID.fromString("0190a0b0-0000-7000-8000-00000000000a")
    private val permissions = listOf("document:read", "document:edit", "document:edit{title}", "document:delete", "document:share", "note:read")
    private val good = mapOf(
        "owner" to listOf("ada", "bob", "Zoë", "日本", "😀", "", "nul\u0000"),
        "tenant" to listOf("acme", "other", null),
        "region" to listOf(id, null),
        "size" to listOf(0, 1, -1, 999, 1000, Long.MAX_VALUE, Long.MIN_VALUE),
        "is_open" to listOf(true, false),
        "due_at" to listOf(Instant.parse("2999-01-31T12:30:00.005Z"), "2000-01-01T00:00:00.5+01:00", null),
        "lasts" to listOf("1h", 5, null),
        "address" to listOf("10.1.2.3", "192.0.2.1", "::1", null),
        "labels" to listOf(emptyList<String>(), listOf("public"), setOf("public", "ö")),
        "readers" to listOf(listOf(id), emptyList<UUID>(), null),
        "codes" to listOf(listOf(7), listOf(1, 2, 7), null),
        "title" to listOf("On engines", null),
    ).mapValues { (_, values) -> values.map(::jsonText) }
    private val odd = listOf("1.0", "1.5", "1e400", "18446744073709551616", "", "x", "[1", "{\"a\":1}", "[[1]]", "[null]", "nul", "\"\\ud800\"", "\"\ud800\"", " true ", "\"${"x".repeat(20_000)}\"", "[".repeat(500))
    private val names = listOf("ownr", "Owner", "", "type", "nul\u0000", "ö", "\ud800")

    private fun made(random: Random): Resource {
        val given = good.mapValues { (_, values) -> values.random(random) }.toMutableMap()
        var type = "document"
        if (random.nextBoolean()) when (random.nextInt(4)) {
            0 -> given[good.keys.random(random)] = odd.random(random)
            1 -> given.remove(good.keys.random(random))
            2 -> given[names.random(random)] = (odd + "\"x\"").random(random)
            else -> type = listOf("note", "user", "documnt", "\ud800", "").random(random)
        }
        return Resource(type, given)
    }

    private fun outcome(ask: () -> Any?): Any? = try {
        ask()
    } catch (error: RolekeepException) {
        listOf(error::class, error.reason, error.message)
    } catch (error: java.nio.charset.CharacterCodingException) {
        error::class
    }

    private fun principals(): List<Principal> {
        val rules = Rules.compile(RulesConfig(policyToml = policy))
        val region = mapOf("region" to jsonText(id), "level" to "3")
        val roles = listOf(AssignedRole("author"), AssignedRole("member", "tenant:acme"))
        return listOf(rules.principal(PrincipalData("ada", roles = roles, attributes = region)), rules.principal("bob", listOf("reader"), mapOf("region" to null, "level" to null)), rules.anonymous())
    }

    @Test
    fun `a principal answers as its explanation says`() {
        val (random, who) = Random(11) to principals()
        val seen = HashMap<Any?, Int>()
        repeat(3_000) {
            val (one, permission, resource) = Triple(who.random(random), permissions.random(random), made(random))
            val asked = outcome { one.can(permission, resource) }
            // An explanation goes as a record.
            assertEquals(outcome { one.explain(permission, resource).allowed }, asked, "$permission $resource")
            seen.merge(if (asked is List<*>) asked[1] else asked, 1, Int::plus)
        }
        for (kind in listOf(true, false, Reason.RESOURCE_INVALID, Reason.RESOURCE_INCOMPLETE, Reason.INVALID_INPUT)) assertTrue(seen.getOrDefault(kind, 0) > 50, "$kind: $seen")
    }

    @Test
    fun `many are answered as each alone`() {
        val (random, who) = Random(12) to principals()
        var answered = 0
        repeat(500) {
            val one = who.random(random)
            val known = List(random.nextInt(1, 4)) { made(random) }
            val checks = List(random.nextInt(12)) { Check(permissions.random(random), if (random.nextInt(5) > 0) known.random(random) else null) }
            val alone = checks.map { check -> outcome { check.resource?.let { one.can(check.permission, it) } ?: one.can(check.permission) } }
            val together = outcome { one.canMany(checks) }
            if (alone.all { it is Boolean }) {
                answered += 1
                assertEquals<Any?>(alone, together)
            } else {
                // What cannot be read at all is told first.
                assertTrue(together in alone, "$together, not of $alone")
            }
        }
        assertTrue(answered > 50, "$answered")
        assertEquals(List(5_000) { true }, who[0].canMany(List(5_000) { Check("note:read") }))
    }

    @Test
    fun `callers and stores ask so too, on many threads`() = runBlocking<Unit> {
        // An account's attributes are the library's own.
        val lines = policy.lines().filterNot { it.startsWith("attributes = { id") || it.startsWith("[types.user]") || it.startsWith("deny") }
        val um = UserManagement.open(quick.copy(policyToml = lines.joinToString("\n").replace("resource.owner", "resource.region")))
        val ada = um.system().users.create(CreateUser("ada@example.org", roles = listOf("author"))).id
        val me = um.actingAs(ada)
        val threads = Executors.newFixedThreadPool(4)
        val done: List<Future<*>> = List(4) { thread ->
            threads.submit {
                val random = Random(thread)
                repeat(300) {
                    val (permission, resource) = permissions.random(random) to made(random)
                    val wanted = outcome { me.explain(permission, resource).allowed }
                    assertEquals(wanted, outcome { me.can(permission, resource) })
                    assertEquals(wanted, outcome { um.checkCached(ada, permission, resource) })
                    assertEquals(if (wanted is Boolean) listOf(wanted, wanted) else wanted, outcome { me.canMany(List(2) { Check(permission, resource) }) })
                }
            }
        }
        done.forEach { it.get() }
        threads.shutdown()
        me.close()
        assertFailsWith<RolekeepException.Unavailable> { me.can("document:read", Resource("document")) }
    }

    @Test
    fun `a resource is much cheaper than a record`() {
        val bean = ManagementFactory.getThreadMXBean() as ThreadMXBean
        val thread = Thread.currentThread().id
        fun bytes(run: () -> Unit): Long {
            repeat(2_000) { run() }
            return (1..200).minOf {
                val before = bean.getThreadAllocatedBytes(thread)
                run()
                bean.getThreadAllocatedBytes(thread) - before
            }
        }
        val ada = principals()[0]
        val document = Resource("document", good.mapValues { (_, values) -> values.first() })
        val record = document.copy(attributes = document.attributes + ("owner" to jsonText("😀")))
        val (fast, slow) = bytes { ada.can("document:read", document) } to bytes { ada.can("document:read", record) }
        val (many, records) = bytes { ada.canMany(List(5) { Check("document:read", document) }) } to bytes { ada.canMany(List(5) { Check("document:read", record) }) }
        println("a resource: $fast bytes, as a record: $slow; five: $many and $records")
        assertTrue(fast * 5 < slow && many * 5 < records, "$fast against $slow, $many against $records")
    }
}
