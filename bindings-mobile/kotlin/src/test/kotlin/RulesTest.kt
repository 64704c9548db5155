import dev.rolekeep.*
import kotlinx.serialization.json.*
import java.time.Instant
import java.util.UUID
import kotlin.test.*

/** Rules without accounts. */
class RulesTest {
    private val policy = """
        [types.user]
        attributes = { id = "string", level = "int?" }
        [types.document]
        attributes = { owner = "string", tenant = "string?" }
        [permissions]
        "note:read" = "Read a note"
        "document:edit" = "Change a document"
        [context]
        on_site = "bool"
        [scopes.tenant]
        attribute = "tenant"
        [roles.author]
        allow = [{ permission = "document:edit", when = "resource.owner == principal.id" }]
        [roles.visitor]
        allow = [{ permission = "note:read", when = "context.on_site == true" }]
    """.trimIndent()

    private val demanding = """
        [types.user]
        attributes = { id = "string", ward = "int" }
        [types.ward]
        attributes = { number = "int" }
        [permissions]
        "ward:enter" = "Enter a ward"
        [roles.nurse]
        allow = [{ permission = "ward:enter", when = "resource.number == principal.ward" }]
    """.trimIndent()

    private fun document(owner: String) = resource("document", "owner" to owner, "tenant" to "acme")

    @Test
    fun `they decide as rules with accounts do`() {
        val folder = repository.resolve("tests/conformance/rules")
        val decisions = Json.parseToJsonElement(folder.resolve("decisions.json").readText()).jsonObject
        val rules = Rules.compile(RulesConfig(policyToml = folder.resolve("policy.toml").readText(), libraryTypes = true))
        val principals = decisions.getValue("principals").jsonArray.map { rules.principal(described(it.jsonObject)) }
        val questions = decisions.getValue("questions").jsonArray.map { it.jsonArray }
        for (question in questions) {
            val who = question[0].jsonPrimitive.intOrNull?.let(principals::get) ?: rules.anonymous()
            val given = answer(who.withContext(values(question[3].jsonObject)), question[1].jsonPrimitive.content, question[2])
            assertEquals(question[4], given, question.toString())
        }
        assertEquals(1000, questions.size)
    }

    private fun values(from: JsonObject) = from.mapValues { it.value.toString() }

    private fun described(data: JsonObject) = PrincipalData(
        id = data.text("id")!!,
        status = data.text("status"),
        verified = data.getValue("verified").jsonPrimitive.boolean,
        secondFactor = data.getValue("second_factor").jsonPrimitive.boolean,
        attributes = values(data.getValue("attributes").jsonObject),
        groups = data.getValue("groups").jsonObject.mapValues { (_, roles) -> roles.jsonArray.map { AssignedRole(it.jsonPrimitive.content) } },
        roles = data.getValue("roles").jsonArray.map {
            if (it is JsonPrimitive) AssignedRole(it.content)
            else AssignedRole(
                it.jsonObject.text("role")!!, it.jsonObject.text("scope"),
                it.jsonObject.text("valid_from")?.let(Instant::parse), it.jsonObject.text("valid_until")?.let(Instant::parse),
            )
        },
    )

    private fun JsonObject.text(key: String) = getValue(key).jsonPrimitive.contentOrNull

    private fun answer(who: Principal, permission: String, on: JsonElement): JsonElement = try {
        val resource = (on as? JsonObject)?.let { Resource(it.text("type")!!, values(JsonObject(it - "type"))) }
        JsonPrimitive(if (resource == null) who.can(permission) else who.can(permission, resource))
    } catch (error: RolekeepException) {
        writeReason(error.reason)
    }

    @Test
    fun `a principal is asked as a caller is`() {
        val rules = Rules.compile(RulesConfig(policyToml = policy))
        val ada = rules.principal(PrincipalData("ada", roles = listOf(AssignedRole("author")), groups = mapOf("staff" to listOf(AssignedRole("visitor")))))
        val (own, other) = document("ada") to document("bob")
        assertTrue(ada.can("document:edit", own) && !ada.can("document:edit", other) && !ada.can("document:edit"))
        assertEquals(listOf(true, false, false), ada.canMany(listOf(Check("document:edit", own), Check("document:edit", other), Check("document:edit"))))
        assertTrue(ada.canSomewhere("document:edit") && ada.hasRole("author") && ada.hasRole("visitor", "tenant:acme"))
        ada.require("document:edit", own)
        assertFailsWith<RolekeepException.Forbidden> { ada.require("document:edit", other) }
        assertFailsWith<RolekeepException.Forbidden> { ada.require("document:edit") }
        assertFalse(ada.explain("document:edit", other).allowed)
        val rows = ada.filter("document:edit", SqlTable(SqlDialect.SQLITE, "documents", columns = mapOf("owner" to SqlColumn("made_by"))))
        assertEquals("\"documents\".\"made_by\" COLLATE BINARY = ?1", rows.sql)
        assertEquals(Reason.CONTEXT_INCOMPLETE, assertFailsWith<RolekeepException.Validation> { ada.can("note:read") }.reason)
        assertTrue(ada.withContext(mapOf("on_site" to jsonText(true))).can("note:read"))
        assertTrue(rules.principal("bob", listOf("author"), mapOf("level" to 3)).can("document:edit", other))
    }

    @Test
    fun `the program of the guide`() {
        val (own, other, why) = rulesTaste(repository.resolve("docs/examples/documents.toml"))
        assertEquals<Any>(true to false, own to other)
        assertTrue(why.toString().startsWith("document:edit is denied"))
    }

    @Test
    fun `all that is wrong is told`() {
        val rules = Rules.compile(RulesConfig(policyToml = policy))
        val wrong = PrincipalData("ada", roles = listOf(AssignedRole("auhtor"), AssignedRole("author", "tennant:acme")), attributes = mapOf("level" to jsonText("high")))
        val refused = assertFailsWith<RolekeepException.Validation> { rules.principal(wrong) }
        assertEquals(listOf("attributes.level", "roles[0].role", "roles[1].scope"), refused.fields.map { it.field })
        assertContains(refused.message, "did you mean `author`?")
        for (level in listOf("[".repeat(1_000) + "]".repeat(1_000), "\"${"x".repeat(10_000_000)}\"")) {
            assertFailsWith<RolekeepException.Validation> { rules.principal(PrincipalData("ada", attributes = mapOf("level" to level))) }
        }
        val strict = Rules.compile(RulesConfig(policyToml = demanding))
        val missing = assertFailsWith<RolekeepException.Validation> { strict.principal("ada", listOf("nurse")) }
        assertEquals(listOf("attributes.ward"), missing.fields.map { it.field })
        assertTrue(strict.principal("ada", listOf("nurse"), mapOf("ward" to 3)).can("ward:enter", resource("ward", "number" to 3)))
        for (settings in listOf(RulesConfig(), RulesConfig(policyToml = policy, preset = "standard"), RulesConfig(policyToml = "[roles"))) {
            assertFailsWith<RolekeepException.Validation> { Rules.compile(settings) }
        }
        assertTrue(Rules.compile(RulesConfig(preset = "flyos")).principal(UUID(0, 1), listOf("OPERATOR")).canSomewhere("drone:read"))
    }
}
