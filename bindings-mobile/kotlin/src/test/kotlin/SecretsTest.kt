import kotlinx.serialization.json.*
import java.lang.reflect.ParameterizedType
import java.lang.reflect.Type
import java.time.Instant
import java.time.LocalDate
import java.util.UUID
import kotlin.test.*

/** Whatever the core's reflection calls a secret is not printed. */
class SecretsTest {
    private val secrets = Json.parseToJsonElement(repository.resolve("tests/conformance/secrets.json").readText()).jsonObject

    @Test
    fun `no record prints its secrets`() {
        for (record in secrets.keys) {
            val text = made(Class.forName("dev.rolekeep.$record")).toString()
            assertEquals("$record(…)", text)
        }
        assertTrue(secrets.size >= 6 && listOf("access_token", "refresh_token") == secrets.getValue("Tokens").jsonArray.map { it.jsonPrimitive.content })
    }

    @Test
    fun `what holds no secrets is printed`() {
        assertContains(made(Class.forName("dev.rolekeep.User")).toString(), MARK)
    }

    @Test
    fun `what is shown of a secret is seen`() {
        fun seen(show: Watch.() -> Unit) = Watch().also {
            it.given(Json.parseToJsonElement("""{"password": "$MARK", "full_name": "Ada of Somewhere"}"""))
            it.show()
        }.leak()
        assertNull(seen { printed("Ada of Somewhere") })
        assertContains(seen { printed(listOf(MARK)) }.orEmpty(), MARK)
        assertContains(seen { answered(Json.parseToJsonElement("""{"display_name": "$MARK"}""")) }.orEmpty(), MARK)
        assertNull(seen { answered(Json.parseToJsonElement("""{"text": "$MARK"}""")) })
    }

    /** A record with this text wherever it holds one; in maps as JSON, which some hold. */
    private fun made(type: Type): Any = when {
        type is ParameterizedType && type.rawType == Map::class.java ->
            if (type.actualTypeArguments.last() == String::class.java) mapOf(MARK to "\"$MARK\"") else emptyMap<String, Any>()
        type is ParameterizedType -> emptyList<Any>()
        type !is Class<*> -> fail("what is $type?")
        type == String::class.java -> MARK
        type == Boolean::class.javaPrimitiveType || type == java.lang.Boolean::class.java -> false
        type == Long::class.javaPrimitiveType || type == java.lang.Long::class.java -> 0L
        type == UUID::class.java -> UUID(0, 0)
        type == Instant::class.java -> Instant.EPOCH
        type == LocalDate::class.java -> LocalDate.EPOCH
        type.isEnum -> type.enumConstants.first()
        else -> type.constructors.filter { !it.isSynthetic }.maxBy { it.parameterCount }.let { constructor ->
            constructor.newInstance(*constructor.genericParameterTypes.map(::made).toTypedArray())
        }
    }

    private companion object {
        const val MARK = "correct horse battery staple"
    }
}
