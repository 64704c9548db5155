import dev.rolekeep.*
import kotlinx.coroutines.runBlocking

/** What crossing the language border costs: `mvn test-compile`, then run `MeasureKt` on the test class path. */
fun main() = runBlocking {
    val um = UserManagement.open(quick.copy(roles = mapOf("editor" to listOf("document:edit"))))
    val ada = um.system().users.create(CreateUser(email = "ada@example.org", roles = listOf("editor")))
    val me = um.actingAs(ada.id)
    suspend fun measure(what: String, times: Int, run: suspend () -> Unit) {
        repeat(times) { run() }
        val started = System.nanoTime()
        repeat(times) { run() }
        println("%-40s %8.2f µs".format(what, (System.nanoTime() - started) / 1000.0 / times))
    }
    val document = resource("document", "owner_id" to ada.id)
    val many = List(100) { Check("document:edit") }
    measure("can", 100_000) { me.can("document:edit") }
    measure("can, with a resource", 50_000) { me.can("document:edit", document) }
    measure("canMany, each of 100", 2_000) { me.canMany(many) }
    measure("me.users", 100_000) { me.users }
    val users = um.system().users
    measure("users.get, in memory", 20_000) { users.get(GetUser(ada.id)) }
    um.shutdown()
}
