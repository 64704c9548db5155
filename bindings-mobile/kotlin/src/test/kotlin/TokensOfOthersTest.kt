import com.nimbusds.jose.JOSEObjectType
import com.nimbusds.jose.JWSAlgorithm
import com.nimbusds.jose.JWSHeader
import com.nimbusds.jose.crypto.ECDSASigner
import com.nimbusds.jose.crypto.RSASSASigner
import com.nimbusds.jose.jwk.Curve
import com.nimbusds.jose.jwk.JWKSet
import com.nimbusds.jose.jwk.gen.ECKeyGenerator
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator
import com.nimbusds.jose.jwk.source.ImmutableJWKSet
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier
import com.nimbusds.jose.proc.JWSVerificationKeySelector
import com.nimbusds.jose.proc.SecurityContext
import com.nimbusds.jwt.JWTClaimsSet
import com.nimbusds.jwt.SignedJWT
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier
import com.nimbusds.jwt.proc.DefaultJWTProcessor
import com.sun.net.httpserver.HttpsConfigurator
import com.sun.net.httpserver.HttpsServer
import dev.rolekeep.*
import kotlinx.coroutines.runBlocking
import java.io.File
import java.net.InetSocketAddress
import java.security.KeyFactory
import java.security.KeyStore
import java.security.cert.CertificateFactory
import java.security.spec.PKCS8EncodedKeySpec
import java.util.Base64
import java.util.Date
import javax.net.ssl.KeyManagerFactory
import javax.net.ssl.SSLContext
import kotlin.test.*

/** Tokens of ours that nimbus-jose-jwt verifies, and its tokens here. */
class TokensOfOthersTest {
    private val password = "correct horse battery ada"
    private val issuer = "https://login.example.org"

    @Test
    fun `nimbus verifies our tokens by the key set`() = runBlocking<Unit> {
        val um = UserManagement.open(quick.copy(tokenAlgorithm = TokenAlgorithm.ES256, issuer = "https://example.org", audience = "api"))
        val ada = um.system().users.create(CreateUser(email = "ada@example.org", password = password))
        val token = um.login("ada@example.org", password).done().accessToken
        val keys = ImmutableJWKSet<SecurityContext>(JWKSet.parse(um.anonymous().signingKeys.jwks().json))
        val processor = DefaultJWTProcessor<SecurityContext>().apply {
            jwsTypeVerifier = DefaultJOSEObjectTypeVerifier(JOSEObjectType("at+jwt"))
            jwsKeySelector = JWSVerificationKeySelector(JWSAlgorithm.ES256, keys)
            val expected = JWTClaimsSet.Builder().issuer("https://example.org").build()
            jwtClaimsSetVerifier = DefaultJWTClaimsVerifier("api", expected, setOf("sub", "sid", "iat", "nbf", "exp", "jti"))
        }
        assertEquals(ada.id.toString(), processor.process(token, null).subject)
    }

    @Test
    fun `tokens of nimbus sign in`() = runBlocking<Unit> {
        val ec = ECKeyGenerator(Curve.P_256).keyID("ES256").generate()
        val rsa = RSAKeyGenerator(2048).keyID("RS256").generate()
        val keys = JWKSet(listOf(ec.toPublicJWK(), rsa.toPublicJWK())).toString()
        val um = UserManagement.open(quick.copy(trustedIssuers = listOf(TrustedIssuer(issuer = issuer, audiences = listOf("app"), jwks = keys))))
        val ada = um.system().users.create(CreateUser(username = "ada", identity = ExternalIdentity(issuer, "auth0|1")))
        for ((algorithm, signer) in listOf(JWSAlgorithm.ES256 to ECDSASigner(ec), JWSAlgorithm.RS256 to RSASSASigner(rsa))) {
            val now = Date()
            val claims = JWTClaimsSet.Builder().issuer(issuer).subject("auth0|1").audience("app").issueTime(now)
                .expirationTime(Date(now.time + 60_000)).jwtID(algorithm.name).build()
            fun token(kid: String) = SignedJWT(JWSHeader.Builder(algorithm).keyID(kid).build(), claims).apply { sign(signer) }.serialize()
            assertEquals(ada.id, um.anonymous().signIn.external(SignInByToken(token(algorithm.name))).done().user.id)
            val other = if (algorithm == JWSAlgorithm.ES256) "RS256" else "ES256"
            assertFailsWith<RolekeepException.Unauthorized> { um.anonymous().signIn.external(SignInByToken(token(other))) }
        }
    }

    private fun tls(name: String) = File("../../tests/tls", name).readText()

    /** A server on this machine that publishes a key set. */
    private fun keyServer(keys: String, asked: () -> Unit): HttpsServer {
        val pem = tls("localhost.key").lines().filterNot { it.startsWith("-----") }.joinToString("")
        val key = KeyFactory.getInstance("EC").generatePrivate(PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem)))
        val certificate = CertificateFactory.getInstance("X.509").generateCertificate(tls("localhost.pem").byteInputStream())
        val store = KeyStore.getInstance("PKCS12").apply {
            load(null, null)
            setKeyEntry("localhost", key, CharArray(0), arrayOf(certificate))
        }
        val managers = KeyManagerFactory.getInstance("PKIX").apply { init(store, CharArray(0)) }.keyManagers
        val context = SSLContext.getInstance("TLS").apply { init(managers, null, null) }
        return HttpsServer.create(InetSocketAddress("127.0.0.1", 0), 0).apply {
            httpsConfigurator = HttpsConfigurator(context)
            createContext("/keys") { exchange ->
                asked()
                val body = keys.toByteArray()
                exchange.sendResponseHeaders(200, body.size.toLong())
                exchange.responseBody.use { it.write(body) }
            }
            start()
        }
    }

    @Test
    fun `a key set is fetched over TLS, from where it may be`() = runBlocking<Unit> {
        val ec = ECKeyGenerator(Curve.P_256).keyID("one").generate()
        var asked = 0
        val server = keyServer(JWKSet(ec.toPublicJWK()).toString()) { asked++ }
        suspend fun signIn(rootCertificates: String?, allowPrivateNetwork: Boolean) {
            val url = "https://localhost:${server.address.port}/keys"
            val trusted = TrustedIssuer(
                issuer = issuer, audiences = listOf("app"), jwksUrl = url, rootCertificates = rootCertificates, allowPrivateNetwork = allowPrivateNetwork,
            )
            val um = UserManagement.open(quick.copy(trustedIssuers = listOf(trusted)))
            um.system().users.create(CreateUser(username = "ada", identity = ExternalIdentity(issuer, "auth0|1")))
            val now = Date()
            for (id in listOf("a", "b")) {
                val claims = JWTClaimsSet.Builder().issuer(issuer).subject("auth0|1").audience("app").issueTime(now)
                    .expirationTime(Date(now.time + 60_000)).jwtID(id).build()
                val token = SignedJWT(JWSHeader.Builder(JWSAlgorithm.ES256).keyID("one").build(), claims).apply { sign(ECDSASigner(ec)) }
                um.anonymous().signIn.external(SignInByToken(token.serialize())).done()
            }
        }
        try {
            signIn(tls("ca.pem"), true)
            assertEquals(1, asked)
            val stranger = assertFailsWith<RolekeepException.Unavailable> { signIn(null, true) }
            assertEquals(Reason.ISSUER_UNAVAILABLE, stranger.reason)
            assertFailsWith<RolekeepException.Unavailable> { signIn(tls("ca.pem"), false) }
            assertEquals(1, asked)
        } finally {
            server.stop(0)
        }
    }
}
