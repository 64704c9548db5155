package dev.rolekeep

/** A resource of the application: `resource("document", "owner_id" to id, "title" to null)`. */
fun resource(type: String, vararg attributes: Pair<String, Any?>): Resource =
    Resource(type, attributes.associate { (name, value) -> name to jsonText(value) })

/**
 * Somebody who asks, by rules without accounts: `rules.principal(user.id, listOf("author"), mapOf("department" to "maps"))`.
 * [PrincipalData] says more: scopes, times, groups, a status.
 *
 * @param id a UUID, unless the policy declares another type for the attribute `id` of the type `user`.
 * @throws RolekeepException.Validation naming every wrong field.
 */
fun Rules.principal(id: Any, roles: List<String> = emptyList(), attributes: Map<String, Any?> = emptyMap()): Principal =
    principal(PrincipalData(id.toString(), roles = roles.map { AssignedRole(it) }, attributes = attributes.mapValues { jsonText(it.value) }))

/**
 * A plain value as [JsonText]: null, booleans, whole numbers, text, ids, times, and lists and maps of those.
 *
 * @throws IllegalArgumentException for anything else.
 */
fun jsonText(value: Any?): JsonText = when (value) {
    null, is Boolean, is Long, is Int, is Short, is Byte -> value.toString()
    is CharSequence, is Char, is java.util.UUID, is java.time.Instant, is java.time.LocalDate -> quoted(value.toString())
    is Iterable<*> -> value.joinToString(",", "[", "]") { jsonText(it) }
    is Map<*, *> -> value.entries.joinToString(",", "{", "}") { (key, item) -> "${quoted(key.toString())}:${jsonText(item)}" }
    else -> throw IllegalArgumentException("a ${value::class.simpleName} has no place in JSON")
}

private fun quoted(text: String) = buildString {
    append('"')
    for (letter in text) {
        when {
            letter == '"' || letter == '\\' -> append('\\').append(letter)
            letter < ' ' -> append("\\u%04x".format(letter.code))
            else -> append(letter)
        }
    }
    append('"')
}
