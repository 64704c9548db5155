import dev.rolekeep.*
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.asFlow
import kotlinx.serialization.json.*
import java.io.File
import java.nio.ByteBuffer
import java.time.Instant
import java.util.Base64
import javax.crypto.Mac
import javax.crypto.spec.SecretKeySpec

/** Plays one scenario on an SQLite file of its own, or on a storage written in Kotlin; see tests/conformance/README.md. */
class Player(private val store: JsonObject, private val folder: File, private val persists: Boolean = false) {
    private lateinit var um: UserManagement
    private val callers = mutableMapOf<String, Caller>()
    private val saved = mutableMapOf<String, JsonElement>()
    private val passkeys = mutableMapOf<String, Authenticator>()
    private val mailbox = Mailbox()
    val watch = Watch()
    private var here = ""
    private val others = mutableMapOf<String, UserManagement>()

    suspend fun play(steps: List<JsonObject>) {
        watch.given(store["settings"])
        um = open(settings())
        when (val seed = store["seed"]?.jsonPrimitive?.contentOrNull) {
            null -> {}
            "flyos" -> um.system().setup.seed(flyos())
            else -> error("there is no seed $seed")
        }
        steps.forEachIndexed { index, step -> step(step)?.let { error("step ${index + 1} ${step.toString().take(200)}: $it") } }
        (others.values + um).forEach { it.shutdown() }
        watch.leak()?.let { error(it) }
    }

    /** Plays a step; what is wrong with its outcome. */
    private suspend fun step(step: JsonObject): String? {
        val wanted = step["error"]?.let { unorderedLists(filled(it)) }
        val answer = try {
            val together = step["together"]
            when {
                together != null -> coroutineScope {
                    JsonArray(together.jsonArray.map { async { outcome(it.jsonObject) } }.awaitAll())
                }
                else -> act(step)
            }
        } catch (error: RolekeepException) {
            watch.failed(error)
            if (wanted == null) return "failed: ${error.code}/${error.reason}: ${error.message}"
            return difference(wanted, written(error))?.let { "another error: $it" }
        }
        watch.answered(answer)
        if (wanted != null) return "expected the error $wanted, got $answer"
        step["save"]?.jsonObject?.forEach { (name, path) -> saved[name] = part(answer, path.jsonPrimitive.content) }
        return step["expect"]?.let { difference(filled(it), answer) }
    }

    private suspend fun outcome(step: JsonObject): JsonElement = try {
        json("answer" to act(step))
    } catch (error: RolekeepException) {
        json("error" to written(error))
    }

    private suspend fun act(step: JsonObject): JsonElement {
        fun text(key: String) = step[key]?.jsonPrimitive?.contentOrNull
        fun name(caller: Caller) = text("name")?.let { callers[it] = caller }
        val request = request(step["request"])
        text("call")?.let { return call(caller(step), it, step) }
        step["login"]?.let {
            val login = filled(it).also(watch::given)
            val tokens = um.anonymous(request).sessions.login(readLogin(login)).done().also(watch::printed)
            name(um.authenticate(tokens.accessToken, request))
            return writeTokens(tokens)
        }
        step["authenticate"]?.let { name(um.authenticate(filled(it).jsonPrimitive.content, request)); return JsonNull }
        step["act_as"]?.let { name(um.actingAs(readId(filled(it)))); return JsonNull }
        step["act_as_identity"]?.let {
            val identity = readExternalIdentity(filled(it))
            name(um.actingAsIdentity(identity.issuer, identity.subject))
            return JsonNull
        }
        step["import"]?.let { options ->
            val bytes = step.getValue("text").jsonPrimitive.content.toByteArray()
            val pieces = bytes.asList().chunked(step["pieces"]?.jsonPrimitive?.int ?: maxOf(bytes.size, 1)) { it.toByteArray() }
            return writeImport(caller(step).importUsers(pieces.asFlow(), readBeginImport(filled(options)), step["resume"]?.let { readId(filled(it)) }))
        }
        step["open"]?.let { UserManagement.open(readConfig(filled(it))).shutdown(); return JsonNull }
        text("mail")?.let { kind -> return writeNotice(mailbox.take { writeNoticeKind(it.kind) == writeString(kind) && it.address == filled(step.getValue("to")).jsonPrimitive.content }.also(watch::printed)) }
        step["wait"]?.let { delay((it.jsonPrimitive.double * 1000).toLong()); return JsonNull }
        step["reopen"]?.let {
            um.shutdown()
            callers.clear()
            um = open(settings())
            return JsonNull
        }
        text("switch")?.let { name ->
            val known = others.remove(name)
            others[here] = um
            here = name
            um = known ?: open(settings())
            return JsonNull
        }
        val resource = step["resource"]?.let { resourceOf(filled(it).jsonObject) }
        text("can")?.let { return JsonPrimitive(if (resource == null) caller(step).can(it) else caller(step).can(it, resource)) }
        text("require")?.let { if (resource == null) caller(step).require(it) else caller(step).require(it, resource); return JsonNull }
        text("explain")?.let { return writeExplanation(if (resource == null) caller(step).explain(it) else caller(step).explain(it, resource)) }
        text("can_somewhere")?.let { return JsonPrimitive(caller(step).canSomewhere(it)) }
        step["can_many"]?.let { checks ->
            return bools(caller(step).canMany(checksOf(checks) { one, resource -> Check(one.getValue("permission").jsonPrimitive.content, resource) }))
        }
        val scope = step["scope"]?.let { filled(it).jsonPrimitive.content }
        text("has_role")?.let { return JsonPrimitive(caller(step).hasRole(it, scope)) }
        text("require_role")?.let { caller(step).requireRole(it, scope); return JsonNull }
        step["is_administrator"]?.let { return JsonPrimitive(caller(step).isAdministrator()) }
        step["require_admin"]?.let { caller(step).requireAdmin(); return JsonNull }
        step["position"]?.let { return JsonPrimitive(um.position()) }
        return consult(step, resource) ?: error("the step says nothing to do")
    }

