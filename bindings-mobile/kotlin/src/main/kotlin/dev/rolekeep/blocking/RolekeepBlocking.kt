package dev.rolekeep.blocking

import dev.rolekeep.*
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.takeWhile
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.runInterruptible
import kotlinx.coroutines.withContext
import java.io.InputStream
import java.io.OutputStream
import java.util.UUID
import java.util.concurrent.CancellationException
import java.util.function.Consumer
import java.util.function.Predicate

/**
 * A [UserManagement] for Java, and for Kotlin without coroutines: every call blocks its thread until it is done.
 *
 * Errors are [RolekeepException]s, which are unchecked. Where the thread is interrupted a call throws a
 * [CancellationException]; what it asked for may still be carried out.
 */
class RolekeepBlocking private constructor(private val um: UserManagement) : AutoCloseable {
    /** The application itself. Rules do not restrict it, invariants do. Never use it to serve somebody else's request. */
    fun system() = BlockingCaller(um.system())

    /** A caller who is not signed in. */
    @JvmOverloads
    fun anonymous(request: RequestContext = RequestContext()) = BlockingCaller(um.anonymous(request))

    /**
     * Signs in with an e-mail address or username and the password; then [authenticate] with the access token.
     *
     * @param deviceToken That of an earlier sign-in on this device, if there was one.
     * @throws RolekeepException.Unauthorized whatever was wrong.
     */
    @JvmOverloads
    fun login(
        identifier: String,
        password: String,
        request: RequestContext = RequestContext(),
        deviceToken: String? = null,
    ): SignInResult = await { um.login(identifier, password, request, deviceToken) }

    /**
     * The caller of an access token or an API key.
     *
     * @throws RolekeepException.Unauthorized for one that is not valid, or no longer.
     */
    @JvmOverloads
    fun authenticate(accessToken: String, request: RequestContext = RequestContext()) =
        BlockingCaller(await { um.authenticate(accessToken, request) })

    /**
     * A caller for a user that the application vouches for, without a session.
     *
     * @throws RolekeepException.NotFound for no such user.
     */
    fun actingAs(userId: UUID) = BlockingCaller(await { um.actingAs(userId) })

    /**
     * The user who stands for a subject of another issuer, for whom the host vouches: it has verified a token of that
     * issuer, or knows the subject from a table of its own.
     *
     * @throws RolekeepException.NotFound where no account stands for it.
     * @throws RolekeepException.Unauthorized for a user who is not active.
     */
    fun actingAsIdentity(issuer: String, subject: String) = BlockingCaller(await { um.actingAsIdentity(issuer, subject) })

    /** Whether a user may do this to all resources there could be. Reads the user's rights if they are not in memory. */
    @JvmOverloads
    fun check(userId: UUID, permission: String, circumstances: Circumstances = Circumstances()): Boolean =
        await { um.check(userId, permission, circumstances) }

    /** The same with a resource. */
    @JvmOverloads
    fun check(userId: UUID, permission: String, resource: Resource, circumstances: Circumstances = Circumstances()): Boolean =
        await { um.check(userId, permission, resource, circumstances) }

    /**
     * Like `check`, from memory alone: it reads nothing.
     *
     * @throws RolekeepException.Unavailable with the reason `NOT_LOADED` where the user's rights are not in memory.
     */
    @JvmOverloads
    fun checkCached(userId: UUID, permission: String, circumstances: Circumstances = Circumstances()): Boolean =
        um.checkCached(userId, permission, circumstances)

    /** The same with a resource. */
    @JvmOverloads
    fun checkCached(userId: UUID, permission: String, resource: Resource, circumstances: Circumstances = Circumstances()): Boolean =
        um.checkCached(userId, permission, resource, circumstances)

    /** Many checks at one moment, about one user or several. */
    @JvmOverloads
    fun checkMany(checks: List<UserCheck>, circumstances: Circumstances = Circumstances()): List<Boolean> =
        await { um.checkMany(checks, circumstances) }

    /** Explains why a user may or may not do this. */
    @JvmOverloads
    fun explain(userId: UUID, permission: String, circumstances: Circumstances = Circumstances()): Explanation =
        await { um.explain(userId, permission, circumstances) }

    /** The same with a resource. */
    @JvmOverloads
    fun explain(userId: UUID, permission: String, resource: Resource, circumstances: Circumstances = Circumstances()): Explanation =
        await { um.explain(userId, permission, resource, circumstances) }

    /** How far the commits of the storage are known here, as an opaque text: see [circumstances]. */
    fun position(): String = um.position()

    /**
     * Reads at once what others wrote to the same storage; otherwise that takes up to 200 ms, and up to five seconds where nobody has
     * asked anything for a minute.
     */
    fun refresh() = await { um.refresh() }

