import dev.rolekeep.*
import kotlinx.coroutines.runBlocking
import java.time.Instant
import kotlin.test.*

class FactorsTest {
    private val password = "correct horse battery ada"

    private fun code(secret: String, later: Long = 0) = totp(secret, Instant.now().epochSecond / 30 + later)

    /** RFC 6238, appendix B: the last six of its eight digits. */
    @Test
    fun `the app of the tests is one`() {
        val secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
        assertEquals(listOf("287082", "081804", "353130"), listOf(59L, 1_111_111_109, 20_000_000_000).map { totp(secret, it / 30) })
    }

    @Test
    fun `a sign-in by both factors, step by step`() = runBlocking<Unit> {
        val um = UserManagement.open(quick)
        val ada = um.system().users.create(CreateUser(email = "ada@example.org", password = password))
        var me = um.authenticate(um.login("ada@example.org", password).done().accessToken)
        val setup = me.factors.addStart()
        assertTrue(setup.uri.startsWith("otpauth://totp/") && setup.qrSvg.startsWith("<svg "))
        assertEquals("FactorSetup(…)", "$setup")
        val added = me.factors.add(AddFactor(setup.challenge, code(setup.secret), name = "Phone"))
        assertEquals(listOf(FactorKind.TOTP, "Phone", 10), listOf(added.factor.kind, added.factor.name, added.recoveryCodes.size))
        assertTrue(added.recoveryCodes.none { it in "$added" })

        val owed = um.login("ada@example.org", password)
        val tokens = when (owed.step) {
            SignInStep.DONE -> fail("the account has a second factor")
            SignInStep.FACTOR -> {
                assertEquals(listOf(Proof.TOTP, Proof.RECOVERY_CODE), owed.offers)
                assertEquals(Reason.STEP_NEEDED, assertFailsWith<RolekeepException.Unauthorized> { owed.done() }.reason)
                um.anonymous().signIn.factor(ProveFactor(assertNotNull(owed.challenge), code(setup.secret, 1))).done()
            }
            else -> fail("it owes ${owed.step}")
        }
        me = um.authenticate(tokens.accessToken)
        assertEquals(ada.id, me.users.me().id)

        val missing = assertFailsWith<RolekeepException.Validation> { me.sessions.stepUp(StepUp(password)) }
        assertEquals(listOf("code" to FieldCode.REQUIRED), missing.fields.map { it.field to it.code })
        me = um.authenticate(me.sessions.stepUp(StepUp(password, code = added.recoveryCodes[0])).accessToken)
        assertEquals(9, me.factors.list().recoveryCodesLeft)
        me = um.authenticate(me.factors.remove(RemoveFactor(added.factor.id)).accessToken)
        assertTrue(me.factors.list().factors.isEmpty())
    }

    @Test
    fun `where everybody has to have one, the next sign-in adds it`() = runBlocking<Unit> {
        val um = UserManagement.open(quick.copy(secondFactor = SecondFactor.REQUIRED))
        um.system().users.create(CreateUser(email = "ada@example.org", password = password))
        val owed = um.login("ada@example.org", password)
        assertEquals(SignInStep.ENROL, owed.step)
        val nobody = um.anonymous()
        val setup = nobody.signIn.enrolStart(StartEnrol(assertNotNull(owed.challenge)))
        val enrolled = nobody.signIn.enrol(Enrol(setup.challenge, code(setup.secret)))
        val me = um.authenticate(enrolled.done().accessToken)
        val last = me.factors.list().factors.single()
        assertEquals(Reason.SECOND_FACTOR_REQUIRED, assertFailsWith<RolekeepException.Conflict> { me.factors.remove(RemoveFactor(last.id)) }.reason)
    }
}
