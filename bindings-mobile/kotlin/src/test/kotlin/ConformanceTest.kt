import dev.rolekeep.LogLevel
import dev.rolekeep.logTo
import kotlinx.coroutines.runBlocking
import kotlinx.serialization.json.*
import org.junit.jupiter.api.AfterAll
import org.junit.jupiter.api.BeforeAll
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.TestFactory
import java.io.File
import java.util.concurrent.CopyOnWriteArraySet
import java.util.concurrent.Executors
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNotNull
import kotlin.test.assertTrue

/** Plays the scenarios of every language through Kotlin's typed face; the column `kotlin`. */
class ConformanceTest {
    @TestFactory
    fun `what every language does alike`(): List<DynamicTest> {
        val all = scenarios(repository.resolve("tests/conformance/scenarios"))
        val early = together(all.filter { (_, scenario) -> scenario.waits })
        return all.map { (name, scenario) ->
            DynamicTest.dynamicTest(name) {
                val outcome = early[name] ?: runCatching { play(scenario) }
                (if (outcome.isSuccess) passed else failed) += name
                outcome.getOrThrow()
            }
        }
    }

    /** Those that wait do so for clocks, which a storage has nothing to do with. */
    @TestFactory
    fun `the same on a storage written in Kotlin`(): List<DynamicTest> {
        val all = scenarios(repository.resolve("tests/conformance/scenarios")).filterNot { (_, scenario) -> scenario.waits }
        return all.map { (name, scenario) -> DynamicTest.dynamicTest(name) { play(scenario, persists = true) } }
    }

    /** Those that wait do so together; the others come after them, so that nobody's work holds them up meanwhile. */
    private fun together(scenarios: List<Pair<String, Scenario>>): Map<String, Result<Unit>> {
        val threads = Executors.newCachedThreadPool()
        val played = scenarios.map { (name, scenario) -> threads.submit<Pair<String, Result<Unit>>> { name to runCatching { play(scenario) } } }
        return played.associate { it.get() }.also { threads.shutdown() }
    }

    @TestFactory
    fun `the runner itself`(): List<DynamicTest> {
        val own = scenarios(repository.resolve("bindings-mobile/kotlin/src/test/resources/scenarios"))
        assertTrue(own.isNotEmpty())
        return own.map { (name, scenario) ->
            DynamicTest.dynamicTest(name) {
                // Those that start with a cross must not pass.
                if ("✗" in name) assertFailsWith<IllegalStateException> { play(scenario) } else play(scenario)
            }
        }
    }

    @Test
    fun `answers are compared as agreed`() {
        fun isFit(wanted: String, given: String) = difference(Json.parseToJsonElement(wanted), Json.parseToJsonElement(given)) == null
        assertTrue(isFit("""{"a": 1}""", """{"a": 1.0, "b": 2}""") && !isFit("""{"a": 1, "b": 2}""", """{"a": 1}"""))
        assertTrue(isFit("[1, 2]", "[1, 2]") && !isFit("[1]", "[1, 2]") && !isFit("[2, 1]", "[1, 2]"))
        assertTrue(isFit(""""2026-01-01T00:00:00Z"""", """"2026-01-01T01:00:00+01:00"""") && !isFit("\"a\"", "\"b\"") && !isFit("null", "0"))
        assertTrue(isFit("""{"${'$'}any": true}""", "0") && !isFit("""{"${'$'}any": true}""", "null"))
        assertTrue(isFit("""{"${'$'}length": 1}""", "[7]") && !isFit("""{"${'$'}length": 0}""", "[7]"))
        assertTrue(isFit("""{"${'$'}contains": "b"}""", "\"abc\"") && !isFit("""{"${'$'}contains": "d"}""", "\"abc\""))
        assertTrue(isFit("""{"${'$'}unordered": [{"${'$'}any": true}, 1]}""", "[1, 2]") && !isFit("""{"${'$'}unordered": [1, 1]}""", "[1, 2]"))
        assertTrue(isFit("""{"${'$'}includes": [2]}""", "[1, 2]") && !isFit("""{"${'$'}includes": [3]}""", "[1, 2]"))
        assertTrue(isFit("""{"${'$'}not": 1}""", "2") && !isFit("""{"${'$'}not": 1}""", "1"))
    }

    private fun play(scenario: Scenario, persists: Boolean = false) = runBlocking {
        inFolder {
            val player = Player(scenario.store, it, persists)
            watches += player.watch
            try {
                player.play(scenario.steps)
            } finally {
                watches -= player.watch
            }
        }
    }

    companion object {
        private val passed = mutableListOf<String>()
        private val failed = mutableListOf<String>()
        private val watches = CopyOnWriteArraySet<Watch>()

        /** Whatever is logged, each player looks through. */
        @JvmStatic
        @BeforeAll
        fun listen() = logTo(LogLevel.DEBUG) { record -> watches.forEach { it.printed(record) } }

        @JvmStatic
        @AfterAll
        fun write() {
            logTo(LogLevel.OFF, null)
            if (passed.isEmpty() && failed.isEmpty()) return
            val column = json("column" to JsonPrimitive("kotlin"), "passed" to writeList(passed, ::writeString), "failed" to writeList(failed, ::writeString))
            val folder = repository.resolve("target/conformance").also { it.mkdirs() }
            folder.resolve("kotlin.json").writeText("${Json { prettyPrint = true }.encodeToString(JsonElement.serializer(), column)}\n")
        }
    }
}

class Scenario(val store: JsonObject, val steps: List<JsonObject>) {
    val waits get() = steps.any { step -> (step["wait"]?.jsonPrimitive?.double ?: 0.0) >= 1.0 }
}

fun scenarios(folder: File): List<Pair<String, Scenario>> {
    val files = folder.listFiles { file -> file.extension == "json" }.orEmpty().sorted()
    return files.flatMap { file ->
        val content = Json.parseToJsonElement(file.readText()).jsonObject
        assertNotNull(content["scenarios"], "$file has no scenarios").jsonArray.map(JsonElement::jsonObject).map { one ->
            val store = one["store"] ?: content["store"] ?: JsonObject(emptyMap())
            val steps = one.getValue("steps").jsonArray.map(JsonElement::jsonObject)
            "${file.nameWithoutExtension}: ${one.getValue("name").jsonPrimitive.content}" to Scenario(store.jsonObject, steps)
        }
    }
}
