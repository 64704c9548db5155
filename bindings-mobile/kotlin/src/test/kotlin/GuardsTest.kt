import com.sun.net.httpserver.HttpExchange
import com.sun.net.httpserver.HttpServer
import dev.rolekeep.*
import kotlinx.coroutines.runBlocking
import kotlinx.serialization.json.*
import java.net.InetSocketAddress
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse.BodyHandlers
import java.time.Duration
import java.time.Instant
import java.util.UUID
import kotlin.test.*

/** How long an access token is good for here. */
private const val TOKEN_SECONDS = 15L

/** Guards are throwing calls; a service of the JDK's own HTTP server turns what they throw into answers. */
class GuardsTest {
    private val policy = """
        [types.document]
        attributes = { owner_id = "id", is_published = "bool" }
        [permissions]
        "document:list" = ""
        "document:read" = ""
        "document:delete" = ""
        [roles.author]
        allow = ["document:list", { permission = "document:read", when = "resource.owner_id == principal.id or resource.is_published == true" }]
        [roles.librarian]
        allow = ["document:delete"]
        [roles.admin]
        allow = ["admin:all"]
    """.trimIndent()
    private val um = runBlocking { UserManagement.open(quick.copy(policyToml = policy, accessTokenSeconds = TOKEN_SECONDS)) }
    private val documents = mutableMapOf<String, Resource>()
    private val server = HttpServer.create(InetSocketAddress("127.0.0.1", 0), 0).apply {
        createContext("/", ::answer)
        start()
    }
    private val client = HttpClient.newHttpClient()

    /** What a host writes: who asks, what it needs, and one place for what is thrown. */
    private fun answer(exchange: HttpExchange) = exchange.use {
        val (status, body) = try {
            200 to JsonPrimitive(runBlocking { handle(exchange) })
        } catch (error: RolekeepException) {
            if (error is RolekeepException.Unauthorized) exchange.responseHeaders["WWW-Authenticate"] = "Bearer"
            error.httpStatus to written(error)
        }
        val text = body.toString().toByteArray()
        exchange.responseHeaders["Content-Type"] = "application/json"
        exchange.sendResponseHeaders(status, text.size.toLong())
        exchange.responseBody.write(text)
    }

    private suspend fun handle(exchange: HttpExchange): String {
        val token = exchange.requestHeaders.getFirst("Authorization")?.removePrefix("Bearer ").orEmpty()
        val me = um.authenticate(token, RequestContext(ip = exchange.remoteAddress.address.hostAddress))
        val path = exchange.requestURI.path
        val document = documents[path.substringAfterLast('/')]
        when (exchange.requestMethod + " " + path.substringBeforeLast('/')) {
            "GET /list" -> me.require("document:list")
            "GET /documents" -> me.require("document:read", document ?: throw missing)
            "DELETE /documents" -> me.require("document:delete")
            "GET /desk" -> me.requireRole("librarian")
            "GET /users" -> me.requireAdmin()
        }
        return me.users.me().email!!
    }

    private val missing =
        RolekeepException.NotFound("no such document", Code.RESOURCE_NOT_FOUND, Reason.NOT_FOUND, emptyList(), emptyList(), Instant.now(), 404, null, null, null, null, "no such document")

    private fun ask(path: String, token: String?, method: String = "GET"): Triple<Int, String?, JsonElement> {
        val request = HttpRequest.newBuilder(URI("http://127.0.0.1:${server.address.port}$path")).method(method, HttpRequest.BodyPublishers.noBody())
        token?.let { request.header("Authorization", "Bearer $it") }
        val answer = client.send(request.build(), BodyHandlers.ofString())
        return Triple(answer.statusCode(), answer.headers().firstValue("www-authenticate").orElse(null), Json.parseToJsonElement(answer.body()))
    }

