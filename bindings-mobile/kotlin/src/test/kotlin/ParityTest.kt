import dev.rolekeep.*
import kotlinx.serialization.json.*
import kotlin.test.*

/** Every operation, field and word of the catalogue is there in Kotlin. */
class ParityTest {
    private val catalogue = Json.parseToJsonElement(javaClass.getResource("/catalogue.json")!!.readText()).jsonObject

    @Test
    fun `nothing is missing`() {
        assertEquals(emptyList(), missing(catalogue))
        val counts = catalogue.mapValues { it.value.jsonObject.size }
        assertTrue(counts.getValue("operations") >= 45 && counts.getValue("records") >= 60 && counts.getValue("words") >= 10, "$counts")
    }

    @Test
    fun `the documented operations are the same`() {
        val documented = Regex("""^\| `(\w+\.\w+)` \|""", RegexOption.MULTILINE).findAll(repository.resolve("docs/operations.md").readText())
        assertEquals(catalogue.getValue("operations").jsonObject.keys.toList(), documented.map { it.groupValues[1] }.toList())
    }

    @Test
    fun `what is missing is named`() {
        fun with(section: String, name: String, value: JsonElement) =
            missing(JsonObject(catalogue + (section to JsonObject(catalogue.getValue(section).jsonObject + (name to value)))))
        assertEquals(listOf("operation users.rename"), with("operations", "users.rename", JsonPrimitive("RenameUser")))
        assertEquals(listOf("operation ships.list"), with("operations", "ships.list", JsonPrimitive("ListShips")))
        assertEquals(listOf("input of users.get: GetShip"), with("operations", "users.get", JsonPrimitive("GetShip")))
        assertEquals(listOf("field User.shoe_size"), with("records", "User", JsonArray(listOf("id", "shoe_size").map(::JsonPrimitive))))
        assertEquals(listOf("record Ship"), with("records", "Ship", JsonArray(emptyList())))
        assertEquals(listOf("word Code.TEAPOT"), with("words", "Code", JsonArray(listOf("CONFLICT", "TEAPOT").map(::JsonPrimitive))))
        assertEquals(listOf("enum Sail"), with("words", "Sail", JsonArray(emptyList())))
    }

    @Test
    fun `every code has an exception of its own`() {
        val kinds = RolekeepException::class.java.declaredClasses.filter { RolekeepException::class.java.isAssignableFrom(it) }
        assertEquals(Code.entries.size, kinds.size)
        val facts = listOf("getDetail", "getCode", "getReason", "getFields", "getProblems", "getTimestamp", "getHttpStatus", "getMessage")
        for (kind in kinds) assertEquals(emptyList(), facts - kind.declaredMethods.map { it.name }.toSet(), kind.simpleName)
    }

    private fun missing(catalogue: JsonObject): List<String> {
        val operations = catalogue.getValue("operations").jsonObject.mapNotNull { (name, input) ->
            val (area, operation) = name.split('.')
            val takes = input.jsonPrimitive.contentOrNull
            val method = found(pascal(area))?.declaredMethods?.filter { it.name == camel(operation) && isProperty(area) }.orEmpty()
            when {
                method.isEmpty() -> "operation $name"
                // The last parameter is the continuation.
                method.none { it.parameterTypes.dropLast(1).map { type -> type.simpleName } == listOfNotNull(takes) } -> "input of $name: $takes"
                else -> null
            }
        }
        val fields = catalogue.getValue("records").jsonObject.flatMap { (record, fields) ->
            val kept = found(record)?.declaredFields?.map { it.name } ?: return@flatMap listOf("record $record")
            fields.jsonArray.map { it.jsonPrimitive.content }.filter { camel(it) !in kept }.map { "field $record.$it" }
        }
        val words = catalogue.getValue("words").jsonObject.flatMap { (name, words) ->
            val known = found(name)?.enumConstants?.map { "$it".replace("_", "") } ?: return@flatMap listOf("enum $name")
            words.jsonArray.map { it.jsonPrimitive.content }.filter { it.replace(Regex("[_.]"), "").uppercase() !in known }.map { "word $name.$it" }
        }
        return operations + fields + words
    }

    private fun found(name: String) = runCatching { Class.forName("dev.rolekeep.$name") }.getOrNull()

    private fun isProperty(area: String) =
        Class.forName("dev.rolekeep.AreasKt").declaredMethods.any { it.name == "get${pascal(area)}" && it.parameterTypes.single() == Caller::class.java }

    private fun pascal(name: String) = name.split('_').joinToString("") { it.replaceFirstChar(Char::uppercase) }

    private fun camel(name: String) = pascal(name).replaceFirstChar(Char::lowercase)
}
