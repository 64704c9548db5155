import dev.rolekeep.RolekeepException
import kotlinx.serialization.json.*

/**
 * What a scenario's secrets are, and what was shown while it was played (SEC-13): of the one nothing may be in the other. It is told of
 * inputs and answers, and of all that anybody may print.
 */
class Watch {
    private val secrets = mutableSetOf<String>()

    /** What stands beside them is no secret: a password that is somebody's name is told as that. */
    private val open = mutableSetOf<String>()
    private val shown = StringBuilder()

    /** An input, or an answer as JSON. */
    @Synchronized
    fun exchanged(value: JsonElement?, isSecret: Boolean = false) {
        when (value) {
            null, JsonNull -> {}
            is JsonArray -> value.forEach { exchanged(it, isSecret) }
            is JsonObject -> value.forEach { (name, item) -> exchanged(item, name in NAMES) }
            is JsonPrimitive -> if (value.isString && value.content.length >= SHORTEST) {
                val isToken = value.content.startsWith("eyJ") && '.' in value.content
                (if (isSecret || isToken) secrets else open) += value.content
            }
        }
    }

    @Synchronized
    fun printed(value: Any?) {
        shown.appendLine(value)
    }

    /** An error, in every form in which it comes to somebody's eyes. */
    fun failed(error: RolekeepException) = printed("$error ${error.stackTraceToString()}")

    /** The first secret that was shown, and where. */
    fun leak(): String? = (secrets - open).firstNotNullOfOrNull { secret ->
        val at = shown.indexOf(secret)
        if (at < 0) null else "\"$secret\" is shown: …${shown.substring(maxOf(0, at - 80), minOf(shown.length, at + 160))}…"
    }

    private companion object {
        /** Shorter ones are words that stand elsewhere as well. */
        const val SHORTEST = 12

        /** But names that other things have as well, errors and explanations: codes are short, and what a text tells is told beside it. */
        val NAMES = Json.parseToJsonElement(repository.resolve("tests/conformance/secrets.json").readText()).jsonObject.values
            .flatMap { names -> names.jsonArray.map { it.jsonPrimitive.content } }.toSet() - setOf("code", "text")
    }
}