    /** How well the store works, with everything that it depends on. Of a store that was closed it says so. */
    fun health(): Health = await { um.health() }

    /** Whether requests should be sent to this process: what its [health] says. */
    fun ready(): Boolean = await { um.ready() }

    /**
     * Lets go of what nobody asks for any more, and encrypts what is plain or under a retired key, as a store does by itself now and then;
     * see [UserManagement.tidy]. A call does a part: call it until `hasMore` is false.
     */
    fun tidy(): Tidied = await { um.tidy() }

    /**
     * Writes a backup into a file, which appears once it is whole, for its owner alone, in the place of one that is there.
     *
     * @param key seals the backup, so that nobody without it can change the backup unnoticed. It encrypts nothing.
     * @throws RolekeepException.Unavailable where the storage fails, or the file.
     */
    @JvmOverloads
    fun backup(path: String, key: String? = null): BackupSummary = await { um.backup(path, key) }

    /** The same into a stream, which is flushed at the end and stays open. What it throws is the cause of the exception. */
    @JvmOverloads
    fun backup(stream: OutputStream, key: String? = null): BackupSummary = await { um.backup(stream, key) }

    /** Finishes running commits and closes the storage; later calls throw [RolekeepException.Unavailable]. */
    override fun close() = um.close()

    companion object {
        /**
         * Opens a store: in memory, in the SQLite file of the config, or where the persister keeps it.
         *
         * @param notifier sends mail. Without one, what is done by mail, such as `passwords().forgot`, throws
         *   [RolekeepException.Unavailable] with the reason `NOT_OFFERED`, and users are not notified of what happens to their accounts.
         * @param breachedPasswords refuses passwords that are known from breaches.
         * @param restore a backup for the store, which has to be empty; see [restoreFrom].
         * @throws RolekeepException.Validation for config or a policy that are not valid.
         * @throws RolekeepException.Unavailable where the storage cannot be used.
         */
        @JvmStatic
        @JvmOverloads
        fun open(
            config: Config = Config(),
            persister: BlockingPersister? = null,
            notifier: BlockingNotifier? = null,
            breachedPasswords: BlockingBreachedPasswords? = null,
            restore: Restore? = null,
        ): RolekeepBlocking = RolekeepBlocking(
            await {
                UserManagement.open(
                    config,
                    persister?.let(::Adapter),
                    notifier?.let(::NotifierAdapter),
                    breachedPasswords?.let(::BreachedPasswordsAdapter),
                    restore,
                )
            },
        )

        /**
         * The same, where settings that [config] does not give are taken from variables of the process (`ROLEKEEP_SESSION_SECONDS`),
         * and those that neither gives from a file in TOML or JSON: see [UserManagement.openFromEnv].
         *
         * @throws RolekeepException.Validation naming every wrong one.
         */
        @JvmStatic
        @JvmOverloads
        fun openFromEnv(
            config: Config = Config(),
            configFile: String? = null,
            persister: BlockingPersister? = null,
            notifier: BlockingNotifier? = null,
            breachedPasswords: BlockingBreachedPasswords? = null,
            restore: Restore? = null,
        ): RolekeepBlocking = RolekeepBlocking(
            await {
                UserManagement.openFromEnv(
                    config,
                    configFile,
                    persister?.let(::Adapter),
                    notifier?.let(::NotifierAdapter),
                    breachedPasswords?.let(::BreachedPasswordsAdapter),
                    restore,
                )
            },
        )

        /** Opens a store in memory or in the SQLite file of the config, with a notifier that sends mail. */
        @JvmStatic
        fun open(config: Config, notifier: BlockingNotifier): RolekeepBlocking = open(config, null, notifier)

        /** Reads a backup in a file to its end, without a store, and says what is in it; see [dev.rolekeep.verifyBackup]. */
        @JvmStatic
        @JvmOverloads
        fun verifyBackup(path: String, key: String? = null): BackupSummary = await { dev.rolekeep.verifyBackup(path, key) }

        /** The same from a stream, which stays open. What it throws is the cause of the exception. */
        @JvmStatic
        @JvmOverloads
        fun verifyBackup(stream: InputStream, key: String? = null): BackupSummary = await { dev.rolekeep.verifyBackup(stream, key) }

        /**
         * A backup in a file, for the store that [open] opens.
         *
         * @param key takes a backup only that was sealed with this key.
         * @param keepSessions whether sessions go on that were open when the backup was made, those included that were ended since.
         * @param endApiKeys whether API keys end. Otherwise they go on, those included that were revoked since.
         */
        @JvmStatic
        @JvmOverloads
        fun restoreFrom(path: String, key: String? = null, keepSessions: Boolean = false, endApiKeys: Boolean = false): Restore =
            Restore(path, key, keepSessions, endApiKeys)

        /** The same from a stream, which stays open. What it throws is the cause of the exception. */
        @JvmStatic
        @JvmOverloads
        fun restoreFrom(stream: InputStream, key: String? = null, keepSessions: Boolean = false, endApiKeys: Boolean = false): Restore =
            Restore(stream, key, keepSessions, endApiKeys)

        /**
         * Gives the log records of all stores of this process, of this level or of more weight, to a sink, instead of to the one before; null
         * ends it. What the sink throws is ignored.
         */
        @JvmStatic
        fun logTo(level: LogLevel, sink: LogSink?) = dev.rolekeep.logTo(level, sink)

        /** All metrics of this process, in the text format of Prometheus; see [dev.rolekeep.metrics]. Nothing is measured before the first call. */
        @JvmStatic
        fun metrics(): String = dev.rolekeep.metrics()

        /** Compiles a policy without a store. */
        @JvmStatic
        fun rules(config: RulesConfig): Rules = Rules.compile(config)

        /** A resource of the application: `resource("document", Map.of("owner_id", id))`. */
        @JvmStatic
        @JvmOverloads
        fun resource(type: String, attributes: Map<String, Any?> = emptyMap()) = Resource(type, attributes.mapValues { jsonText(it.value) })

        /**
         * Options of a check about a user.
         *
         * @param context the values that conditions read as `context.NAME`.
         * @param atLeast a [position]: everything committed up to it counts.
         */
        @JvmStatic
        @JvmOverloads
        fun circumstances(context: Map<String, Any?> = emptyMap(), atLeast: String? = null) =
            Circumstances(context.mapValues { jsonText(it.value) }, atLeast)
    }
}

