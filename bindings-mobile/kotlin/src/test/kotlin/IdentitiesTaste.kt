import dev.rolekeep.*

suspend fun caller(um: UserManagement, issuer: String, subject: String): Caller {
    try {
        return um.actingAsIdentity(issuer, subject)
    } catch (_: RolekeepException.NotFound) {
    }
    try {
        um.system().users.create(CreateUser(identity = ExternalIdentity(issuer, subject), roles = listOf("reader")))
    } catch (_: RolekeepException.Duplicate) {
        // Of two at once one is a duplicate, and both are found.
    }
    return um.actingAsIdentity(issuer, subject)
}

suspend fun identitiesTaste(): List<Boolean> {
    val um = UserManagement.open(Config(roles = mapOf("reader" to listOf("document:read")), permissions = listOf("document:edit")))
    val me = caller(um, "https://login.example.org", "auth0|5f7c8ec7")
    val again = caller(um, "https://login.example.org", "auth0|5f7c8ec7")
    return listOf(me.can("document:read"), me.can("document:edit"), again.users.me().id == me.users.me().id)
}