    private fun assertRefused(answer: Triple<Int, String?, JsonElement>, status: Int, code: String, reason: String) {
        val body = answer.third.jsonObject
        fun text(key: String) = body.getValue(key).jsonPrimitive.content
        assertEquals(listOf(status, code, reason), listOf(answer.first, text("code"), text("reason")), "$body")
        assertEquals(if (status == 401) "Bearer" else null, answer.second)
        assertTrue(text("message").length > 5 && body.getValue("http_status").jsonPrimitive.int == status)
    }

    private suspend fun user(name: String, vararg roles: String): UUID =
        um.system().users.create(CreateUser("$name@example.org", password = seedPassword(name), roles = roles.toList())).id

    private suspend fun login(name: String) = um.login("$name@example.org", seedPassword(name)).done().accessToken

    /** Waits until a moment is past. */
    private fun waitUntil(moment: Instant) = Thread.sleep(maxOf(0L, Duration.between(Instant.now(), moment).toMillis()) + 100)

    @AfterTest
    fun stop() = runBlocking { server.stop(0).also { um.shutdown() } }

    @Test
    fun `allowed, denied and expired, over HTTP`() = runBlocking<Unit> {
        val (ada, lin) = user("ada", "author") to user("lin", "librarian")
        user("root", "admin")
        documents["1"] = resource("document", "owner_id" to ada, "is_published" to false)
        documents["2"] = resource("document", "owner_id" to lin, "is_published" to false)
        val (adas, lins, roots) = Triple(login("ada"), login("lin"), login("root"))
        for ((path, token) in listOf("/list/" to adas, "/documents/1" to adas, "/desk/" to lins, "/users/" to roots, "/documents/2" to roots)) {
            assertEquals(200, ask(path, token).first, path)
        }
        assertEquals(200, ask("/documents/1", lins, "DELETE").first)
        for (path in listOf("/list/", "/documents/1", "/desk/", "/users/")) {
            assertRefused(ask(path, null), 401, "UNAUTHORIZED", "invalid_token")
            assertRefused(ask(path, adas.dropLast(4) + "AAAA"), 401, "UNAUTHORIZED", "invalid_token")
        }
        assertRefused(ask("/documents/2", adas), 403, "FORBIDDEN", "denied")
        for (token in listOf(adas, roots)) assertRefused(ask("/documents/9", token), 404, "RESOURCE_NOT_FOUND", "not_found")
        assertRefused(ask("/documents/1", adas, "DELETE"), 403, "FORBIDDEN", "denied")
        assertRefused(ask("/list/", lins), 403, "FORBIDDEN", "denied")
        assertRefused(ask("/desk/", adas), 403, "FORBIDDEN", "denied")
        assertRefused(ask("/users/", lins), 403, "FORBIDDEN", "denied")

        val fresh = login("ada")
        val expires = Instant.now().plusSeconds(TOKEN_SECONDS)
        val until = Instant.now().plusSeconds(4)
        um.system().roles.assign(AssignRole(ada, "librarian", validUntil = until))
        assertEquals(200, ask("/desk/", fresh).first)
        waitUntil(until)
        assertRefused(ask("/desk/", fresh), 403, "FORBIDDEN", "denied")
        assertRefused(ask("/documents/1", fresh, "DELETE"), 403, "FORBIDDEN", "denied")
        waitUntil(expires)
        for (path in listOf("/list/", "/documents/1", "/desk/", "/users/")) {
            assertRefused(ask(path, fresh), 401, "UNAUTHORIZED", "token_expired")
        }
    }

