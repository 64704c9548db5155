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

    private val site = quick.copy(passkeyDomain = "example.org")

    @Test
    fun `a passkey signs in, is the second factor, and proves who one is once more`() = runBlocking<Unit> {
        val um = UserManagement.open(site)
        val ada = um.system().users.create(CreateUser(email = "ada@example.org", password = password))
        var me = um.authenticate(um.login("ada@example.org", password).done().accessToken)
        val laptop = Authenticator()
        val setup = me.factors.addPasskeyStart()
        assertTrue(setup.expiresAt > Instant.now() && setup.challenge !in "$setup")
        val response = laptop.create(setup.options)
        assertTrue(response !in "${AddPasskey(setup.challenge, response)}")
        val added = me.factors.addPasskey(AddPasskey(setup.challenge, response, name = "Laptop"))
        assertEquals(listOf(FactorKind.PASSKEY, "Laptop", false, 10), added.factor.run { listOf(kind, name, isBackedUp, added.recoveryCodes.size) })

        val nobody = um.anonymous()
        val start = nobody.signIn.passkeyStart()
        val done = nobody.signIn.passkey(SignInByPasskey(start.challenge, laptop.get(start.options), deviceName = "Desk"))
        assertEquals(SignInStep.DONE to ada.id, done.step to um.authenticate(done.done().accessToken).users.me().id)

        val owed = um.login("ada@example.org", password)
        assertEquals(SignInStep.FACTOR to listOf(Proof.PASSKEY, Proof.RECOVERY_CODE), owed.step to owed.offers)
        val second = nobody.signIn.passkeyStart(StartSignInByPasskey(owed.challenge))
        me = um.authenticate(nobody.signIn.passkey(SignInByPasskey(second.challenge, laptop.get(second.options, verified = false))).done().accessToken)

        var again = me.sessions.stepUpPasskeyStart()
        val alone = assertFailsWith<RolekeepException.Validation> {
            me.sessions.stepUpPasskey(StepUpByPasskey(again.challenge, laptop.get(again.options, verified = false)))
        }
        assertEquals(listOf("password" to FieldCode.REQUIRED), alone.fields.map { it.field to it.code })
        again = me.sessions.stepUpPasskeyStart()
        me = um.authenticate(me.sessions.stepUpPasskey(StepUpByPasskey(again.challenge, laptop.get(again.options))).accessToken)
        me = um.authenticate(me.factors.remove(RemoveFactor(added.factor.id)).accessToken)
        assertTrue(me.factors.list().factors.isEmpty())
    }

    @Test
    fun `where everybody has to have one, the next sign-in adds a passkey`() = runBlocking<Unit> {
        val um = UserManagement.open(site.copy(secondFactor = SecondFactor.REQUIRED))
        um.system().users.create(CreateUser(email = "ada@example.org", password = password))
        val nobody = um.anonymous()
        val owed = um.login("ada@example.org", password)
        val setup = nobody.signIn.enrolPasskeyStart(StartEnrolPasskey(assertNotNull(owed.challenge)))
        val enrolled = nobody.signIn.enrolPasskey(EnrolPasskey(setup.challenge, Authenticator().create(setup.options)))
        val me = um.authenticate(enrolled.done().accessToken)
        assertEquals(FactorKind.PASSKEY, me.factors.list().factors.single().kind)
    }
}
