package dev.rolekeep

import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow

/** The rows of all pages; [read] gives the page after a cursor. */
internal fun <P, T> allRows(read: suspend (String?) -> P, items: (P) -> List<T>, next: (P) -> String?): Flow<T> = flow {
    var cursor: String? = null
    do {
        val page = read(cursor)
        items(page).forEach { emit(it) }
        cursor = next(page)
    } while (cursor != null)
}
