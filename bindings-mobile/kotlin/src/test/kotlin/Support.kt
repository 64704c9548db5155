import dev.rolekeep.*
import kotlinx.serialization.json.*
import java.io.File
import java.nio.file.Files

/** The top of the repository. */
val repository = File(System.getProperty("repository"))

/** The least that is allowed: tests do not wait for passwords, nor depend on how fast a machine is. */
val quick = Config(hashingMemoryKib = 7168, hashingIterations = 5, hashingMaxMillis = 0)

/** What [quick] is, for settings that come as JSON. */
val quickJson = mapOf("hashing_memory_kib" to JsonPrimitive(7168), "hashing_iterations" to JsonPrimitive(5), "hashing_max_millis" to JsonPrimitive(0))

fun seedPassword(email: String) = "correct horse battery ${email.substringBefore('@')}"

/** The seed of the FlyOS example with a password for each user. */
fun flyos(): Seed {
    val seed = Json.parseToJsonElement(repository.resolve("examples/flyos/seed.json").readText()).jsonObject
    val emails = seed.getValue("users").jsonArray.map { it.jsonObject.getValue("email").jsonPrimitive.content }
    return readSeed(seed).copy(passwords = emails.associateWith(::seedPassword))
}

/** An error as the core writes it. */
fun written(error: RolekeepException) = json(
    "code" to writeCode(error.code),
    "reason" to writeReason(error.reason),
    "message" to writeString(error.message),
    "fields" to writeList(error.fields) { writeFieldError(it) },
    "problems" to writeList(error.problems) { writeProblem(it) },
    "timestamp" to error.timestamp?.let(::writeTime),
    "http_status" to JsonPrimitive(error.httpStatus),
)

suspend fun <T> inFolder(run: suspend (File) -> T): T {
    val folder = Files.createTempDirectory("rolekeep").toFile()
    try {
        return run(folder)
    } finally {
        folder.deleteRecursively()
    }
}
