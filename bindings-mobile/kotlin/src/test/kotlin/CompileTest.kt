import org.jetbrains.kotlin.cli.common.ExitCode
import org.jetbrains.kotlin.cli.jvm.K2JVMCompiler
import kotlinx.coroutines.runBlocking
import java.io.ByteArrayOutputStream
import java.io.File
import java.io.PrintStream
import kotlin.test.*

/** What the compiler takes and what it refuses, with the library on its class path. */
class CompileTest {
    private val program = """
        import dev.rolekeep.*

        suspend fun main() {
            val um = UserManagement.open(Config(roles = mapOf("editor" to listOf("document:edit"))))
            val ada = um.system().users.create(CreateUser(email = "ada@example.org", roles = listOf("editor")))
            val me = um.actingAs(ada.id)
            println(me.can("document:edit"))
            um.system().users.update(UpdateUser(ada.id, username = StringPatch.Clear))
            println(um.system().users.list(ListUsers(limit = 5)).items.map { it.email })
        }
    """.trimIndent()

    @Test
    fun `a small program compiles and a misspelt one does not`() {
        assertEquals(ExitCode.OK to "", compile(program))
        assertRefused("emial", "email = ", "emial = ")
        assertRefused("actingFor", "actingAs", "actingFor")
        assertRefused("creat", "users.create(", "users.creat(")
        assertRefused("Clean", "StringPatch.Clear", "StringPatch.Clean")
        assertRefused("UUID", "UpdateUser(ada.id", "UpdateUser(\"ada\"")
        assertRefused("mail", "it.email", "it.mail")
    }

    @Test
    fun `the taste is short and says what it should`() {
        val taste = repository.resolve("bindings-mobile/kotlin/src/test/kotlin/Taste.kt")
        assertTrue(taste.readLines().size <= 12)
        val java = File(System.getProperty("java.home"), "bin/java").path
        val library = "-Djna.library.path=${System.getProperty("jna.library.path")}"
        val run = ProcessBuilder(java, library, "-cp", System.getProperty("java.class.path"), "TasteKt").redirectError(ProcessBuilder.Redirect.DISCARD).start()
        val lines = run.inputStream.bufferedReader().readLines()
        assertEquals(0, run.waitFor(), lines.joinToString("\n"))
        assertEquals(listOf("true", "false"), lines.take(2))
        assertTrue(lines.drop(2).any { "document:delete" in it }, lines.joinToString("\n"))
    }

    @Test
    fun `names of a policy compile and a misspelt one does not`() {
        val names = repository.resolve("core/tests/names/Names.kt").readText()
        val program = """
            fun main() {
                check(Permissions.UserGroup.SET_STATUS == "user-group:set_status")
                check(Permissions.Any.INSTANCE == "any:instance" && Permissions.Permissions.READ == "permissions:read")
                check(Roles.OPERATOR_ON_CALL == "operatorOnCall" && Roles.INSTANCE == "INSTANCE")
            }
        """.trimIndent()
        assertEquals(ExitCode.OK to "", compile("$names\n$program"))
        for (right in listOf("SET_STATUS", "UserGroup", "OPERATOR_ON_CALL")) {
            val (code, said) = compile(names + "\n" + program.replaceFirst(right, "${right}S"))
            assertEquals(ExitCode.COMPILATION_ERROR, code, right)
            assertTrue("${right}S" in said, said)
        }
    }

    @Test
    fun `a resource that may not have been found is no resource`() {
        val guard = """
            import dev.rolekeep.*
            import java.util.UUID
            suspend fun guarded(um: UserManagement, ada: UUID, me: Caller, documents: Map<String, Resource>) {
                me.require("document:read", documents.getValue("1"))
                check(me.can("document:read", documents.getValue("1")) && me.can("document:read"))
                check(me.explain("document:read", documents.getValue("1")).allowed && me.explain("document:read").allowed)
                check(um.check(ada, "document:read", documents.getValue("1")) && um.check(ada, "document:read"))
                check(um.checkCached(ada, "document:read", documents.getValue("1")) && um.checkCached(ada, "document:read"))
                check(um.explain(ada, "document:read", documents.getValue("1")).allowed && um.explain(ada, "document:read").allowed)
            }
        """.trimIndent()
        assertEquals(ExitCode.OK to "", compile(guard))
        val about = listOf("me.require(", "me.can(", "me.explain(", "um.check(ada, ", "um.checkCached(ada, ", "um.explain(ada, ")
        for (place in about.map { "$it\"document:read\", " }) {
            assertTrue(place in guard)
            val (code, said) = compile(guard.replace(place + "documents.getValue(\"1\")", place + "documents[\"1\"]"))
            assertEquals(ExitCode.COMPILATION_ERROR, code, place)
            assertTrue("Resource?" in said, said)
        }
    }

    private fun assertRefused(wrong: String, right: String, instead: String) {
        assertTrue(right in program)
        val (code, said) = compile(program.replaceFirst(right, instead))
        assertEquals(ExitCode.COMPILATION_ERROR, code, instead)
        assertTrue(wrong in said, said)
    }

    private fun compile(text: String): Pair<ExitCode, String> = runBlocking {
        inFolder { folder ->
            val source = folder.resolve("Program.kt").apply { writeText(text) }
            val said = ByteArrayOutputStream()
            val arguments = arrayOf("-no-stdlib", "-no-reflect", "-nowarn", "-classpath", System.getProperty("java.class.path"), "-d", folder.path, source.path)
            K2JVMCompiler().exec(PrintStream(said), *arguments) to said.toString().trim()
        }
    }
}
