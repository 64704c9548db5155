import dev.rolekeep.*
import kotlinx.coroutines.runBlocking
import java.lang.reflect.InvocationTargetException
import kotlin.test.*

/**
 * What the native library panics over becomes an exception, and the library goes on. Nothing that this face sends makes it panic: so
 * here it is sent bytes that are no input. (What panics within an operation is an error of the library's own: `src/runtime.rs`.)
 */
class PanicTest {
    /** No record begins so. */
    private fun junk() = RustBuffer.create(0UL, 0UL, null)

    private fun opened(run: suspend (UserManagement) -> Unit) = runBlocking {
        val um = UserManagement.open(quick)
        run(um)
        // It is there as before.
        assertEquals("ada@example.org", um.system().users.create(CreateUser(email = "ada@example.org")).email)
        um.shutdown()
    }

    @Test
    fun `a panic of an operation is an exception`() = opened { um ->
        val users = um.system().users
        val thrown = assertFailsWith<InternalException> {
            uniffiRustCallAsync(
                users.callWithHandle { UniffiLib.uniffi_rolekeep_mobile_fn_method_users_create(it, junk()) },
                { future, callback, data -> UniffiLib.ffi_rolekeep_mobile_rust_future_poll_rust_buffer(future, callback, data) },
                { future, status -> UniffiLib.ffi_rolekeep_mobile_rust_future_complete_rust_buffer(future, status) },
                { future -> UniffiLib.ffi_rolekeep_mobile_rust_future_free_rust_buffer(future) },
                { FfiConverterTypeUser.lift(it) },
                RolekeepException.ErrorHandler,
            )
        }
        assertContains(thrown.message!!, "input")
    }

    @Test
    fun `a panic of a check is an exception`() = opened { um ->
        val status = UniffiRustCallStatus()
        val permission = FfiConverterString.lower("user:read")
        um.system().callWithHandle { UniffiLib.uniffi_rolekeep_mobile_fn_method_caller_can_on(it, permission, junk(), status) }
        assertTrue(status.isPanic())
        val facade = Class.forName("dev.rolekeep.RolekeepKt")
        val check = facade.declaredMethods.single { it.name == "uniffiCheckCallStatus" }.apply { isAccessible = true }
        val thrown = assertFailsWith<InvocationTargetException> { check.invoke(null, RolekeepException.ErrorHandler, status) }
        assertIs<InternalException>(thrown.cause)
    }
}
