import dev.rolekeep.*
import kotlinx.coroutines.flow.asFlow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.runBlocking
import java.io.InputStream
import java.util.UUID
import kotlin.test.*

/** Importing users from what the JVM reads. */
class ImportTest {
    private val options = BeginImport(source = "old", format = ImportFormat.JSON_LINES)

    /** So many users, a line each, of which 500 are most of what is fed at a time. */
    private fun lines(count: Int) = (0 until count).map {
        """{"foreign_id":"$it","email":"user$it@example.org","bio":"${"x".repeat(150)}"}${"\n"}""".toByteArray()
    }

    private fun withStore(tell: suspend (Caller) -> Unit) = runBlocking<Unit> {
        val um = UserManagement.open(quick.copy(preset = "standard"))
        tell(um.system())
        um.shutdown()
    }

    @Test
    fun `the program of the guide`() = runBlocking<Unit> {
        assertEquals(listOf<Any?>(3L, ImportStatus.FINISHED, 2L, 1L, "email"), importTaste(repository.resolve("docs/examples/users.csv")))
    }

    @Test
    fun `a file that is broken off goes on where it was`() = withStore { me ->
        inFolder { folder ->
            // More than is fed at once.
            val file = folder.resolve("users.jsonl").apply { outputStream().use { out -> lines(1200).forEach(out::write) } }
            val heard = mutableListOf<ImportProgress>()
            assertFailsWith<IllegalStateException> {
                file.inputStream().use { data -> me.importUsers(data, options) { heard += it; error("enough") } }
            }
            val begun = heard.single().import
            assertEquals(listOf<Long?>(500, 500), listOf(begun.counts.created, me.users.list().total))
            assertEquals(ImportStatus.OPEN, me.imports.get(GetImport(begun.id)).status)
            val done = file.inputStream().use { data -> me.importUsers(data, options, resume = begun.id) { heard += it } }
            assertEquals(Triple(begun.id, ImportStatus.FINISHED, 1200L), Triple(done.id, done.status, done.counts.created))
            assertEquals((1L..1200L).toList(), heard.flatMap { it.items }.map { it.number })
        }
    }

    @Test
    fun `bytes come in parts of any size`() = withStore { me ->
        val table = "foreign_id,email,full_name\n1,ada@example.org,Ada\n2,bob@example.org,Bøb\n".toByteArray()
        val csv = BeginImport(source = "shop", format = ImportFormat.CSV)
        val parts = table.asList().chunked(7) { it.toByteArray() } + ByteArray(0)
        assertEquals(2, me.importUsers(parts.asFlow(), csv).counts.created)
        assertEquals("Bøb", me.users.find(FindUser(email = "bob@example.org")).fullName)
        assertEquals(2, me.importUsers(table.inputStream(), csv).counts.skipped)
        assertEquals(ImportStatus.FINISHED, me.importUsers(InputStream.nullInputStream(), options).status)
    }

    @Test
    fun `a record that is longer than a piece is read`() = withStore { me ->
        val users = (0..2).joinToString(",", "[", "]") { """{"email":"user$it@example.org","ignored":"${"y".repeat(if (it == 1) 200_000 else 1)}"}""" }
        val json = BeginImport(source = "old", format = ImportFormat.JSON, shape = ImportShape.AUTH0, level = ImportLevel.CHECK)
        val done = me.importUsers(users.byteInputStream(), json)
        assertEquals(listOf(3L, 3L), listOf(done.counts.read, done.counts.created))
    }

    @Test
    fun `an import that has stopped is given back, and nothing more is read`() = withStore { me ->
        val endless = flow {
            repeat(100) { emit("x\n".repeat(10_000).toByteArray()) }
            fail("it is read on")
        }
        val done = me.importUsers(endless, options)
        assertEquals(ImportStatus.STOPPED to 10_000L, done.status to done.counts.failed)
    }

    @Test
    fun `what the import refuses, and what cannot be read`() = withStore { me ->
        assertFailsWith<RolekeepException.Validation> { me.importUsers("nobody\n1\n".byteInputStream(), options.copy(format = ImportFormat.CSV)) }
        assertFailsWith<RolekeepException.NotFound> { me.importUsers("".byteInputStream(), options, resume = UUID.randomUUID()) }
        val closed = InputStream.nullInputStream().apply { close() }
        assertFailsWith<java.io.IOException> { me.importUsers(closed, options) }
    }
}
