import dev.rolekeep.*

suspend fun main() {
    val config = Config(sqlite = "app.db", roles = mapOf("editor" to listOf("document:edit")), permissions = listOf("document:delete"))
    UserManagement.open(config).use { um ->
        val ada: User = um.system().users.create(CreateUser(email = "ada@example.org", roles = listOf("editor")))
        val me: Caller = um.actingAs(ada.id)
        println("${me.can("document:edit")} ${me.can("document:delete")}")
    }
}
