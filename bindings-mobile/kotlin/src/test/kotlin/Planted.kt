import dev.rolekeep.RolekeepException
import kotlinx.serialization.json.*

/**
 * What a scenario's secrets are, and what was shown while it was played (SEC-13): of the one nothing may be in the other. It is told of
 * inputs and answers, and of all that anybody may print.
 */
class Watch {
    private val secrets = mutableSetOf<String>()

    /** What callers give beside them, which is no secret: a password may be somebody's name. */
    private val open = mutableSetOf<String>()
    private val shown = StringBuilder()

    /** Settings, or an input. */
    fun given(value: JsonElement?) = collect(value, isSecret = false, isAnswer = false)

    /** An answer as JSON: what is in it beside its secrets is shown. */
    fun answered(value: JsonElement) = collect(value, isSecret = false, isAnswer = true)

    @Synchronized
    private fun collect(value: JsonElement?, isSecret: Boolean, isAnswer: Boolean) {
        when (value) {
            null, JsonNull -> {}
            is JsonArray -> value.forEach { collect(it, isSecret, isAnswer) }
            // What a notice tells has its secrets in it.
            is JsonObject -> value.filterKeys { !isAnswer || it !in OF_OTHERS }.forEach { (name, item) -> collect(item, name in NAMES, isAnswer) }
            is JsonPrimitive -> if (value.isString && value.content.length >= SHORTEST) {
                val isToken = value.content.startsWith("eyJ") && '.' in value.content
                when {
                    isSecret || isToken -> secrets += value.content
                    isAnswer -> shown.appendLine(value.content)
                    else -> open += value.content
                }
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
    @Synchronized
    fun leak(): String? = (secrets - open).firstNotNullOfOrNull { secret ->
        val at = shown.indexOf(secret)
        if (at < 0) null else "\"$secret\" is shown: …${shown.substring(maxOf(0, at - 80), minOf(shown.length, at + 160))}…"
    }

    private companion object {
        /** Shorter ones are words that stand elsewhere as well. */
        const val SHORTEST = 12

        /** Names that other things have as well, errors and explanations: codes are short, and what a text tells is told beside it. */
        val OF_OTHERS = setOf("code", "text")
        val NAMES = Json.parseToJsonElement(repository.resolve("tests/conformance/secrets.json").readText()).jsonObject.values
            .flatMap { names -> names.jsonArray.map { it.jsonPrimitive.content } }.toSet() - OF_OTHERS
    }
}
