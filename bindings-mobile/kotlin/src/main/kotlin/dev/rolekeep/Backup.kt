package dev.rolekeep

import java.io.InputStream
import java.io.OutputStream

/**
 * Writes a backup into a file, which appears once it is whole, for its owner alone, in the place of one that is there.
 *
 * @param key seals the backup, so that nobody without it can change the backup unnoticed. It encrypts nothing.
 * @throws RolekeepException.Unavailable where the storage fails, or the file.
 */
suspend fun UserManagement.backup(path: String, key: String? = null): BackupSummary = backup(BackupTarget.File(path), key)

/**
 * Writes a backup into a stream, from a thread that may be blocked.
 *
 * @param stream is flushed at the end, and stays open. If the coroutine is cancelled, the call of the stream that is under way is the last.
 * @throws RolekeepException.Unavailable where the storage fails, or the stream: what it threw is the cause. What was written until then is
 *   refused as a backup.
 */
suspend fun UserManagement.backup(stream: OutputStream, key: String? = null): BackupSummary =
    backup(BackupTarget.Stream(Sink(stream)), key)

/** Reads a backup in a file to its end, without a store, and says what is in it. */
suspend fun verifyBackup(path: String, key: String? = null): BackupSummary = verifyBackup(BackupSource.File(path), key)

/** The same from a stream, which stays open. What it throws is the cause of the exception. */
suspend fun verifyBackup(stream: InputStream, key: String? = null): BackupSummary =
    verifyBackup(BackupSource.Stream(Source(stream)), key)

/** A backup in a file, for the store that [UserManagement.open] opens. */
fun Restore(path: String, key: String? = null, keepSessions: Boolean = false, endApiKeys: Boolean = false): Restore =
    Restore(BackupSource.File(path), key, keepSessions, endApiKeys)

/** The same from a stream, which stays open. What it throws is the cause of the exception. */
fun Restore(stream: InputStream, key: String? = null, keepSessions: Boolean = false, endApiKeys: Boolean = false): Restore =
    Restore(BackupSource.Stream(Source(stream)), key, keepSessions, endApiKeys)

/** What a stream has thrown is kept here, as Rust carries its text alone. */
private abstract class Stream {
    @Volatile
    var thrown: Throwable? = null
        private set

    protected inline fun <T> asked(ask: () -> T): T = try {
        ask()
    } catch (problem: Throwable) {
        thrown = problem
        // Errors, too: what calls this takes exceptions alone.
        throw BackupStreamException.Failed(problem.toString())
    }
}

private class Sink(private val to: OutputStream) : Stream(), BackupWriter {
    override fun write(bytes: ByteArray) = asked { to.write(bytes) }

    override fun flush() = asked { to.flush() }
}

private class Source(private val from: InputStream) : Stream(), BackupReader {
    private var buffer = ByteArray(0)

    override fun read(most: UInt): ByteArray = asked {
        if (buffer.size < most.toInt()) buffer = ByteArray(most.toInt())
        buffer.copyOf(from.read(buffer, 0, most.toInt()).coerceAtLeast(0))
    }
}

internal fun causedBy(target: BackupTarget) = causedBy((target as? BackupTarget.Stream)?.writer)

internal fun causedBy(source: BackupSource?) = causedBy((source as? BackupSource.Stream)?.reader)

/** Errors as they are, with what the stream has thrown as their cause. */
private fun causedBy(stream: Any?) = object : UniffiRustCallStatusErrorHandler<RolekeepException> {
    override fun lift(error_buf: RustBuffer.ByValue): RolekeepException =
        RolekeepException.lift(error_buf).apply { (stream as? Stream)?.thrown?.let(::initCause) }
}