    /** Questions about users. */
    private suspend fun consult(step: JsonObject, resource: Resource?): JsonElement? {
        fun text(key: String) = step[key]?.jsonPrimitive?.contentOrNull
        fun user() = readId(filled(step.getValue("user")))
        val context = step["context"]?.jsonObject.orEmpty().mapValues { jsonText(plain(filled(it.value))) }
        val circumstances = Circumstances(context, step["at_least"]?.let { filled(it).jsonPrimitive.content })
        text("check_cached")?.let {
            return JsonPrimitive(if (resource == null) um.checkCached(user(), it, circumstances) else um.checkCached(user(), it, resource, circumstances))
        }
        text("check")?.let {
            return JsonPrimitive(if (resource == null) um.check(user(), it, circumstances) else um.check(user(), it, resource, circumstances))
        }
        text("explain_user")?.let {
            return writeExplanation(if (resource == null) um.explain(user(), it, circumstances) else um.explain(user(), it, resource, circumstances))
        }
        val checks = checksOf(step["check_many"] ?: return null) { one, of ->
            UserCheck(readId(one.getValue("user")), one.getValue("permission").jsonPrimitive.content, of)
        }
        return bools(um.checkMany(checks, circumstances))
    }

    private fun <T> checksOf(written: JsonElement, make: (JsonObject, Resource?) -> T) = filled(written).jsonArray.map { one ->
        make(one.jsonObject, one.jsonObject["resource"]?.let { resourceOf(it.jsonObject) })
    }

    private fun bools(answers: List<Boolean>) = JsonArray(answers.map(::JsonPrimitive))

    private suspend fun call(me: Caller, operation: String, step: JsonObject): JsonElement {
        val with = (step["with"]?.let(::filled) ?: JsonObject(emptyMap())).also(watch::given)
        val text = step["text"]?.jsonPrimitive?.content
        val isRaw = text != null || step["raw"]?.jsonPrimitive?.boolean == true
        if (!isRaw) {
            try {
                return dispatch(me, operation, with, watch::printed)
            } catch (_: Inexpressible) {
                // A program that says so does not compile; what is left is the untyped call.
            }
        }
        return Json.parseToJsonElement(me.call(operation, text ?: with.toString()))
    }

    private fun caller(step: JsonObject): Caller {
        val request = request(step["request"])
        return when (val name = step["as"]?.jsonPrimitive?.content ?: "system") {
            "system" -> um.system().withRequest(request)
            "anonymous" -> um.anonymous(request)
            else -> (callers[name] ?: error("nobody is called $name")).let { if ("request" in step) it.withRequest(request) else it }
        }
    }

    private fun settings() = JsonObject(quickJson + (store["settings"]?.jsonObject ?: emptyMap()))

    private suspend fun open(settings: JsonObject): UserManagement {
        val hasNotifier = store["notifier"]?.jsonPrimitive?.boolean == true
        val (config, notifier) = readConfig(settings) to mailbox.takeIf { hasNotifier }
        if (persists) return UserManagement.open(config, FilePersister(folder.resolve("store$here.json")), notifier)
        return UserManagement.open(config.copy(sqlite = folder.resolve("store$here.db").path), notifier = notifier)
    }

    private fun resourceOf(written: JsonObject) = resource(
        written.getValue("type").jsonPrimitive.content,
        *(written - "type").map { (key, value) -> key to plain(value) }.toTypedArray(),
    )

    private fun plain(value: JsonElement): Any? = when {
        value is JsonArray -> value.map(::plain)
        value is JsonObject -> value.mapValues { plain(it.value) }
        value is JsonNull -> null
        value.jsonPrimitive.isString -> value.jsonPrimitive.content
        else -> value.jsonPrimitive.booleanOrNull ?: value.jsonPrimitive.long
    }

