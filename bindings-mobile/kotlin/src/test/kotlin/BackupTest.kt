import dev.rolekeep.*
import dev.rolekeep.blocking.RolekeepBlocking
import kotlinx.coroutines.*
import java.io.*
import java.nio.file.Files
import java.nio.file.attribute.PosixFilePermissions
import java.util.concurrent.atomic.AtomicInteger
import kotlin.random.Random
import kotlin.test.*
import kotlin.time.Duration.Companion.microseconds

/** OPS-4: backups from one storage to another, and what is refused. */
class BackupTest {
    private val key = "what seals backups, kept elsewhere"

    private suspend fun filled(folder: File): UserManagement {
        val um = UserManagement.open(quick.copy(sqlite = folder.resolve("x.db").path))
        repeat(20) { um.system().users.create(CreateUser(email = "u$it@example.org")) }
        return um
    }

    /** Whether a backup holds the same, but for the audit log, which tells of a restore. */
    private fun BackupSummary.content() = tables.filter { it.name !in setOf("audit_entries", "audit_heads") }

    private suspend fun restores(um: UserManagement): Int {
        assertTrue(um.system().audit.verify().isWhole)
        return um.system().audit.list(ListAudit(action = "store.restored")).items.size
    }

    /** A store that nothing was restored into takes a backup: this one, whole. */
    private suspend fun takes(path: String, whole: ByteArray, content: List<BackupTable>) {
        val um = UserManagement.open(quick.copy(sqlite = path), restore = Restore(whole.inputStream(), keepSessions = true))
        assertEquals(content, um.backup(ByteArrayOutputStream()).content())
        assertEquals(1, restores(um))
        um.shutdown()
    }

    private fun File.names() = list()!!.filter { "backup" in it }.sorted()

    @Test
    fun `there and back by paths and streams`() = runBlocking<Unit> {
        inFolder { folder ->
            val path = folder.resolve("x.backup").path
            val um = filled(folder)
            val written = um.backup(path, key)
            assertEquals(File(path).length(), written.bytes)
            assertTrue(written.isSealed && written.tables.single { it.name == "users" }.rows == 20L)
            assertEquals(listOf("x.backup"), folder.names())
            if ("posix" in folder.toPath().fileSystem.supportedFileAttributeViews()) {
                assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(File(path).toPath())))
            }
            val flushed = AtomicInteger()
            val sink = object : ByteArrayOutputStream() {
                override fun flush() = flushed.incrementAndGet().let { }
                override fun close() = fail("it is the host's")
            }
            val second = um.backup(sink, key)
            assertEquals(written.tables, second.tables)
            assertTrue(flushed.get() > 0)
            um.shutdown()

