package dev.rolekeep.blocking

import dev.rolekeep.Config
import dev.rolekeep.MigrationStatus
import dev.rolekeep.MigrationStep
import dev.rolekeep.Migrations
import dev.rolekeep.RolekeepException

/** [Migrations] for threads that may wait. */
class MigrationsBlocking private constructor(private val migrations: Migrations) {
    /** How far the schema is. Nothing is changed; a file that does not exist is not made. */
    fun status(): MigrationStatus = await { migrations.status() }

    /**
     * What [apply] would run now, as SQL for another tool; empty where nothing is pending.
     *
     * @throws RolekeepException.Unavailable with the reason `SCHEMA_NEWER` or `SCHEMA_FOREIGN` where the schema is not this library's; so do
     *   [apply] and [down].
     */
    fun plan(): String = await { migrations.plan() }

    /** Applies all steps that are pending, in one transaction; none where another process was first. */
    fun apply(): List<MigrationStep> = await { migrations.apply() }

    /**
     * Takes the newest step back; null where none has been applied. Close the stores that use it before.
     *
     * @throws RolekeepException.Conflict with the reason `DATA_WOULD_BE_LOST` where the older schema has no place for what is stored.
     */
    fun down(): MigrationStep? = await { migrations.down() }

    companion object {
        /**
         * Those of the file that the config's `sqlite` names. Nothing is opened yet.
         *
         * @throws RolekeepException.Validation where it names none.
         */
        @JvmStatic
        fun of(config: Config): MigrationsBlocking = MigrationsBlocking(Migrations.of(config))
    }
}
