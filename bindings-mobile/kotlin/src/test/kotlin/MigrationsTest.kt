import dev.rolekeep.*
import dev.rolekeep.blocking.MigrationsBlocking
import kotlinx.coroutines.runBlocking
import java.nio.file.Files
import java.util.concurrent.Callable
import java.util.concurrent.Executors
import kotlin.test.*

class MigrationsTest {
    private val folder = Files.createTempDirectory("rolekeep")

    @AfterTest
    fun remove() {
        folder.toFile().deleteRecursively()
    }

    @Test
    fun `OPS-2 forward, back and the history`() = runBlocking<Unit> {
        val config = quick.copy(sqlite = "$folder/x.db", migrates = false)
        val migrations = Migrations.of(config)
        val before = migrations.status()
        assertEquals(Triple(0u, 0, before.newest), Triple(before.version, before.history.size, before.pending.size.toUInt()))
        assertFalse(Files.exists(folder.resolve("x.db")))
        assertTrue("CREATE TABLE" in migrations.plan())
        val refused = assertFailsWith<RolekeepException.Unavailable> { UserManagement.open(config) }
        assertEquals(Reason.SCHEMA_FOREIGN, refused.reason)

        assertEquals(before.pending, migrations.apply())
        val status = migrations.status()
        assertTrue(status.pending.isEmpty() && migrations.plan().isEmpty() && migrations.apply().isEmpty())
        assertTrue(status.history.all { it.checksum == MigrationChecksum.FITS && it.name != null && it.appliedAt != null })
        assertEquals(before.newest, migrations.down()?.version)
        migrations.apply()
        val um = UserManagement.open(config)
        um.system().users.create(CreateUser(email = "ada@example.org"))
        um.shutdown()
        val lost = assertFailsWith<RolekeepException.Conflict> { repeat(before.newest.toInt()) { migrations.down() } }
        assertEquals(Reason.DATA_WOULD_BE_LOST, lost.reason)
    }

    @Test
    fun `OPS-2 ten at once apply each step once`() {
        val config = quick.copy(sqlite = "$folder/x.db")
        val pool = Executors.newFixedThreadPool(10)
        val applied = (1..10).map { pool.submit(Callable { MigrationsBlocking.of(config).apply().size }) }.sumOf { it.get() }
        pool.shutdown()
        assertEquals(MigrationsBlocking.of(config).status().history.size, applied)
    }

    @Test
    fun `OPS-2 memory has no schema`() {
        assertEquals(Reason.CONFIG_INVALID, assertFailsWith<RolekeepException.Validation> { Migrations.of(quick) }.reason)
    }
}
