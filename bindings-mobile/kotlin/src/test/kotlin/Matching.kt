import kotlinx.serialization.json.*
import java.time.OffsetDateTime

/** How an answer differs from what a scenario expects; null where it does not. */
fun difference(wanted: JsonElement, given: JsonElement, at: String = ""): String? {
    val differs = "${at.ifEmpty { "answer" }}: expected $wanted, got $given"
    return when {
        wanted is JsonObject && wanted.size == 1 && wanted.keys.single().startsWith("$") ->
            differs.takeUnless { fits(wanted.keys.single(), wanted.values.single(), given) }
        wanted is JsonObject && given is JsonObject -> wanted.entries.firstNotNullOfOrNull { (key, value) ->
            given[key]?.let { difference(value, it, "$at.$key") } ?: "$at.$key: there is no such key in $given".takeIf { key !in given }
        }
        wanted is JsonArray && given is JsonArray && wanted.size == given.size ->
            wanted.indices.firstNotNullOfOrNull { difference(wanted[it], given[it], "$at.$it") }
        wanted is JsonPrimitive && given is JsonPrimitive -> differs.takeUnless { same(wanted, given) }
        else -> differs
    }
}

private fun fits(matcher: String, wanted: JsonElement, given: JsonElement): Boolean = when (matcher) {
    "\$any" -> given !is JsonNull
    "\$contains" -> given is JsonPrimitive && given.isString && wanted.jsonPrimitive.content in given.content
    "\$length" -> given is JsonArray && given.size == wanted.jsonPrimitive.int
    "\$unordered" -> given is JsonArray && isArrangement(wanted.jsonArray, given)
    "\$includes" -> given is JsonArray && wanted.jsonArray.all { one -> given.any { difference(one, it) == null } }
    "\$not" -> difference(wanted, given) != null
    else -> error("there is no matcher $matcher")
}

/** Whether every wanted element has one of its own among those given, and none is left. */
private fun isArrangement(wanted: List<JsonElement>, given: List<JsonElement>): Boolean {
    val first = wanted.firstOrNull() ?: return given.isEmpty()
    return given.indices.any { at ->
        difference(first, given[at]) == null && isArrangement(wanted.drop(1), given.filterIndexed { index, _ -> index != at })
    }
}

private fun same(wanted: JsonPrimitive, given: JsonPrimitive): Boolean = when {
    wanted == given -> true
    wanted.isString && given.isString -> {
        val (first, second) = listOf(wanted, given).map { runCatching { OffsetDateTime.parse(it.content).toInstant() }.getOrNull() }
        first != null && first == second
    }
    // 1 and 1.0 are one number.
    !wanted.isString && !given.isString -> wanted.doubleOrNull?.let { it == given.doubleOrNull } ?: false
    else -> false
}