    @Test
    fun `what is thrown says what it is`() = runBlocking<Unit> {
        val me = um.actingAs(user("ada", "author"))
        me.require("document:list")
        me.requireRole("author")
        val denied = assertFailsWith<RolekeepException.Forbidden> { me.require("document:delete") }
        assertEquals(listOf(403, "you may not do this", Reason.DENIED), listOf(denied.httpStatus, denied.message, denied.reason))
        assertNotNull(denied.timestamp)
        assertFailsWith<RolekeepException.Forbidden> { me.requireRole("librarian") }
        assertFailsWith<RolekeepException.Forbidden> { me.requireAdmin() }
        assertEquals(Reason.UNKNOWN_ROLE, assertFailsWith<RolekeepException.Validation> { me.requireRole("libarian") }.reason)
        assertTrue(me.isSignedIn() && um.system().isSignedIn() && !um.anonymous().isSignedIn())
        val nobody = um.anonymous()
        listOf({ nobody.require("document:list") }, { nobody.requireRole("author") }, { nobody.requireAdmin() }).forEach {
            assertEquals(Reason.NOT_SIGNED_IN, assertFailsWith<RolekeepException.Unauthorized> { it() }.reason)
        }
        um.system().requireAdmin()
    }

    @Test
    fun `rows of a host's table as a condition in SQL`() = runBlocking<Unit> {
        val ada = user("ada", "author")
        val table = SqlTable(SqlDialect.POSTGRES, qualifier = "d", columns = mapOf("owner_id" to SqlColumn(column = "author")), firstParameter = 2)
        val some = um.actingAs(ada).filter("document:read", table)
        assertEquals(FilteredRows.SOME, some.rows)
        assertTrue(""""d"."author" = $2::uuid""" in some.sql, some.sql)
        assertEquals(SqlKind.UUID to "\"$ada\"", some.parameters.first().kind to some.parameters.first().value)
        assertEquals(ada, some.parameters.first().bound())
        assertTrue(some.expires > Instant.now())
        assertEquals(listOf(FilteredRows.ALL, "TRUE"), um.system().filter("document:read", table).let { listOf(it.rows, it.sql) })
        assertEquals(FilteredRows.NONE, um.anonymous().filter("document:read", table).rows)
        val wrong = SqlTable(SqlDialect.SQLITE, qualifier = "documents", ids = IdStorage.UUID)
        assertEquals("owner_id", assertFailsWith<RolekeepException.Validation> { um.actingAs(ada).filter("document:read", wrong) }.fields.first().field)
    }

    @Test
    fun `what a filter compares with is bound as it is`() {
        val id = UUID.fromString("0198c0de-0000-7000-8000-00000000000a")
        val texts = listOf("", "\"", "\\\"n", "[\"a\",\"b\"]", "\u0000\u0008\u000c\n\r\t\u001f", "ä漢😀", ",", "]")
        for (text in texts) assertEquals(text, SqlParameter(SqlKind.TEXT, jsonText(text)).bound())
        assertEquals("\b\u000c\n\r\t/", SqlParameter(SqlKind.TEXT, """"\b\f\n\r\t\/"""").bound())
        for (list in listOf(texts, emptyList())) assertEquals(list, SqlParameter(SqlKind.TEXTS, jsonText(list)).bound())
        assertEquals(listOf(true, false), listOf("true", "false").map { SqlParameter(SqlKind.BOOL, it).bound() })
        assertEquals(listOf(-7L, Long.MAX_VALUE), listOf("-7", "\"${Long.MAX_VALUE}\"").map { SqlParameter(SqlKind.INT, it).bound() })
        assertEquals(listOf(1L, Long.MIN_VALUE), SqlParameter(SqlKind.INTS, "[1,\"${Long.MIN_VALUE}\"]").bound())
        assertEquals(emptyList<Long>(), SqlParameter(SqlKind.INTS, "[]").bound())
        assertEquals(listOf(true, false), SqlParameter(SqlKind.BOOLS, "[true,false]").bound())
        assertEquals(id, SqlParameter(SqlKind.UUID, jsonText(id)).bound())
        assertEquals(listOf(id, id), SqlParameter(SqlKind.UUIDS, jsonText(listOf(id, id))).bound())
        assertContentEquals(byteArrayOf(0, 127, -1), SqlParameter(SqlKind.BLOB, "\"007fff\"").bound() as ByteArray)
    }
}
