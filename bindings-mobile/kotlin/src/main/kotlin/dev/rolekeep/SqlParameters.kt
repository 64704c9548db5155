package dev.rolekeep

import java.util.UUID

/**
 * The value as drivers bind it, such as `PreparedStatement.setObject`, by its [SqlParameter.kind]: a `Boolean`, `Long`, `String`, [UUID] or
 * `ByteArray`; for the kinds in the plural a `List` of those, for `Connection.createArrayOf`.
 */
fun SqlParameter.bound(): Any = when (kind) {
    SqlKind.BOOL -> value == "true"
    SqlKind.INT -> int(value)
    SqlKind.TEXT -> texts(value).single()
    SqlKind.UUID -> UUID.fromString(texts(value).single())
    SqlKind.BLOB -> texts(value).single().chunked(2) { it.toString().toInt(16).toByte() }.toByteArray()
    SqlKind.BOOLS -> items(value).map { it == "true" }
    SqlKind.INTS -> items(value).map(::int)
    SqlKind.TEXTS -> texts(value)
    SqlKind.UUIDS -> texts(value).map(UUID::fromString)
}

// One beyond 2^53 is text.
private fun int(json: JsonText) = json.trim('"').toLong()

/** The items of an array of numbers or truth values. */
private fun items(json: JsonText) = json.trim('[', ']').split(',').filter { it.isNotEmpty() }

/** The texts in a JSON value that is one, or an array of them. */
private fun texts(json: JsonText): List<String> = buildList {
    var at = json.indexOf('"')
    while (at >= 0) {
        val text = StringBuilder()
        at++
        while (json[at] != '"') {
            val letter = json[at++]
            if (letter != '\\') {
                text.append(letter)
                continue
            }
            val escaped = json[at++]
            when (escaped) {
                'b' -> text.append('\b')
                'f' -> text.append('\u000c')
                'n' -> text.append('\n')
                'r' -> text.append('\r')
                't' -> text.append('\t')
                'u' -> text.append(json.substring(at, at + 4).toInt(16).toChar()).also { at += 4 }
                else -> text.append(escaped)
            }
        }
        add(text.toString())
        at = json.indexOf('"', at + 1)
    }
}
