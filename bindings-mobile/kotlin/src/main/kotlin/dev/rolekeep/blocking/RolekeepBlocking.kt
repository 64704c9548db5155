package dev.rolekeep.blocking

import dev.rolekeep.*
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import java.util.UUID
import java.util.concurrent.CancellationException

/**
 * A [UserManagement] for Java, and for Kotlin without coroutines: every call blocks its thread until it is done.
 *
 * Errors are [RolekeepException]s, which are unchecked. Where the thread is interrupted a call throws a
 * [CancellationException]; what it asked for may still be carried out.
 */
class RolekeepBlocking private constructor(private val um: UserManagement) : AutoCloseable {
    /** The host itself: no rule holds it back, every invariant does. Not for requests of others. */
    fun system() = BlockingCaller(um.system())

    /** Somebody who has not signed in. */
    @JvmOverloads
    fun anonymous(request: RequestContext = RequestContext()) = BlockingCaller(um.anonymous(request))

    /**
     * Signs in with an e-mail address or username and the password; then [authenticate] with the access token.
     *
     * @throws RolekeepException.Unauthorized whatever was wrong.
     */
    @JvmOverloads
    fun login(identifier: String, password: String, request: RequestContext = RequestContext()): LoginResult =
        await { um.login(identifier, password, request) }

    /**
     * The user whom an access token was made for.
     *
     * @throws RolekeepException.Unauthorized for a token that is not valid, or no longer.
     */
    @JvmOverloads
    fun authenticate(accessToken: String, request: RequestContext = RequestContext()) =
        BlockingCaller(await { um.authenticate(accessToken, request) })

    /**
     * A user for whom the host vouches itself, without a session.
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

    /** Whether any user may do this, to a resource or at all; reads the user's rights where they are not in memory. */
    @JvmOverloads
    fun check(userId: UUID, permission: String, resource: Resource? = null, circumstances: Circumstances = Circumstances()): Boolean =
        await { um.check(userId, permission, resource, circumstances) }

    /** Many checks of one moment, about one user or several. */
    @JvmOverloads
    fun checkMany(checks: List<UserCheck>, circumstances: Circumstances = Circumstances()): List<Boolean> =
        await { um.checkMany(checks, circumstances) }

    /** Why any user may or may not do this. */
    @JvmOverloads
    fun explain(userId: UUID, permission: String, resource: Resource? = null, circumstances: Circumstances = Circumstances()): Explanation =
        await { um.explain(userId, permission, resource, circumstances) }

    /** The newest commit that this instance has made or heard of: see [circumstances]. */
    fun position(): Long = um.position().toLong()

    /** Finishes running commits and closes the storage; whatever is asked later throws [RolekeepException.Unavailable]. */
    override fun close() = um.close()

    companion object {
        /**
         * Opens a store: in memory, in the SQLite file of the settings, or where the persister keeps it.
         *
         * @throws RolekeepException.Validation for settings or a policy that are not valid.
         * @throws RolekeepException.Unavailable where the storage cannot be used.
         */
        @JvmStatic
        @JvmOverloads
        fun open(settings: Settings = Settings(), persister: BlockingPersister? = null): RolekeepBlocking =
            RolekeepBlocking(await { UserManagement.open(settings, persister?.let(::Adapter)) })

        /** Compiles a policy without a store. */
        @JvmStatic
        fun rules(settings: RulesSettings): Rules = Rules.compile(settings)

        /** Something of the host that a permission is asked for: `resource("document", Map.of("owner_id", id))`. */
        @JvmStatic
        @JvmOverloads
        fun resource(type: String, attributes: Map<String, Any?> = emptyMap()) = Resource(type, attributes.mapValues { jsonText(it.value) })

        /**
         * What a host knows when it asks about a user.
         *
         * @param context what the policy's conditions read as `context.…`.
         * @param atLeast a [position] up to which all that was written must count.
         */
        @JvmStatic
        @JvmOverloads
        fun circumstances(context: Map<String, Any?> = emptyMap(), atLeast: Long? = null) =
            Circumstances(context.mapValues { jsonText(it.value) }, atLeast?.toULong())
    }
}

/** Who is asking; its rights are those of the moment of each call. */
class BlockingCaller internal constructor(private val caller: Caller) : BlockingAreas(caller) {
    /**
     * Whether the caller may do this at all.
     *
     * @throws RolekeepException.Validation for an unknown permission.
     * @throws RolekeepException.Unauthorized once the session has ended.
     */
    fun can(permission: String): Boolean = caller.can(permission)

    /** Whether the caller may do this to a resource. */
    fun can(permission: String, resource: Resource): Boolean = caller.canOn(permission, resource)

    /** Several checks in one call. */
    fun canMany(checks: List<Check>): List<Boolean> = caller.canMany(checks)

    /** Whether the caller may do this to anything at all: a menu's question. It may say yes too often, never no. */
    fun canSomewhere(permission: String): Boolean = caller.canSomewhere(permission)

    /** [can], or [RolekeepException.Forbidden]. */
    fun require(permission: String) = caller.require(permission)

    /** [can], or [RolekeepException.Forbidden]. */
    fun require(permission: String, resource: Resource) = caller.requireOn(permission, resource)

    /** Whether the caller holds a role now: everywhere, or also just in a scope (`region:ID`). */
    @JvmOverloads
    fun hasRole(role: String, scope: String? = null): Boolean = caller.hasRole(role, scope)

    /** [hasRole], or [RolekeepException.Forbidden]. */
    @JvmOverloads
    fun requireRole(role: String, scope: String? = null) = caller.requireRole(role, scope)

    /** Whether the caller holds `admin:all` now, or is the host. */
    fun isAdministrator(): Boolean = caller.isAdministrator()

    /** [isAdministrator], or [RolekeepException.Forbidden]. */
    fun requireAdmin() = caller.requireAdmin()

    /** Whether somebody has signed in, or the host itself asks. */
    fun isSignedIn(): Boolean = caller.isSignedIn()

    /** Which rows of the host's own table the caller may do this to, as a condition in SQL. */
    fun filter(permission: String, table: SqlTable): SqlFilter = caller.filter(permission, table)

    /** Why the caller may or may not do this: for the host, not for the caller's eyes. */
    @JvmOverloads
    fun explain(permission: String, resource: Resource? = null): Explanation = caller.explain(permission, resource)

    /** The same caller, knowing this of the request, too. */
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

    /** Whether anybody else may write to the same data. */
    fun isShared(): Boolean = true
}

private class Adapter(private val to: BlockingPersister) : Persister {
    override suspend fun load(since: Long) = withContext(Dispatchers.IO) { to.load(since) }

    override suspend fun persist(batch: Batch) = withContext(Dispatchers.IO) { to.persist(batch) }

    override suspend fun forget(ids: List<String>) = withContext(Dispatchers.IO) { to.forget(ids) }

    override fun isShared() = to.isShared()
}

internal fun <T> await(run: suspend () -> T): T = try {
    runBlocking { run() }
} catch (interrupted: InterruptedException) {
    // Checked, and no method declares it.
    Thread.currentThread().interrupt()
    throw CancellationException("the thread was interrupted").apply { initCause(interrupted) }
}
