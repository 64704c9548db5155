import kotlinx.serialization.json.*
import java.time.Instant
import java.time.LocalDate
import java.util.UUID

/** What a scenario says and the types of Kotlin cannot: it belongs through the untyped call. */
class Inexpressible(message: String) : Exception(message)

private fun inexpressible(what: String): Nothing = throw Inexpressible(what)

fun JsonElement.record(vararg known: String): JsonObject {
    if (this is JsonNull) return JsonObject(emptyMap())
    val record = this as? JsonObject ?: inexpressible("$this is no object")
    (record.keys - known.toSet()).firstOrNull()?.let { inexpressible("there is no field $it") }
    return record
}

fun <T> JsonObject.required(key: String, read: (JsonElement) -> T): T = read(get(key) ?: inexpressible("$key must be given"))

fun <T> JsonObject.optional(key: String, read: (JsonElement) -> T): T? = get(key).takeUnless { it is JsonNull }?.let(read)

fun <T> JsonObject.change(key: String, read: (JsonElement) -> T): T? = get(key)?.let(read)

fun <T> JsonObject.patch(key: String, clear: T, set: (JsonElement) -> T): T? =
    get(key)?.let { if (it is JsonNull) clear else set(it) }

fun <T> JsonObject.list(key: String, read: (JsonElement) -> T): List<T> = get(key)?.elements(read) ?: emptyList()

fun <T> JsonObject.map(key: String, read: (JsonElement) -> T): Map<String, T> =
    (get(key) ?: JsonObject(emptyMap())).let { it as? JsonObject ?: inexpressible("$it is no object") }.mapValues { read(it.value) }

fun <T> JsonElement.elements(read: (JsonElement) -> T): List<T> =
    (this as? JsonArray ?: inexpressible("$this is no list")).map(read)

fun readString(from: JsonElement): String =
    (from as? JsonPrimitive)?.takeIf { it.isString }?.content ?: inexpressible("$from is no text")

fun readInt(from: JsonElement): Long = (from as? JsonPrimitive)?.takeIf { !it.isString }?.longOrNull ?: inexpressible("$from is no integer")

fun readBool(from: JsonElement): Boolean = (from as? JsonPrimitive)?.takeIf { !it.isString }?.booleanOrNull ?: inexpressible("$from is no boolean")

fun readId(from: JsonElement): UUID = parsed(from, UUID::fromString)

fun readTime(from: JsonElement): Instant = parsed(from, Instant::parse)

fun readDate(from: JsonElement): LocalDate = parsed(from, LocalDate::parse)

private fun <T> parsed(from: JsonElement, parse: (String) -> T): T {
    val text = readString(from)
    // Java reads ids more loosely than it writes them.
    return runCatching { parse(text) }.getOrNull()?.takeIf { it !is UUID || it.toString() == text.lowercase() }
        ?: inexpressible("$text is of another form")
}

fun readJson(from: JsonElement): String = from.toString()

fun writeString(from: String) = JsonPrimitive(from)

fun writeInt(from: Long) = JsonPrimitive(from)

fun writeBool(from: Boolean) = JsonPrimitive(from)

fun writeId(from: UUID) = JsonPrimitive(from.toString())

fun writeTime(from: Instant) = JsonPrimitive(from.toString())

fun writeDate(from: LocalDate) = JsonPrimitive(from.toString())

fun writeJson(from: String) = Json.parseToJsonElement(from)

fun <T> writeList(from: List<T>, write: (T) -> JsonElement) = JsonArray(from.map(write))

fun <T> writeMap(from: Map<String, T>, write: (T) -> JsonElement) = JsonObject(from.mapValues { write(it.value) })

fun json(vararg fields: Pair<String, JsonElement?>) = JsonObject(fields.associate { (key, value) -> key to (value ?: JsonNull) })
