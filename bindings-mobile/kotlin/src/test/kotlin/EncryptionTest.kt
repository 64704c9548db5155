import dev.rolekeep.*
import kotlinx.coroutines.runBlocking
import java.io.File
import kotlin.test.*

/** What is kept is encrypted where there is a key. */
class EncryptionTest {
    private val key = "a key of the application's: 32 bytes and more"
    private val other = "another key of the application, as long as that"
    private val password = "correct horse battery staple"
    private val told = listOf("ada@example.org", "example", "users", "credentials", "\$argon2", "commits")

    private fun keyed(first: String?, vararg retired: String) = quick.copy(encryptionKey = first, retiredEncryptionKeys = retired.toList())

    private suspend fun refused(open: suspend () -> UserManagement): Reason = assertFailsWith<RolekeepException> { open() }.reason

    private suspend fun UserManagement.use() = login("ada@example.org", password).done()

    @Test
    fun `a persister sees nothing of a row, and its store is read with its key alone`() = runBlocking<Unit> {
        inFolder { folder ->
            val file = folder.resolve("store.json")
            suspend fun open(settings: Config) = UserManagement.open(settings, FilePersister(file))
            val um = open(keyed(key))
            um.system().users.create(CreateUser(email = "ada@example.org", password = password))
            um.use()
            um.shutdown()
            assertEquals(listOf(), told.filter { it in file.readText() })
            for (settings in listOf(keyed(null), keyed(other))) assertEquals(Reason.ENCRYPTION_KEY_WRONG, refused { open(settings) })

            val rotated = open(keyed(other, key))
            rotated.use()
            rotated.shutdown()
            assertEquals(Reason.ENCRYPTION_KEY_WRONG, refused { open(keyed(key)) })
            assertEquals(listOf(), told.filter { it in file.readText() })
        }
    }

    @Test
    fun `a file has no secret in plain, and is read with its key alone`() = runBlocking<Unit> {
        inFolder { folder ->
            suspend fun open(settings: Config) = UserManagement.open(settings.copy(sqlite = folder.resolve("store.db").path))
            val um = open(keyed(key))
            um.system().users.create(CreateUser(email = "ada@example.org", password = password))
            um.use()
            um.shutdown()
            assertFalse(isPlain(folder))
            for (settings in listOf(keyed(null), keyed(other))) assertEquals(Reason.ENCRYPTION_KEY_WRONG, refused { open(settings) })

            val rotated = open(keyed(other, key))
            rotated.use()
            rotated.shutdown()
            assertEquals(Reason.ENCRYPTION_KEY_WRONG, refused { open(keyed(key)) })
        }
    }

    @Test
    fun `a change of the key is over once nothing is left to tidy`() = runBlocking<Unit> {
        inFolder { folder ->
            suspend fun open(settings: Config) = UserManagement.open(settings.copy(sqlite = folder.resolve("store.db").path))
            val um = open(keyed(key))
            um.system().users.create(CreateUser(email = "ada@example.org", password = password))
            um.shutdown()
            open(keyed(other, key)).shutdown()
            // Too soon: there are values under the old key still.
            assertEquals(Reason.ENCRYPTION_KEY_WRONG, refused { open(keyed(other)) })

            val rotating = open(keyed(other, key))
            var rounds = 1
            while (rotating.tidy().hasMore) rounds++
            println("tidy was called $rounds times")
            rotating.shutdown()
            val rotated = open(keyed(other))
            rotated.use()
            assertEquals(Tidied(lines = 0, rows = 0, users = 0, hasMore = false), rotated.tidy())
            rotated.shutdown()
            assertEquals(Reason.CLOSED, assertFailsWith<RolekeepException.Unavailable> { rotated.tidy() }.reason)
        }
    }

    @Test
    fun `without a key a file has secrets in plain`() = runBlocking<Unit> {
        inFolder { folder ->
            val um = UserManagement.open(quick.copy(sqlite = folder.resolve("store.db").path))
            um.system().users.create(CreateUser(email = "ada@example.org", password = password))
            um.shutdown()
            // What the other test looks for is there to be found.
            assertTrue(isPlain(folder))
        }
    }

    private fun isPlain(folder: File) = folder.walk().filter(File::isFile).any { "\$argon2" in it.readText(Charsets.ISO_8859_1) }
}
