import dev.rolekeep.*
import java.io.File

fun rulesTaste(policy: File): List<Any> {
    val rules = Rules.compile(RulesConfig(policyToml = policy.readText()))
    val ada = rules.principal("ada", listOf("author"), mapOf("department" to "maps"))
    val document = { owner: String -> resource("document", "owner" to owner, "department" to "maps") }
    val why = ada.explain("document:edit", document("bob")).text
    return listOf(ada.can("document:edit", document("ada")), ada.can("document:edit", document("bob")), why)
}
