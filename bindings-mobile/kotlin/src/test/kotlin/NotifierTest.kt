import dev.rolekeep.*
import dev.rolekeep.blocking.BlockingNotifier
import dev.rolekeep.blocking.NotifierAdapter
import kotlinx.coroutines.*
import java.lang.reflect.Proxy
import java.time.Duration
import java.time.Instant
import java.util.UUID
import kotlin.test.*

class NotifierTest {
    private val settings = quick.copy(linkUrl = "https://app.example.org/account")
    private val request = RequestContext(ip = "192.0.2.1", userAgent = "Test/1")

    private suspend fun UserManagement.register(email: String) =
        system().users.create(CreateUser(email = email, password = "correct horse battery ada"))

    private suspend fun UserManagement.forget(email: String) = anonymous(request).passwords.forgot(ForgotPassword(email))

    @Test
    fun `what a notifier gets is typed and whole`() = runBlocking<Unit> {
        val mailbox = Mailbox()
        val um = UserManagement.open(settings, notifier = mailbox)
        val ada = um.register("ada@example.org")
        val start = Instant.now()
        um.forget("ADA@example.org")
        val notice = mailbox.take()
        assertEquals(listOf(NoticeKind.PASSWORD_RESET, "ada@example.org", ada.id), listOf(notice.kind, notice.address, notice.userId))
        assertEquals("Choose a new password", notice.subject)
        val token = assertNotNull(notice.token)
        assertTrue(token.startsWith("rkp_"))
        assertEquals("https://app.example.org/account#$token", notice.link)
        assertContains(notice.text, "https://app.example.org/account#$token")
        assertEquals(listOf("192.0.2.1", "Test/1"), listOf(notice.ip, notice.userAgent))
        assertTrue(notice.at in start.minusSeconds(1)..Instant.now())
        assertTrue(Duration.between(notice.at, notice.expiresAt) in Duration.ofMinutes(59)..Duration.ofMinutes(61))
        assertEquals(listOf("Notice(…)", 7), listOf("$notice", notice.id.version()))

        um.anonymous(request).passwords.reset(ResetPassword(token, "another horse battery ada"))
        val told = mailbox.take()
        assertEquals(NoticeKind.PASSWORD_CHANGED to null, told.kind to (told.token ?: told.link ?: told.expiresAt))
        um.login("ada@example.org", "another horse battery ada").done()
    }

    @Test
    fun `a lambda will do, and nobody waits for it`() = runBlocking<Unit> {
        val gate = CompletableDeferred<Unit>()
        val sent = CompletableDeferred<String>()
        val um = UserManagement.open(settings, notifier = { notice ->
            gate.await()
            sent.complete(notice.address)
            Delivery.Sent
        })
        um.register("ada@example.org")
        um.forget("ada@example.org")
        assertFalse(sent.isCompleted)
        gate.complete(Unit)
        assertEquals("ada@example.org", withTimeout(10_000) { sent.await() })
        // Until here it is in use: what nobody holds any more is collected, and closed.
        um.close()
    }

    @Test
    fun `each answer is heard`() = runBlocking<Unit> {
        val given = mutableListOf<Instant>()
        val mailbox = Mailbox { notice ->
            when (notice.address) {
                "nobody@example.org" -> Delivery.Refused
                "later@example.org" -> {
                    given += Instant.now()
                    if (given.size == 1) Delivery.RetryAfter(1) else Delivery.Sent
                }
                else -> Delivery.Sent
            }
        }
        val um = UserManagement.open(settings, notifier = mailbox)
        for (name in listOf("nobody", "later", "ada")) {
            um.register("$name@example.org")
            um.forget("$name@example.org")
        }
        val (first, second) = List(2) { mailbox.take { it.address == "later@example.org" } }
        assertEquals(listOf(first.id, first.token), listOf(second.id, second.token))
        // By now whoever else was not let go would have come again, too.
        for (name in listOf("nobody", "ada")) mailbox.take { it.address == "$name@example.org" }
        val failed = um.system().audit.list(ListAudit(action = "notices.failed")).items.single()
        assertEquals(um.system().users.find(FindUser(email = "nobody@example.org")).id.toString(), failed.targetId)
        delay(1_500)
        assertTrue(mailbox.isEmpty())
        assertEquals(2, given.size)
        assertTrue(Duration.between(given[0], given[1]) >= Duration.ofMillis(900))
    }

    @Test
    fun `what failed is given again, as it was`() = runBlocking<Unit> {
        val failures = mutableMapOf<String, () -> Delivery>(
            "a@example.org" to { throw NotifierException.Failed("the mail server is down") },
            "b@example.org" to { throw IllegalStateException("it is broken") },
            "c@example.org" to { Delivery.RetryAfter(-1) },
        )
        val mailbox = Mailbox { notice -> synchronized(failures) { failures.remove(notice.address) }?.invoke() ?: Delivery.Sent }
        val um = UserManagement.open(settings, notifier = mailbox)
        val addresses = failures.keys.toList()
        for (address in addresses) {
            um.register(address)
            um.forget(address)
        }
        val start = Instant.now()
        fun whole(notice: Notice) = writeNotice(notice)
        val first = addresses.map { address -> whole(mailbox.take { it.address == address }) }
        val second = addresses.map { address -> whole(mailbox.take { it.address == address }) }
        assertEquals(first, second)
        assertTrue(Duration.between(start, Instant.now()) >= Duration.ofSeconds(9))
        um.close()
    }

    @Test
    fun `without a notifier nothing is asked by mail`() = runBlocking<Unit> {
        val um = UserManagement.open(settings)
        assertEquals(Reason.NOT_OFFERED, assertFailsWith<RolekeepException.Unavailable> { um.forget("ada@example.org") }.reason)
    }

    private val notice = Notice(
        id = UUID(0, 1), kind = NoticeKind.NEW_DEVICE, address = "ada@example.org", userId = UUID(0, 2), subject = "", text = "", at = Instant.EPOCH,
    )

    @Test
    fun `null from Java is a failure`() = runBlocking<Unit> {
        val types = arrayOf(BlockingNotifier::class.java)
        val answersNull = Proxy.newProxyInstance(javaClass.classLoader, types) { _, _, _ -> null } as BlockingNotifier
        assertFailsWith<NotifierException.Failed> { NotifierAdapter(answersNull).send(notice) }
        assertEquals(Delivery.Refused, NotifierAdapter { Delivery.Refused }.send(notice))
    }

    @Test
    fun `a call that blocks for too long is interrupted`() = runBlocking<Unit> {
        val (began, interrupted) = List(2) { CompletableDeferred<Unit>() }
        val stuck = NotifierAdapter {
            began.complete(Unit)
            try {
                Thread.sleep(60_000)
            } catch (stop: InterruptedException) {
                interrupted.complete(Unit)
                throw stop
            }
            Delivery.Sent
        }
        val call = launch(Dispatchers.Default) { stuck.send(notice) }
        began.await()
        call.cancel()
        withTimeout(10_000) { interrupted.await() }
    }
}