/** Runs operations and answers checks for somebody, by the rights of the moment of each call. */
class BlockingCaller internal constructor(private val caller: Caller) : BlockingAreas(caller) {
    /**
     * Whether the caller may do this to all resources there could be.
     *
     * @throws RolekeepException.Validation for an unknown permission.
     * @throws RolekeepException.Unauthorized once the session has ended.
     */
    fun can(permission: String): Boolean = caller.can(permission)

    /** Whether the caller may do this to a resource. */
    fun can(permission: String, resource: Resource): Boolean = caller.can(permission, resource)

    /** Several checks in one call. */
    fun canMany(checks: List<Check>): List<Boolean> = caller.canMany(checks)

    /** Whether there could be a resource to which the caller may do this: for menus. The answer may be a wrong yes, never a wrong no. */
    fun canSomewhere(permission: String): Boolean = caller.canSomewhere(permission)

    /** Throws [RolekeepException.Forbidden] unless [can] is true, [RolekeepException.Unauthorized] where nobody is signed in. */
    fun require(permission: String) = caller.require(permission)

    /** The same with a resource. */
    fun require(permission: String, resource: Resource) = caller.require(permission, resource)

    /** Whether the caller holds a role now: everywhere, or also just in a scope (`region:ID`). */
    @JvmOverloads
    fun hasRole(role: String, scope: String? = null): Boolean = caller.hasRole(role, scope)

    /** Throws [RolekeepException.Forbidden] unless [hasRole] is true, [RolekeepException.Unauthorized] where nobody is signed in. */
    @JvmOverloads
    fun requireRole(role: String, scope: String? = null) = caller.requireRole(role, scope)

    /** Whether the caller holds `admin:all` now, or is the application itself. */
    fun isAdministrator(): Boolean = caller.isAdministrator()

    /** Throws [RolekeepException.Forbidden] unless [isAdministrator] is true, [RolekeepException.Unauthorized] where nobody is signed in. */
    fun requireAdmin() = caller.requireAdmin()

    /** Whether the caller is a user or the application itself. */
    fun isSignedIn(): Boolean = caller.isSignedIn()

    /** The rows of your own table to which the caller may do this, as a condition in SQL. */
    fun filter(permission: String, table: SqlTable): SqlFilter = caller.filter(permission, table)

    /** Explains why the caller may or may not do this. For operators: it tells more than the caller may know. */
    fun explain(permission: String): Explanation = caller.explain(permission)

    /** The same with a resource. */
    fun explain(permission: String, resource: Resource): Explanation = caller.explain(permission, resource)

    /**
     * Imports users from data of any size, of which no more than a piece is in memory; returns the finished import.
     *
     * @param data is read to its end, and stays open.
     * @param resume an import that was broken off, with which it goes on: the data is the same from its beginning, and the options are
     *   those it was begun with.
     * @param onProgress is given what became of each piece, which is committed by then. An exception ends the import.
     */
    @JvmOverloads
    fun importUsers(data: InputStream, options: BeginImport, resume: UUID? = null, onProgress: Consumer<ImportProgress> = Consumer {}): Import =
        await { caller.importUsers(data, options, resume) { onProgress.accept(it) } }

