import dev.rolekeep.*
import dev.rolekeep.blocking.RolekeepBlocking
import kotlinx.coroutines.runBlocking
import java.nio.file.Files
import kotlin.test.*

class OperatingTest {
    private val folder = Files.createTempDirectory("rolekeep")

    @AfterTest
    fun remove() {
        folder.toFile().deleteRecursively()
    }

    @Test
    fun `OPS-1 a store says how it is`() = runBlocking<Unit> {
        val um = UserManagement.open(quick.copy(sqlite = "$folder/x.db"))
        val ada = um.system().users.create(CreateUser(email = "ada@example.org"))
        um.check(ada.id, "user:read")
        val health = um.health()
        assertEquals(listOf(HealthStatus.HEALTHY, true, true), listOf(health.status, health.isReady, um.ready()))
        assertTrue(health.storage.schemaVersion!! >= 33)
        assertEquals(listOf("writers", "readers"), health.storage.pools.map { it.name })
        assertEquals(CacheKind.USERS to 1L, health.caches[0].let { it.kind to it.count })
        assertFalse("ada" in "$health")
        um.shutdown()
        val closed = um.health()
        assertEquals(listOf(HealthStatus.UNHEALTHY, false, Reason.CLOSED), listOf(closed.status, closed.isReady, closed.storage.reason))
    }

    @Test
    fun `OPS-5 settings of a file stand behind those of the program`() {
        val file = folder.resolve("app.toml")
        Files.writeString(file, "password_min_length = 20\nsqlite = \"$folder/file.db\"\n[roles]\neditor = [\"document:edit\"]\n")
        RolekeepBlocking.openFromEnv(quick, configFile = "$file").use { um ->
            assertTrue(um.ready() && Files.exists(folder.resolve("file.db")))
            val short = assertFailsWith<RolekeepException.Validation> {
                um.system().users().create(CreateUser(email = "ada@example.org", password = "sixteen letters!", roles = listOf("editor")))
            }
            assertEquals("password", short.fields.single().field)
        }
        RolekeepBlocking.openFromEnv(quick.copy(passwordMinLength = 15), configFile = "$file").use { um ->
            um.system().users().create(CreateUser(email = "ada@example.org", password = "sixteen letters!", roles = listOf("editor")))
        }
    }

    @Test
    fun `OPS-5 all that is wrong is told by where it stands`() {
        val file = folder.resolve("app.json")
        Files.writeString(file, """{"session_seconds": "long", "max_sessions": 0, "sesion_seconds": 1, "roles": {"editor": ["documentedit"]}}""")
        val wrong = assertFailsWith<RolekeepException.Validation> { RolekeepBlocking.openFromEnv(quick, configFile = "$file") }
        assertEquals(Reason.CONFIG_INVALID, wrong.reason)
        assertEquals(setOf("session_seconds", "max_sessions", "sesion_seconds"), wrong.fields.map { it.field }.toSet())
        assertTrue(wrong.fields.all { it.message.endsWith("($file)") } && wrong.problems.isNotEmpty(), wrong.message)
    }
}
