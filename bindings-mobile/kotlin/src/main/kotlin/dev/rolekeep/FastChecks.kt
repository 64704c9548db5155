package dev.rolekeep

import java.util.UUID
import java.util.concurrent.ConcurrentHashMap

/** Checks by numbers: a tenth of a microsecond across the language border instead of tens. */
internal open class Fast(private val learn: (String) -> List<Long>) {
    @Volatile private var own = 0L

    /** None where the other way must be taken, which says what is wrong. */
    protected fun ask(permission: String, ask: (own: Long, permission: Long) -> Int): Boolean? =
        if (permission.endsWith('}')) null else answer(number(permission).let { ask(own, it) })

    /** The same about a resource. */
    protected fun askOn(permission: String, resource: Resource, ask: (own: Long, permission: Long, buffer: Long, length: Int) -> Int): Boolean? {
        val known = known(permission) ?: return null
        return Packed.with { packed ->
            val length = packed.resource(resource)
            if (length == 0) null else answer(ask(own, known, packed.number, length))
        }
    }

    /** The same for many checks. */
    protected fun askMany(checks: List<Check>, ask: (own: Long, buffer: Long, length: Int) -> Int): List<Boolean>? = Packed.with { packed ->
        val length = packed.checks(checks, ::known)
        if (length == 0 || own == 0L || ask(own, packed.number, length) != 1) null else packed.answers(checks.size)
    }

    private fun answer(answer: Int) = when (answer) {
        1 -> true
        0 -> false
        else -> null
    }

    private fun number(permission: String): Long {
        val known = permissions[permission]
        if (known != null && own != 0L) return known
        val (number, learnt) = learn(permission)
        own = number
        permissions[permission] = learnt
        return learnt
    }

    /** None where the question without a resource is an error: that of the question with one may be another. */
    private fun known(permission: String): Long? = try {
        if (permission.endsWith('}')) null else number(permission)
    } catch (_: RolekeepException) {
        null
    }

    private companion object {
        /** Only names that a policy declares. */
        val permissions = ConcurrentHashMap<String, Long>()
    }
}

/** [Caller.can] and [Caller.canMany]. */
internal class FastChecks(caller: Caller) : Fast(caller::numbers) {
    fun can(permission: String): Boolean? = ask(permission, Direct::rolekeep_can)

    fun can(permission: String, resource: Resource): Boolean? = askOn(permission, resource, Direct::rolekeep_can_on)

    fun canMany(checks: List<Check>): List<Boolean>? = askMany(checks, Direct::rolekeep_can_many)
}

/** [Principal.can] and [Principal.canMany]. */
internal class FastPrincipalChecks(principal: Principal) : Fast(principal::numbers) {
    fun can(permission: String): Boolean? = ask(permission, Direct::rolekeep_principal_can)

    fun can(permission: String, resource: Resource): Boolean? = askOn(permission, resource, Direct::rolekeep_principal_can_on)

    fun canMany(checks: List<Check>): List<Boolean>? = askMany(checks, Direct::rolekeep_principal_can_many)
}

/** [UserManagement.check] under no circumstances. */
internal class FastUserChecks(um: UserManagement) : Fast(um::numbers) {
    fun checkCached(user: UUID, permission: String, circumstances: Circumstances): Boolean? = if (circumstances != none) null else
        ask(permission) { own, known -> Direct.rolekeep_check(own, user.mostSignificantBits, user.leastSignificantBits, known) }

    fun checkCached(user: UUID, permission: String, resource: Resource, circumstances: Circumstances): Boolean? = if (circumstances != none) null else
        askOn(permission, resource) { own, known, buffer, length ->
            Direct.rolekeep_check_on(own, user.mostSignificantBits, user.leastSignificantBits, known, buffer, length)
        }

    private companion object {
        val none = Circumstances()
    }
}

internal object Direct {
    init {
        val library = System.getProperty("uniffi.component.rolekeep.libraryOverride") ?: "rolekeep_mobile"
        com.sun.jna.Native.register(Direct::class.java, library)
    }

    @JvmStatic external fun rolekeep_can(caller: Long, permission: Long): Int

    @JvmStatic external fun rolekeep_can_on(caller: Long, permission: Long, buffer: Long, length: Int): Int

    @JvmStatic external fun rolekeep_can_many(caller: Long, buffer: Long, length: Int): Int

    @JvmStatic external fun rolekeep_principal_can(principal: Long, permission: Long): Int

    @JvmStatic external fun rolekeep_principal_can_on(principal: Long, permission: Long, buffer: Long, length: Int): Int

    @JvmStatic external fun rolekeep_principal_can_many(principal: Long, buffer: Long, length: Int): Int

    @JvmStatic external fun rolekeep_check(store: Long, high: Long, low: Long, permission: Long): Int

    @JvmStatic external fun rolekeep_check_on(store: Long, high: Long, low: Long, permission: Long, buffer: Long, length: Int): Int

    @JvmStatic external fun rolekeep_buffer(bytes: Int): Long

    @JvmStatic external fun rolekeep_buffer_address(buffer: Long): Long
}