    /**
     * Hands the events behind a position, and then those that happen, to [handle], one after another, until it answers false: what the caller
     * may hear of.
     *
     * @param from a position of events, `now` or `earliest`.
     * @throws RolekeepException.Conflict of the reason `POSITION_GONE` where the change feed no longer reaches back to the position, and
     *   `POSITION_FOREIGN` where it is none of this store.
     */
    fun subscribe(from: String, handle: Predicate<Event>): Unit = await { caller.subscribe(from).takeWhile { handle.test(it) }.collect {} }

    /**
     * Hands the events of a consumer to [handle], one after another, until it answers false: from where the consumer was left on, each at least
     * once. An event counts as handled once [handle] has answered true. While another process reads for the consumer, this one waits. For the
     * application itself.
     *
     * @throws RolekeepException.Conflict of the reason `LEASE_LOST` if an event took more than 30 seconds and another process reads on meanwhile.
     */
    fun consume(name: String, handle: Predicate<Event>): Unit = await { caller.consume(name).takeWhile { handle.test(it) }.collect {} }

    /** The same caller with this request context; fields that are not given keep their values. */
    fun withRequest(request: RequestContext) = BlockingCaller(caller.withRequest(request))
}

/** A host's own storage, as [Persister] describes it; its calls come one after another, on threads of the library. */
interface BlockingPersister {
    /** The newest position, and what changed after `since` (0: everything). */
    fun load(since: Long): Loaded

    /** Stores a batch if its `base` is the newest position. */
    fun persist(batch: Batch): Persisted

    /** These rows, by the ids of their changes, may be dropped. */
    fun forget(ids: List<String>) {}

    /** Releases what is held open. */
    fun shutdown() {}

    /** Whether anybody else may write to the same data. */
    fun isShared(): Boolean = true
}

private class Adapter(private val to: BlockingPersister) : Persister {
    override suspend fun load(since: Long) = withContext(Dispatchers.IO) { to.load(since) }

    override suspend fun persist(batch: Batch) = withContext(Dispatchers.IO) { to.persist(batch) }

    override suspend fun forget(ids: List<String>) = withContext(Dispatchers.IO) { to.forget(ids) }

    override suspend fun shutdown() = withContext(Dispatchers.IO) { to.shutdown() }

    override fun isShared() = to.isShared()
}

/**
 * Sends mail, as [Notifier] describes it; up to four calls run at a time, on threads that may be blocked. One that takes more
 * than 30 seconds is interrupted.
 *
 * ```java
 * var config = new ConfigBuilder().sqlite("app.db").linkUrl("https://app.example.org/account").build();
 * var um = RolekeepBlocking.open(config, notice -> {
 *     mailer.send(notice.getAddress(), notice.getSubject(), notice.getText());
 *     return Delivery.Sent.INSTANCE;
 * });
 * ```
 */
fun interface BlockingNotifier {
    /**
     * Sends a notice; it is [Delivery.Sent] only once it is durably on its way.
     *
     * @throws Exception any; the notice is given again later. So it is after null.
     */
    @Throws(Exception::class)
    fun send(notice: Notice): Delivery
}

internal class NotifierAdapter(private val to: BlockingNotifier) : Notifier {
    override suspend fun send(notice: Notice): Delivery = runInterruptible(Dispatchers.IO) {
        // Java may answer null, whatever the type says.
        to.send(notice) as Delivery? ?: throw NotifierException.Failed("the notifier answered null")
    }
}

/**
 * A list of passwords that are known from breaches, as [BreachedPasswords] describes it; it is called on threads that may be
 * blocked. A call that takes more than 5 seconds is interrupted.
 */
fun interface BlockingBreachedPasswords {
    /**
     * Whether it contains a password, which must not be logged or stored.
     *
     * @throws Exception any; the password is refused as `UNAVAILABLE` then.
     */
    @Throws(Exception::class)
    fun contain(password: String): Boolean
}

internal class BreachedPasswordsAdapter(private val list: BlockingBreachedPasswords) : BreachedPasswords {
    override suspend fun contain(password: String): Boolean = runInterruptible(Dispatchers.IO) { list.contain(password) }
}

internal fun <T> await(run: suspend () -> T): T = try {
    runBlocking { run() }
} catch (interrupted: InterruptedException) {
    // Checked, and no method declares it.
    Thread.currentThread().interrupt()
    throw CancellationException("the thread was interrupted").apply { initCause(interrupted) }
}
