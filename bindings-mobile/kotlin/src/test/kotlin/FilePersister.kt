import dev.rolekeep.*
import kotlinx.coroutines.delay
import kotlinx.serialization.json.*
import java.io.File
import java.nio.file.Files
import java.nio.file.StandardCopyOption.ATOMIC_MOVE
import java.util.concurrent.atomic.AtomicInteger

/** Keeps the newest change of each row, with its position, in one JSON file that is replaced as a whole. */
open class FilePersister(private val file: File, private val millis: Long = 0) : Persister {
    /** How many calls ran at once at most: the library promises one. */
    val mostAtOnce = AtomicInteger()
    private val running = AtomicInteger()

    override suspend fun load(since: Long): Loaded = alone {
        val (position, rows) = read()
        val changes = rows.filter { (_, row) -> row.first > since }.map { (id, row) -> change(id, row.second) }
        Loaded(position, changes)
    }

    override suspend fun persist(batch: Batch): Persisted = alone {
        val (position, rows) = read()
        if (position != batch.base) return@alone Persisted.STALE
        delay(millis)
        val changed = rows + batch.changes.associate { it.id to (batch.position to (it.row?.let(Json::parseToJsonElement) ?: JsonNull)) }
        write(batch.position, changed)
        Persisted.DONE
    }

    private suspend fun <T> alone(run: suspend () -> T): T {
        mostAtOnce.accumulateAndGet(running.incrementAndGet(), ::maxOf)
        try {
            return run()
        } finally {
            running.decrementAndGet()
        }
    }

    fun read(): Pair<Long, Map<String, Pair<Long, JsonElement>>> {
        if (!file.exists()) return 0L to emptyMap()
        val kept = Json.parseToJsonElement(file.readText()).jsonObject
        val rows = kept.getValue("rows").jsonObject.mapValues { (_, row) -> row.jsonArray[0].jsonPrimitive.long to row.jsonArray[1] }
        return kept.getValue("position").jsonPrimitive.long to rows
    }

    fun rewrite(change: (Long, Map<String, Pair<Long, JsonElement>>) -> Pair<Long, Map<String, Pair<Long, JsonElement>>>) {
        val (position, rows) = read().let { change(it.first, it.second) }
        write(position, rows)
    }

    private fun write(position: Long, rows: Map<String, Pair<Long, JsonElement>>) {
        val kept = json("position" to JsonPrimitive(position), "rows" to writeMap(rows) { JsonArray(listOf(JsonPrimitive(it.first), it.second)) })
        val next = File("$file.next").apply { writeText(kept.toString()) }
        Files.move(next.toPath(), file.toPath(), ATOMIC_MOVE)
    }

    /** The table is not kept: it begins the id or, where the store encrypts, is always the same. */
    private fun change(id: String, row: JsonElement) = RowChange(id, if ('/' in id) id.substringBefore('/') else "encrypted", row.takeUnless { it is JsonNull }?.toString())
}
