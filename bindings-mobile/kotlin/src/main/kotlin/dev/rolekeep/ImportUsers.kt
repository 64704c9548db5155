package dev.rolekeep

import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.takeWhile
import kotlinx.coroutines.runInterruptible
import java.io.ByteArrayOutputStream
import java.io.InputStream
import java.util.Base64
import java.util.UUID

/** So many bytes are fed at a time: about what one commit takes. */
private const val PIECE = 128 * 1024

/** And of one record that is longer. */
private const val LONGEST = 1024 * 1024

/**
 * Imports users from data of any size, of which no more than a piece is in memory; returns the finished import.
 *
 * An import ends early, with the status `STOPPED`, when too many of its records have failed. One that an exception or a cancellation
 * breaks off keeps what it made, and can be resumed.
 *
 * @param data is read to its end, on threads that may be blocked, and stays open.
 * @param resume an import that was broken off, with which it goes on: the data is the same from its beginning, and the options are those
 *   it was begun with.
 * @param onProgress is given what became of each piece, which is committed by then. An exception ends the import.
 */
suspend fun Caller.importUsers(
    data: InputStream,
    options: BeginImport,
    resume: UUID? = null,
    onProgress: suspend (ImportProgress) -> Unit = {},
): Import {
    val pieces = flow {
        val buffer = ByteArray(PIECE)
        while (true) {
            val count = runInterruptible(Dispatchers.IO) { data.read(buffer) }
            if (count < 0) break
            emit(buffer.copyOf(count))
        }
    }
    return importUsers(pieces, options, resume, onProgress)
}

/** The same from bytes that come in parts of any size. */
suspend fun Caller.importUsers(
    data: Flow<ByteArray>,
    options: BeginImport,
    resume: UUID? = null,
    onProgress: suspend (ImportProgress) -> Unit = {},
): Import {
    val begun = if (resume == null) imports.begin(options) else imports.resume(ResumeImport(resume))
    val feed = ImportFeed(imports, begun, onProgress)
    data.takeWhile { feed.push(it) }.collect {}
    return feed.finish()
}

private class ImportFeed(private val imports: Imports, private var status: Import, private val onProgress: suspend (ImportProgress) -> Unit) {
    /** What has come and was not read yet: the beginning of a record. */
    private val held = ByteArrayOutputStream()
    private var size = PIECE
    private val isOpen get() = status.status == ImportStatus.OPEN

    /** Feeds what comes next; whether more may come. */
    suspend fun push(bytes: ByteArray): Boolean {
        held.write(bytes, 0, bytes.size)
        if (held.size() >= size) feed(isOver = false)
        return isOpen
    }

    suspend fun finish(): Import {
        feed(isOver = true)
        return if (isOpen) imports.finish(FinishImport(status.id)) else status
    }

    private suspend fun feed(isOver: Boolean) {
        val left = held.toByteArray()
        var at = 0
        while (isOpen && (isOver || left.size - at >= size)) {
            val isLast = isOver && left.size - at <= size
            val piece = Base64.getEncoder().encodeToString(left.copyOfRange(at, minOf(at + size, left.size)))
            val progress = imports.feed(FeedImport(status.id, status.position, piece, isLast))
            val used = (progress.import.position - status.position).toInt()
            at += used
            // A record that is longer is fed whole.
            size = if (used > 0) PIECE else minOf(2 * size, LONGEST)
            status = progress.import
            onProgress(progress)
            if (isLast && at == left.size) break
        }
        held.reset()
        held.write(left, at, left.size - at)
    }
}
