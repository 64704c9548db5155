package dev.rolekeep

import java.util.UUID
import java.util.concurrent.ConcurrentHashMap

/** Checks by numbers: a tenth of a microsecond across the language border instead of tens. */
internal open class Fast(private val learn: (String) -> List<Long>) {
    @Volatile private var own = 0L

    /** None where the other way must be taken, which says what is wrong. */
    protected fun ask(permission: String, ask: (own: Long, permission: Long) -> Int): Boolean? {
        var known = permissions[permission]
        if (known == null || own == 0L) {
            val (number, learnt) = learn(permission)
            own = number
            permissions[permission] = learnt
            known = learnt
        }
        return when (ask(own, known)) {
            1 -> true
            0 -> false
            else -> null
        }
    }

    private companion object {
        /** Only names that a policy declares. */
        val permissions = ConcurrentHashMap<String, Long>()
    }
}

/** [Caller.can] without a resource. */
internal class FastChecks(caller: Caller) : Fast(caller::numbers) {
    fun can(permission: String): Boolean? = if (permission.endsWith('}')) null else ask(permission, Direct::rolekeep_can)
}

/** [UserManagement.check] without a resource, and under no circumstances. */
internal class FastUserChecks(um: UserManagement) : Fast(um::numbers) {
    fun check(user: UUID, permission: String, circumstances: Circumstances): Boolean? {
        if (permission.endsWith('}') || circumstances != none) return null
        return ask(permission) { own, known -> Direct.rolekeep_check(own, user.mostSignificantBits, user.leastSignificantBits, known) }
    }

    private companion object {
        val none = Circumstances()
    }
}

private object Direct {
    init {
        val library = System.getProperty("uniffi.component.rolekeep.libraryOverride") ?: "rolekeep_mobile"
        com.sun.jna.Native.register(Direct::class.java, library)
    }

    @JvmStatic external fun rolekeep_can(caller: Long, permission: Long): Int

    @JvmStatic external fun rolekeep_check(store: Long, high: Long, low: Long, permission: Long): Int
}
