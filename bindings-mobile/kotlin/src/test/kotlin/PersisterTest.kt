import dev.rolekeep.*
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import kotlinx.serialization.json.*
import java.io.File
import java.util.concurrent.atomic.AtomicInteger
import kotlin.test.*

class PersisterTest {
    @Test
    fun `what a persister keeps survives a restart`() = runBlocking<Unit> {
        inFolder { folder ->
            val file = folder.resolve("store.json")
            val settings = quick.copy(preset = "flyos")
            val um = UserManagement.open(settings, FilePersister(file))
            assertEquals(5, um.system().setup.seed(flyos()).usersCreated)
            val ada = um.system().users.create(CreateUser(email = "ada@example.org", username = "ada"))
            um.system().users.delete(DeleteUser(um.system().users.find(FindUser(email = "west@flyos.mil")).id))
            um.shutdown()

            val again = UserManagement.open(settings, FilePersister(file))
            assertEquals(ada, again.system().users.get(GetUser(ada.id)))
            assertEquals(5, again.system().users.list().total)
            assertEquals(0, again.system().setup.seed(flyos()).usersCreated)
            val login = again.login("operator1@flyos.mil", seedPassword("operator1@flyos.mil")).done()
            assertEquals(2, again.authenticate(login.accessToken).drones.list().total)
            assertTrue(again.system().audit.verify().isWhole)
            again.shutdown()
        }
    }

    @Test
    fun `calls come one at a time, and none is lost`() = runBlocking<Unit> {
        inFolder { folder ->
            val persister = FilePersister(folder.resolve("store.json"), millis = 2)
            val um = UserManagement.open(quick, persister)
            coroutineScope { (1..40).map { async { um.system().users.create(CreateUser(email = "u$it@example.org")) } }.awaitAll() }
            assertEquals(1, persister.mostAtOnce.get())
            um.shutdown()
            val again = UserManagement.open(quick, FilePersister(folder.resolve("store.json")))
            assertEquals(40, again.system().users.list().total)
        }
    }

    @Test
    fun `two stores on one file follow each other`() = runBlocking<Unit> {
        inFolder { folder ->
            val file = folder.resolve("store.json")
            val (first, second) = List(2) { UserManagement.open(quick, FilePersister(file)) }
            val ada = first.system().users.create(CreateUser(email = "ada@example.org"))
            second.system().users.create(CreateUser(email = "bob@example.org"))
            assertEquals(ada, second.system().users.get(GetUser(ada.id)))
            assertEquals(2, first.system().users.list().total)
        }
    }

    @Test
    fun `what a persister holds open is released with the store, and where none was opened`() = runBlocking<Unit> {
        inFolder { folder ->
            var closed = 0
            val holding = object : FilePersister(folder.resolve("holding.json")) {
                var isBroken = false

                override suspend fun load(since: Long) = if (isBroken) throw PersisterException.Failed("broken") else super.load(since)

                override suspend fun shutdown() {
                    closed += 1
                }
            }
            UserManagement.open(quick, holding).shutdown()
            assertEquals(1, closed)
            holding.isBroken = true
            assertFailsWith<RolekeepException.Unavailable> { UserManagement.open(quick, holding) }
            assertEquals(2, closed)
        }
    }

    /** Nobody else uses its file; deleted and forgotten rows leave nothing behind. */
    private class Own(file: File) : FilePersister(file) {
        val loads = AtomicInteger()
        val forgotten = mutableListOf<String>()

        override fun isShared() = false

        override suspend fun load(since: Long): Loaded {
            loads.incrementAndGet()
            return super.load(0).let { all -> all.copy(changes = all.changes.filter { it.row != null }, isWhole = true) }
        }

        override suspend fun forget(ids: List<String>) {
            forgotten += ids
            rewrite { position, rows -> position to rows - ids.toSet() }
        }
    }

    @Test
    fun `where nobody else writes nothing is looked for, and rights do not grow old`() = runBlocking<Unit> {
        inFolder { folder ->
            val own = Own(folder.resolve("own.json"))
            val um = UserManagement.open(quick.copy(roles = mapOf("editor" to listOf("document:edit"))), own)
            val me = um.actingAs(um.system().users.create(CreateUser(email = "ada@example.org", roles = listOf("editor"))).id)
            delay(1_300)
            assertTrue(me.can("document:edit"))
            assertEquals(1, own.loads.get())
            um.shutdown()
        }
    }