    private fun request(given: JsonElement?): RequestContext {
        fun text(key: String) = given?.jsonObject?.get(key)?.jsonPrimitive?.contentOrNull
        val context = given?.jsonObject?.get("context")?.jsonObject.orEmpty().mapValues { jsonText(plain(it.value)) }
        return RequestContext(text("ip"), text("user_agent"), text("request_id"), text("idempotency_key"), text("forwarded_for"), context)
    }

    /** What a scenario writes, with `$name`, `$repeat` and the like filled in. */
    private fun filled(written: JsonElement): JsonElement = when (written) {
        is JsonArray -> JsonArray(written.map(::filled))
        is JsonObject -> written["\$repeat"]?.jsonArray
            ?.let { (text, times) -> JsonPrimitive(text.jsonPrimitive.content.repeat(times.jsonPrimitive.int)) }
            ?: written["\$from_now"]?.let { writeTime(Instant.now().plusMillis((it.jsonPrimitive.double * 1000).toLong())) }
            ?: written["\$join"]?.jsonArray?.let { parts -> JsonPrimitive(parts.joinToString("") { filled(it).jsonPrimitive.content }) }
            ?: written["\$base64"]?.let { JsonPrimitive(Base64.getEncoder().encodeToString(filled(it).jsonPrimitive.content.toByteArray())) }
            ?: written["\$totp"]?.let {
                val later = written["step"]?.jsonPrimitive?.long ?: 0
                JsonPrimitive(totp(filled(it).jsonPrimitive.content, Instant.now().epochSecond / 30 + later))
            }
            ?: written["\$jwt"]?.let { JsonPrimitive(token(filled(it).jsonObject, written.getValue("secret").jsonPrimitive.content)) }
            ?: written["\$passkey"]?.let { JsonPrimitive(answered(it.jsonPrimitive.content, written)) }
            ?: JsonObject(written.mapValues { filled(it.value) })
        is JsonPrimitive -> when {
            written.isString && written.content.startsWith("$") ->
                written.content.drop(1).let { saved[it] ?: error("nothing is saved as $it") }
            else -> written
        }
    }

    /** What a browser answers whose authenticator makes or uses the passkey of this name. */
    private fun answered(name: String, written: JsonObject): String {
        fun text(key: String) = written[key]?.let { filled(it).jsonPrimitive.content }
        val verified = written["verified"]?.jsonPrimitive?.boolean ?: true
        val count = written["counter"]?.jsonPrimitive?.int
        text("create")?.let { options -> return Authenticator().also { passkeys[name] = it }.create(options, verified, count) }
        return passkeys.getValue(name).get(text("get") ?: error("the passkey $name has nothing to do"), verified, count)
    }

    private fun part(answer: JsonElement, path: String) = path.split('.').filter(String::isNotEmpty).fold(answer) { part, key ->
        (if (part is JsonArray) part.getOrNull(key.toInt()) else (part as? JsonObject)?.get(key)) ?: error("there is no $path in $answer")
    }

    /** An error's fields and problems may come in any order. */
    private fun unorderedLists(error: JsonElement) =
        (error as? JsonObject)?.let { JsonObject(it.mapValues { (_, value) -> if (value is JsonArray) json("\$unordered" to value) else value }) } ?: error
}

/** A token of another issuer, whose times are in seconds from now (RFC 7515, HS256). */
fun token(claims: JsonObject, secret: String): String {
    val now = Instant.now().epochSecond
    val times = setOf("iat", "nbf", "exp", "auth_time")
    val all = JsonObject(claims.mapValues { (name, value) -> if (name in times) JsonPrimitive(now + value.jsonPrimitive.long) else value })
    val encoder = Base64.getUrlEncoder().withoutPadding()
    val parts = listOf("""{"alg":"HS256","typ":"JWT"}""", all.toString())
    val signed = parts.joinToString(".") { encoder.encodeToString(it.toByteArray()) }
    val mac = Mac.getInstance("HmacSHA256").apply { init(SecretKeySpec(secret.toByteArray(), "HmacSHA256")) }
    return "$signed.${encoder.encodeToString(mac.doFinal(signed.toByteArray()))}"
}

/** What an authenticator app shows (RFC 6238). */
fun totp(secret: String, step: Long): String {
    val bits = secret.map { "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(it).toString(2).padStart(5, '0') }.joinToString("")
    val seed = bits.chunked(8).map { it.toInt(2).toByte() }.toByteArray()
    val mac = Mac.getInstance("HmacSHA1").apply { init(SecretKeySpec(seed, "HmacSHA1")) }
    val digest = ByteBuffer.wrap(mac.doFinal(ByteBuffer.allocate(8).putLong(step).array()))
    val number = digest.getInt(digest.get(19).toInt() and 15) and 0x7fff_ffff
    return "%06d".format(number % 1_000_000)
}
