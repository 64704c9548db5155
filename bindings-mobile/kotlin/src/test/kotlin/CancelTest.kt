import dev.rolekeep.*
import kotlinx.coroutines.*
import kotlin.coroutines.Continuation
import kotlin.coroutines.EmptyCoroutineContext
import kotlin.coroutines.startCoroutine
import kotlin.random.Random
import kotlin.test.*

class CancelTest {
    @Test
    fun `a coroutine without a dispatcher goes on on a thread of the host, which it may block`() = runBlocking<Unit> {
        inFolder { folder ->
            val settings = quick.copy(sqlite = folder.resolve("store.db").path)
            val done = CompletableDeferred<List<String>>()
            // As `suspend fun main` runs.
            val body: suspend () -> List<String> = {
                val um = UserManagement.open(settings)
                um.system().users.create(CreateUser(email = "ada@example.org", password = "correct horse battery ada"))
                val after = Thread.currentThread().name
                um.close()
                listOf(after)
            }
            val thread = Thread { body.startCoroutine(Continuation(EmptyCoroutineContext) { done.completeWith(it) }) }
            thread.start()
            val after = withTimeout(20_000) { done.await() }.single()
            assertTrue(after.startsWith("DefaultDispatcher"), after)
        }
    }

    @Test
    fun `a cancelled coroutine leaves a persister's commit whole`() = runBlocking<Unit> {
        inFolder { folder ->
            val file = folder.resolve("store.json")
            val reached = CompletableDeferred<Unit>()
            val letGo = CompletableDeferred<Unit>()
            val persister = object : FilePersister(file) {
                override suspend fun persist(batch: Batch): Persisted {
                    if (batch.changes.any { it.table == "drones" }) {
                        reached.complete(Unit)
                        letGo.await()
                    }
                    return super.persist(batch)
                }
            }
            val um = UserManagement.open(quick.copy(preset = "flyos"), persister)
            val before = persister.read().first
            val job = launch(Dispatchers.Default) { um.system().setup.seed(flyos()) }
            // Within persist; nothing is in the file yet.
            reached.await()
            job.cancelAndJoin()
            assertEquals(before, persister.read().first)
            letGo.complete(Unit)
            um.system().users.create(CreateUser(email = "ada@example.org"))
            um.shutdown()
            val again = UserManagement.open(quick.copy(preset = "flyos"), FilePersister(file))
            val system = again.system()
            val counts = listOf(system.regions.list().total, system.users.list().total, system.drones.list().total)
            assertEquals(listOf<Long?>(2, 6, 5), counts)
            assertTrue(system.audit.verify().isWhole)
        }
    }

    @Test
    fun `coroutines cancelled at any moment leave SQLite whole`() = runBlocking<Unit> {
        inFolder { folder ->
            val settings = quick.copy(sqlite = folder.resolve("store.db").path, roles = mapOf("editor" to listOf("document:edit")))
            val um = UserManagement.open(settings)
            val random = Random(7)
            var cancelled = 0
            repeat(300) { number ->
                val job = launch(Dispatchers.Default) {
                    um.system().users.create(CreateUser(email = "u$number@example.org", roles = listOf("editor")))
                }
                val until = System.nanoTime() + random.nextLong(5_000_000)
                while (System.nanoTime() < until) yield()
                if (number % 10 != 0) job.cancel()
                job.join()
                if (job.isCancelled) cancelled++
            }
            um.system().users.create(CreateUser(email = "last@example.org", roles = listOf("editor")))
            um.shutdown()

            val again = UserManagement.open(settings)
            val system = again.system()
            val users = system.users.list().total
            println("of 300 creations $cancelled were cancelled, and ${users} users are there")
            assertTrue(cancelled in 1..270, "$cancelled of 300 were cancelled")
            // A user, its role and its audit entry are one commit.
            assertEquals(users, system.roles.assignments().total)
            assertEquals(users, system.audit.list(ListAudit(action = "users.create")).total)
            assertTrue(system.audit.verify().isWhole)
        }
    }
}
