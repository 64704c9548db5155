import dev.rolekeep.*
import java.io.File

suspend fun importTaste(file: File) = buildList<Any?> {
    val um = UserManagement.open(Config(preset = "standard"))
    val options = BeginImport(source = "old-shop", format = ImportFormat.CSV)
    val done = file.inputStream().use { data ->
        um.system().importUsers(data, options) { progress -> add(progress.import.counts.read) }
    }
    addAll(listOf(done.status, done.counts.created, done.counts.failed))
    um.system().imports.failuresAll(ListImportFailures(done.id)).collect { add(it.errors.single().field) }
}
