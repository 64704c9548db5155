import dev.rolekeep.*

suspend fun main() {
    val um = UserManagement.open(Config(roles = mapOf("editor" to listOf("document:edit")), permissions = listOf("document:delete")))
    val ada = um.system().users.create(CreateUser(email = "ada@example.org", roles = listOf("editor")))
    val me = um.actingAs(ada.id)
    println(me.can("document:edit"))
    println(me.can("document:delete"))
    println(me.explain("document:delete").text)
}