    @Test
    fun `what a persister is told to forget is gone, and what stays is whole`() = runBlocking<Unit> {
        inFolder { folder ->
            val own = Own(folder.resolve("own.json"))
            val um = UserManagement.open(quick, own)
            um.system().users.create(CreateUser(email = "ada@example.org"))
            um.system().users.delete(DeleteUser(um.system().users.create(CreateUser(email = "bob@example.org")).id))
            um.shutdown()

            // Eight days later, and these were the last commits before the 998th.
            own.rewrite { position, rows ->
                998L to rows.entries.associate { (id, kept) ->
                    if (!id.startsWith("commits/")) return@associate id to kept
                    val row = kept.second.jsonObject
                    val moved = row.getValue("position").jsonPrimitive.long + 998 - position
                    val at = row.getValue("at").jsonPrimitive.long - 8 * 24 * 3600 * 1_000_000L
                    "commits/$moved" to (moved to JsonObject(row + mapOf("position" to JsonPrimitive(moved), "at" to JsonPrimitive(at))))
                }
            }
            // The newest of the old lines stays.
            val old = own.read().second.keys.filter { it.startsWith("commits/") && it != "commits/998" }
            val later = UserManagement.open(quick, own)
            listOf("cleo", "dora").forEach { later.system().users.create(CreateUser(email = "$it@example.org")) }
            // After each thousandth commit, in the background.
            withTimeout(10_000) { while (own.forgotten.size < old.size) delay(10) }
            later.shutdown()
            assertEquals(old.sorted(), own.forgotten.sorted())
            assertTrue(own.read().second.keys.none { it in old })

            val again = UserManagement.open(quick, own)
            assertEquals(listOf("ada", "cleo", "dora"), again.system().users.list().items.map { it.email!!.substringBefore('@') }.sorted())
            assertTrue(again.system().audit.verify().isWhole)
            again.system().users.create(CreateUser(email = "eve@example.org"))
            again.shutdown()
        }
    }

    @Test
    fun `a file of one's own is refused to others`() = runBlocking<Unit> {
        inFolder { folder ->
            val settings = quick.copy(sqlite = folder.resolve("own.db").path, exclusive = true)
            val um = UserManagement.open(settings)
            val refused = assertFailsWith<RolekeepException.Unavailable> { UserManagement.open(settings) }
            assertEquals(Reason.STORAGE_UNAVAILABLE, refused.reason)
            um.shutdown()
            UserManagement.open(settings).shutdown()
        }
    }

    @Test
    fun `what a persister throws is a typed error, and nothing is kept`() = runBlocking<Unit> {
        inFolder { folder ->
            var problem: Throwable? = null
            val persister = object : FilePersister(folder.resolve("store.json")) {
                override suspend fun persist(batch: Batch) = problem?.let { throw it } ?: super.persist(batch)
            }
            val um = UserManagement.open(quick, persister)
            suspend fun create() = um.system().users.create(CreateUser(email = "ada@example.org"))
            problem = PersisterException.Full("the quota is used up")
            val full = assertFailsWith<RolekeepException.Unavailable> { create() }
            assertEquals(Reason.STORAGE_FULL, full.reason)
            assertTrue("the quota is used up" in full.message, full.message)
            assertEquals("this is not available at the moment; try again later", full.clientMessage)
            problem = IllegalStateException("the network is down")
            val failed = assertFailsWith<RolekeepException.Unavailable> { create() }
            assertEquals(Reason.STORAGE_UNAVAILABLE, failed.reason)
            assertTrue("the network is down" in failed.message && "\tat " !in failed.message, failed.message)
            problem = NotImplementedError("not yet")
            assertEquals(Reason.STORAGE_UNAVAILABLE, assertFailsWith<RolekeepException.Unavailable> { create() }.reason)
            problem = null
            assertEquals(1, create().version)
            assertEquals(1, um.system().users.list().total)
        }
    }

    @Test
    fun `rows that nobody wrote are refused`() = runBlocking<Unit> {
        fun persister(loaded: Loaded) = object : Persister {
            override suspend fun load(since: Long) = loaded
            override suspend fun persist(batch: Batch) = Persisted.DONE
        }
        val noObject = Loaded(1, listOf(RowChange("users/1", "users", "[]")))
        assertEquals(Reason.CORRUPT, assertFailsWith<RolekeepException.Internal> { UserManagement.open(quick, persister(noObject)) }.reason)
        val below = Loaded(-1, listOf())
        assertEquals(Reason.CORRUPT, assertFailsWith<RolekeepException.Internal> { UserManagement.open(quick, persister(below)) }.reason)
        val unknown = Loaded(1, listOf(RowChange("ships/1", "ships", "{}")))
        assertEquals(Reason.SCHEMA_NEWER, assertFailsWith<RolekeepException.Unavailable> { UserManagement.open(quick, persister(unknown)) }.reason)
        val noJson = Loaded(1, listOf(RowChange("users/1", "users", "{")))
        assertFailsWith<RolekeepException> { UserManagement.open(quick, persister(noJson)) }
    }

    @Test
    fun `a file and a persister do not go together`() = runBlocking<Unit> {
        inFolder { folder ->
            val persister = FilePersister(folder.resolve("store.json"))
            val error = assertFailsWith<RolekeepException.Validation> { UserManagement.open(Config(sqlite = "x.db"), persister) }
            assertEquals(Reason.CONFIG_INVALID, error.reason)
        }
    }
}
