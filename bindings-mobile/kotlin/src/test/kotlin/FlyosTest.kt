import dev.rolekeep.*
import kotlinx.coroutines.runBlocking
import kotlin.test.*

/** The main job: preset and seed of FlyOS on an SQLite file, what each account sees, and a restart. */
class FlyosTest {
    @Test
    fun `the main job`() = runBlocking<Unit> {
        inFolder { folder ->
            val settings = quick.copy(preset = "flyos", sqlite = folder.resolve("flyos.db").path)
            val um = UserManagement.open(settings)
            assertEquals(SeedResult(2, 5, 5), um.system().setup.seed(flyos()))
            val accounts = listOf("main", "east", "west", "operator1", "operator2").associateWith { um.signIn(it) }
            val (main, east, west, operator1, operator2) = accounts.values.toList()
            // The same picture as the one that FLYOS draws.
            assertEquals(setOf("main", "east", "west", "operator1", "operator2"), main.names())
            assertEquals(setOf("east", "operator1"), east.names())
            assertEquals(setOf("west", "operator2"), west.names())
            assertForbidden { operator1.users.list() }
            assertForbidden { operator2.users.list() }
            assertEquals("operator1@flyos.mil", operator1.users.me().email)
            assertEquals(listOf(setOf("east", "west"), setOf("east"), setOf("west"), setOf("east"), setOf("west")), accounts.values.map { it.codes() })
            assertEquals(mapOf("east" to (2L to 2L), "west" to (2L to 2L)), main.regions.list().items.associate { it.code to (it.userCount to it.droneCount) })
            assertEquals(
                listOf("1 2 3 4 5", "1 3", "2 4", "1 5", "2").map { all -> all.split(' ').map { "drone-00$it" }.toSet() },
                accounts.values.map { it.fleet() },
            )

            val self = main.users.me().id
            assertEquals(Reason.LAST_ADMINISTRATOR, assertFailsWith<RolekeepException.Conflict> { main.users.suspend(SuspendUser(self)) }.reason)
            val second = operator2.users.me().id
            assertFailsWith<RolekeepException.Validation> { main.drones.assign(AssignDrone("drone-001", second)) }
            assertForbidden { east.drones.create(CreateDrone("drone-006", DroneModel.FLY_OS_MQ5)) }
            assertFailsWith<RolekeepException.NotFound> { west.drones.get(GetDrone("drone-001")) }
            assertFailsWith<RolekeepException.NotFound> { operator2.drones.get(GetDrone("drone-003")) }
            val why = um.system().permissions.explain(ExplainPermission(west.users.me().id, "drone:read", resource = "drone-001"))
            assertFalse(why.allowed)
            assertTrue(why.text.isNotBlank() && why.changes.isNotEmpty(), why.text)

            main.drones.reassign(ReassignDrone("drone-005", second))
            assertEquals(setOf("drone-001"), operator1.fleet())
            assertEquals(setOf("drone-002", "drone-005"), operator2.fleet())
            main.users.suspend(SuspendUser(operator1.users.me().id, reason = "leave"))
            assertFailsWith<RolekeepException.Unauthorized> { operator1.drones.list() }
            assertFailsWith<RolekeepException.Unauthorized> { um.signIn("operator1") }
            assertTrue(um.system().audit.verify().isWhole)
            um.shutdown()

            val again = UserManagement.open(settings)
            assertEquals(SeedResult(0, 0, 0), again.system().setup.seed(flyos()))
            val system = again.system()
            assertEquals(listOf<Long?>(5, 2, 5), listOf(system.users.list().total, system.regions.list().total, system.drones.list().total))
            assertFailsWith<RolekeepException.Unauthorized> { again.signIn("operator1") }
            val seen = again.signIn("east").users.list().items.associate { it.email to it.status }
            assertEquals(UserStatus.SUSPENDED, seen["operator1@flyos.mil"])
            assertEquals(setOf("drone-002", "drone-005"), again.signIn("operator2").fleet())
            assertTrue(again.system().audit.verify().isWhole)
            again.shutdown()
        }
    }

    private suspend fun UserManagement.signIn(name: String): Caller {
        val email = "$name@flyos.mil"
        return authenticate(login(email, seedPassword(email)).done().accessToken)
    }

    private suspend fun Caller.names() = users.list().items.map { it.email!!.substringBefore('@') }.toSet()

    private suspend fun Caller.codes() = regions.list().items.map { it.code }.toSet()

    private suspend fun Caller.fleet() = drones.list().items.map { it.code }.toSet()

    private suspend fun assertForbidden(run: suspend () -> Unit) {
        assertFailsWith<RolekeepException.Forbidden> { run() }
    }
}