            assertEquals(written, verifyBackup(path, key))
            assertEquals(second, verifyBackup(sink.toByteArray().inputStream(), key))
            val source = object : FileInputStream(path) {
                override fun close() = super.close().also { isClosed = true }
                var isClosed = false
            }
            val restored = UserManagement.open(quick, restore = Restore(source, key, keepSessions = true))
            assertFalse(source.isClosed)
            source.close()
            assertEquals(written.content(), restored.backup(ByteArrayOutputStream()).content())
            assertEquals(1, restores(restored))
            val fromPath = UserManagement.openFromEnv(quick, restore = Restore(path, key, keepSessions = true))
            assertEquals(written.content(), fromPath.backup(ByteArrayOutputStream()).content())
            assertFalse(key in Restore(path, key).toString())
        }
    }

    @Test
    fun `sessions end unless they are kept`() = runBlocking<Unit> {
        val um = UserManagement.open(quick)
        um.system().users.create(CreateUser(email = "ada@example.org", password = seedPassword("ada@example.org")))
        val tokens = um.login("ada@example.org", seedPassword("ada@example.org")).done()
        val sink = ByteArrayOutputStream()
        um.backup(sink)
        suspend fun opened(keepSessions: Boolean) = UserManagement.open(quick, restore = Restore(sink.toByteArray().inputStream(), keepSessions = keepSessions))
        assertEquals("ada@example.org", opened(true).authenticate(tokens.accessToken).users.me().email)
        assertFailsWith<RolekeepException.Unauthorized> { opened(false).authenticate(tokens.accessToken) }
    }

    @Test
    fun `what is refused leaves nothing`() = runBlocking<Unit> {
        inFolder { folder ->
            val um = filled(folder)
            val written = um.backup(folder.resolve("x.backup").path, key)
            um.shutdown()
            val whole = folder.resolve("x.backup").readBytes()
            val full = assertFailsWith<RolekeepException.Conflict> {
                UserManagement.open(quick.copy(sqlite = folder.resolve("x.db").path), restore = Restore(whole.inputStream()))
            }
            assertEquals(Reason.STORE_NOT_EMPTY, full.reason)
            val still = UserManagement.open(quick.copy(sqlite = folder.resolve("x.db").path))
            assertEquals(20L, still.system().users.list().total)
            assertEquals(0, restores(still))
            still.shutdown()

            val middle = whole.size / 2
            val damaged = whole.copyOf().also { it[middle] = (it[middle].toInt() xor 1).toByte() }
            val lastLine = whole.copyOf(whole.size - 1).lastIndexOf('\n'.code.toByte()) + 1
            val bad = listOf(
                Triple(damaged, key, Reason.BACKUP_INVALID),
                Triple(whole.copyOf(middle), key, Reason.BACKUP_INVALID),
                Triple(whole.copyOf(lastLine), key, Reason.BACKUP_INVALID),
                Triple("PK something else\n".toByteArray(), null, Reason.BACKUP_INVALID),
                Triple(ByteArray(0), null, Reason.BACKUP_INVALID),
                Triple(whole, "another key", Reason.BACKUP_KEY_WRONG),
            )
            for ((content, given, reason) in bad) {
                val target = folder.resolve("${Random.nextLong()}.db").path
                val open: suspend (Restore) -> Unit = { UserManagement.open(quick.copy(sqlite = target), restore = it) }
                val file = folder.resolve("bad.backup").apply { writeBytes(content) }.path
                val refusals = listOf<suspend () -> Unit>(
                    { verifyBackup(content.inputStream(), given) },
                    { verifyBackup(file, given) },
                    { open(Restore(content.inputStream(), given)) },
                    { open(Restore(file, given)) },
                )
                for (refuse in refusals) assertEquals(reason, assertFailsWith<RolekeepException.Validation> { refuse() }.reason)
                takes(target, whole, written.content())
            }
        }
    }

    @Test
    fun `what a stream throws is the cause, and it is left alone after that`() = runBlocking<Unit> {
        inFolder { folder ->
            val um = filled(folder)
            // More than a piece.
            repeat(300) { um.system().users.create(CreateUser(email = "${"x".repeat(50)}$it@example.org")) }
            val whole = ByteArrayOutputStream().also { um.backup(it) }.toByteArray()
            assertTrue(whole.size > 3 * 65_536, "${whole.size}")
            for (problem in listOf(IOException("the tape tore"), StackOverflowError("the tape tore"))) {
                for (calls in listOf(0, 2)) {
                    val asked = AtomicInteger()
                    val broken = object : OutputStream() {
                        override fun write(one: Int) = fail("byte by byte")
                        override fun write(bytes: ByteArray, offset: Int, length: Int) {
                            if (asked.getAndIncrement() == calls) throw problem
                        }
                    }
                    val failed = assertFailsWith<RolekeepException.Unavailable> { um.backup(broken) }
                    assertSame(problem, failed.cause)
                    assertTrue("the tape tore" in failed.message && "\tat " !in failed.message, failed.message)
                    assertEquals(calls + 1, asked.get())
                }
                val target = folder.resolve("${problem::class.simpleName}.db").path
                for (calls in listOf(0, 2)) {
                    val asked = AtomicInteger()
                    fun broken() = object : FilterInputStream(whole.inputStream()) {
                        override fun read(into: ByteArray, offset: Int, length: Int): Int {
                            if (asked.getAndIncrement() == calls) throw problem
                            return super.read(into, offset, minOf(length, 1_000))
                        }
                    }
                    val failures = listOf<suspend () -> Unit>(
                        { verifyBackup(broken()) },
                        { UserManagement.open(quick.copy(sqlite = target), restore = Restore(broken())) },
                        { UserManagement.openFromEnv(quick.copy(sqlite = target), restore = Restore(broken())) },
                        { RolekeepBlocking.open(quick.copy(sqlite = target), restore = RolekeepBlocking.restoreFrom(broken())) },
                    )
                    for (fails in failures) {
                        asked.set(0)
                        val failed = assertFailsWith<RolekeepException.Unavailable> { fails() }
                        assertSame(problem, failed.cause)
                        assertEquals(calls + 1, asked.get())
                    }
                }
                takes(target, whole, verifyBackup(whole.inputStream()).content())
            }
            val unflushed = object : ByteArrayOutputStream() {
                override fun flush() = throw IOException("no room")
            }
            assertEquals("no room", assertFailsWith<RolekeepException.Unavailable> { um.backup(unflushed) }.cause?.message)
            um.shutdown()
        }
    }

    @Test
    fun `a file that is there stays as it was until the new one is whole`() = runBlocking<Unit> {
        inFolder { folder ->
            val um = filled(folder)
            val file = folder.resolve("x.backup")
            um.backup(file.path)
            val earlier = file.readText()
            assertFailsWith<RolekeepException.Validation> { um.backup(file.path, "") }
            assertEquals(earlier, file.readText())
            val other = folder.resolve("x.txt").apply { writeText("no backup") }
            assertFailsWith<RolekeepException.Validation> { um.backup(other.path) }
            assertEquals("no backup", other.readText())
            other.delete()
            assertFailsWith<RolekeepException.Unavailable> { um.backup(folder.resolve("nowhere/x.backup").path) }
            assertFailsWith<RolekeepException.Unavailable> { um.backup(folder.path) }
            assertFailsWith<RolekeepException.Unavailable> { verifyBackup(folder.resolve("nowhere").path) }
            assertEquals(listOf("x.backup"), folder.names())
            val written = um.backup(file.path)
            assertEquals(written, verifyBackup(file.path))
            um.shutdown()
            // Nor is there anything half written where the store is closed.
            assertEquals(Reason.CLOSED, assertFailsWith<RolekeepException.Unavailable> { um.backup(file.path) }.reason)
            assertEquals(written, verifyBackup(file.path))
            assertEquals(listOf("x.backup"), folder.names())
        }
    }

    @Test
    fun `a cancelled coroutine ends a backup and a restore in the middle`() = runBlocking<Unit> {
        inFolder { folder ->
            val um = filled(folder)
            val whole = ByteArrayOutputStream().also { um.backup(it) }.toByteArray()
            val content = verifyBackup(whole.inputStream()).content()
            val target = folder.resolve("y.db").path

            val asked = AtomicInteger()
            val slow = object : FilterInputStream(whole.inputStream()) {
                override fun read(into: ByteArray, offset: Int, length: Int): Int {
                    asked.incrementAndGet()
                    Thread.sleep(20)
                    return super.read(into, offset, minOf(length, 100))
                }
            }
            val opening = launch(Dispatchers.Default) { UserManagement.open(quick.copy(sqlite = target), restore = Restore(slow)) }
            while (asked.get() < 10) delay(1)
            opening.cancelAndJoin()
            stands(asked)
            takes(target, whole, content)

            // And a backup, which would otherwise go on behind its first piece.
            repeat(300) { um.system().users.create(CreateUser(email = "${"x".repeat(50)}$it@example.org")) }
            val wrote = AtomicInteger()
            val narrow = object : OutputStream() {
                override fun write(one: Int) = fail("byte by byte")
                override fun write(bytes: ByteArray, offset: Int, length: Int) {
                    wrote.incrementAndGet()
                    Thread.sleep(100)
                }
            }
            val writing = launch(Dispatchers.Default) { um.backup(narrow) }
            while (wrote.get() == 0) delay(1)
            writing.cancelAndJoin()
            stands(wrote)

            // At any moment: the file is whole, or there is none.
            val random = Random(7)
            val began = System.nanoTime()
            um.backup(folder.resolve("timed.backup").path)
            val lasts = (System.nanoTime() - began) / 1_000
            var done = 0
            repeat(40) { number ->
                val file = folder.resolve("$number.backup")
                val job = launch(Dispatchers.Default) { um.backup(file.path) }
                delay(random.nextLong(2 * lasts).microseconds)
                job.cancelAndJoin()
                if (file.exists()) verifyBackup(file.path).also { done++ }
            }
            withTimeout(10_000) { while (folder.names().any { it.endsWith(".part") }) delay(10) }
            folder.names().forEach { verifyBackup(folder.resolve(it).path) }
            println("of 40 backups that were cancelled $done were whole by then")
            um.shutdown()
        }
    }

    /** No more calls come after the one that was under way. */
    private suspend fun stands(calls: AtomicInteger) {
        delay(300)
        val now = calls.get()
        delay(300)
        assertEquals(now, calls.get())
    }

    @Test
    fun `several to one file at once`() = runBlocking<Unit> {
        inFolder { folder ->
            val um = filled(folder)
            val path = folder.resolve("x.backup").path
            val made = (1..16).map { async(Dispatchers.Default) { um.backup(path) } }.awaitAll()
            assertTrue(verifyBackup(path).sha256 in made.map { it.sha256 })
            assertEquals(listOf("x.backup"), folder.names())
            um.shutdown()
        }
    }

    @Test
    fun `without coroutines`() {
        val folder = Files.createTempDirectory("rolekeep").toFile()
        try {
            val path = folder.resolve("x.backup").path
            val sink = ByteArrayOutputStream()
            val written = RolekeepBlocking.open(quick).use { um ->
                um.system().users().create(CreateUser(email = "ada@example.org"))
                um.backup(sink, key)
                um.backup(path, key)
            }
            assertEquals(written, RolekeepBlocking.verifyBackup(path, key))
            assertEquals(written.content(), RolekeepBlocking.verifyBackup(sink.toByteArray().inputStream()).content())
            for (restore in listOf(RolekeepBlocking.restoreFrom(path, key), RolekeepBlocking.restoreFrom(sink.toByteArray().inputStream(), key))) {
                RolekeepBlocking.open(quick, restore = restore).use { assertEquals(1L, it.system().users().list().total) }
            }
        } finally {
            folder.deleteRecursively()
        }
    }
}
