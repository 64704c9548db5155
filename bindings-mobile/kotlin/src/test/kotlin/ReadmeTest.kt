import org.jetbrains.kotlin.cli.common.ExitCode
import org.jetbrains.kotlin.cli.jvm.K2JVMCompiler
import kotlinx.coroutines.runBlocking
import java.io.ByteArrayOutputStream
import java.io.File
import java.io.PrintStream
import javax.tools.ToolProvider
import kotlin.test.*

/** README.md keeps its word: its programs compile, run one after another, and print what stands beside them. */
class ReadmeTest {
    private val readme = repository.resolve("bindings-mobile/kotlin/README.md").readText()
    private val classPath: String = System.getProperty("java.class.path")

    private fun blocks(language: String) =
        Regex("""^```$language\n(.*?)^```$""", setOf(RegexOption.MULTILINE, RegexOption.DOT_MATCHES_ALL)).findAll(readme).map { it.groupValues[1] }.toList()

    @Test
    fun `the Kotlin runs`() = runBlocking<Unit> {
        val blocks = blocks("kotlin")
        assertTrue(blocks.size >= 7)
        val (imports, lines) = blocks.joinToString("\n").lines().partition { it.startsWith("import ") }
        val program = "${imports.joinToString("\n")}\nsuspend fun main() {\n${lines.joinToString("\n")}\n}\n"
        inFolder { folder ->
            val source = folder.resolve("Readme.kt").apply { writeText(program) }
            val said = ByteArrayOutputStream()
            val arguments = arrayOf("-no-stdlib", "-no-reflect", "-nowarn", "-classpath", classPath, "-d", folder.path, source.path)
            assertEquals(ExitCode.OK to "", K2JVMCompiler().exec(PrintStream(said), *arguments) to said.toString().trim())
            assertEquals(promised(blocks, "println"), run(folder, "ReadmeKt"))
        }
    }

    @Test
    fun `the Java runs, without a warning`() = runBlocking<Unit> {
        val blocks = blocks("java")
        assertEquals(1, blocks.size)
        inFolder { folder ->
            val source = folder.resolve("Readme.java").apply { writeText(blocks.single()) }
            val said = ByteArrayOutputStream()
            val options = arrayOf("-Xlint:all", "-Werror", "-classpath", classPath, "-d", folder.path, source.path)
            assertEquals(0 to "", ToolProvider.getSystemJavaCompiler().run(null, said, said, *options) to said.toString())
            assertEquals(promised(blocks, "System.out.println"), run(folder, "Readme"))
        }
    }

    @Test
    fun `it names the version of the package`() {
        val pom = repository.resolve("bindings-mobile/kotlin/pom.xml").readText()
        val version = Regex("<artifactId>rolekeep-jvm</artifactId>\n +<version>(.*)</version>")
        assertEquals(version.find(pom)!!.groupValues[1], version.find(readme)!!.groupValues[1])
    }

    private fun promised(blocks: List<String>, print: String) =
        Regex("""^\s*${Regex.escape(print)}\(.*\);? // (.*)$""", RegexOption.MULTILINE).findAll(blocks.joinToString("\n")).map { it.groupValues[1] }.toList()

    private fun run(folder: File, main: String): List<String> {
        val java = File(System.getProperty("java.home"), "bin/java").path
        val library = "-Djna.library.path=${System.getProperty("jna.library.path")}"
        val command = listOf(java, library, "-cp", "$classPath${File.pathSeparator}$folder", main)
        val run = ProcessBuilder(command).directory(folder).redirectError(ProcessBuilder.Redirect.INHERIT).start()
        val lines = run.inputStream.bufferedReader().readLines()
        assertEquals(0, run.waitFor(), lines.joinToString("\n"))
        return lines
    }
}
