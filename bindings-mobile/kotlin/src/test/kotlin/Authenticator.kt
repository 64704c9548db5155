import kotlinx.serialization.json.*
import java.math.BigInteger
import java.nio.ByteBuffer
import java.security.KeyPairGenerator
import java.security.MessageDigest
import java.security.SecureRandom
import java.security.Signature
import java.security.interfaces.ECPublicKey
import java.security.spec.ECGenParameterSpec
import java.util.Base64

private const val USER_PRESENT = 1
private const val USER_VERIFIED = 4
private const val HAS_CREDENTIAL = 64

/** An authenticator that holds one passkey, of ES256, which is made by [create], and the browser before it (Web Authentication, Level 3). */
class Authenticator {
    private val keys = KeyPairGenerator.getInstance("EC").apply { initialize(ECGenParameterSpec("secp256r1")) }.generateKeyPair()
    private val id = ByteArray(32).also(SecureRandom()::nextBytes)
    private var handle: JsonElement = JsonNull
    private var counter = 0

    /** What `navigator.credentials.create()` answers. */
    fun create(text: String, verified: Boolean = true, count: Int? = null): String {
        val options = Json.parseToJsonElement(text).jsonObject
        check(options.getValue("pubKeyCredParams").jsonArray.any { it.jsonObject["alg"] == JsonPrimitive(-7) })
        handle = options.getValue("user").jsonObject.getValue("id")
        val domain = options.getValue("rp").jsonObject.text("id")
        val point = (keys.public as ECPublicKey).w
        // {1: 2, 3: -7, -1: 1, -2: x, -3: y}
        val cose = bytes(0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32) + point.affineX.coordinate() + bytes(0x22, 0x58, 32) + point.affineY.coordinate()
        val data = data(domain, HAS_CREDENTIAL, verified, count) + ByteArray(16) + bytes(0, id.size) + id + cose
        val statement = bytes(0xa3, 0x63) + "fmt".toByteArray() + bytes(0x64) + "none".toByteArray() + bytes(0x67) + "attStmt".toByteArray()
        val attestation = statement + bytes(0xa0, 0x68) + "authData".toByteArray() + bytes(0x58, data.size) + data
        return answer(
            "clientDataJSON" to encoded(clientData("webauthn.create", domain, options)),
            "attestationObject" to encoded(attestation),
            "transports" to JsonArray(listOf(JsonPrimitive("internal"))),
        )
    }

    /** What `navigator.credentials.get()` answers. */
    fun get(text: String, verified: Boolean = true, count: Int? = null): String {
        val options = Json.parseToJsonElement(text).jsonObject
        val allowed = options.getValue("allowCredentials").jsonArray.map { it.jsonObject.getValue("id") }
        check(allowed.isEmpty() || encoded(id) in allowed) { "it is not asked for" }
        val data = data(options.text("rpId"), 0, verified, count)
        val client = clientData("webauthn.get", options.text("rpId"), options)
        val signature = Signature.getInstance("SHA256withECDSA").run {
            initSign(keys.private)
            update(data + sha256(client))
            sign()
        }
        return answer(
            "clientDataJSON" to encoded(client),
            "authenticatorData" to encoded(data),
            "signature" to encoded(signature),
            "userHandle" to handle.takeIf { allowed.isEmpty() },
        )
    }

    private fun data(domain: String, flags: Int, verified: Boolean, count: Int?): ByteArray {
        counter = count ?: (counter + 1)
        val all = flags or USER_PRESENT or (if (verified) USER_VERIFIED else 0)
        return sha256(domain.toByteArray()) + bytes(all) + ByteBuffer.allocate(4).putInt(counter).array()
    }

    private fun clientData(ceremony: String, domain: String, options: JsonObject) = json(
        "type" to JsonPrimitive(ceremony),
        "challenge" to options.getValue("challenge"),
        "origin" to JsonPrimitive("https://$domain"),
        "crossOrigin" to JsonPrimitive(false),
    ).toString().toByteArray()

    private fun answer(vararg response: Pair<String, JsonElement?>) = json(
        "id" to encoded(id),
        "rawId" to encoded(id),
        "type" to JsonPrimitive("public-key"),
        "response" to json(*response),
        "clientExtensionResults" to json(),
    ).toString()
}

private fun JsonObject.text(key: String) = getValue(key).jsonPrimitive.content

private fun bytes(vararg all: Int) = ByteArray(all.size) { all[it].toByte() }

private fun encoded(bytes: ByteArray) = JsonPrimitive(Base64.getUrlEncoder().withoutPadding().encodeToString(bytes))

private fun sha256(bytes: ByteArray) = MessageDigest.getInstance("SHA-256").digest(bytes)

/** Of 32 bytes. */
private fun BigInteger.coordinate() = toByteArray().let { ByteArray(maxOf(0, 32 - it.size)) + it.takeLast(32) }
