import dev.rolekeep.*
import java.io.File
import kotlinx.serialization.json.*

/**
 * A check across the language border beside what is written by hand and beside jCasbin, where that is on the class path:
 * `BorderKt WORKLOAD OUT [--quick]`, by `scripts/bench border`. Each is compared with the reference, then all are timed in
 * turns; the least of the rounds counts.
 */
fun main(args: Array<String>) {
    val workload = Json.parseToJsonElement(File(args[0]).readText()).jsonObject
    val engines = listOfNotNull(ByHand(workload), OfRolekeep(workload), runCatching { OfCasbin(workload) }.getOrNull())
    val runs = engines.flatMap { runs(it, workload) } + ("an empty call|plain" to { repeat(200) { sink += emptyCall() }; 200 })
    val (rounds, nanos) = if ("--quick" in args) 3 to 20_000_000L else 25 to 50_000_000L
    val ns = LinkedHashMap<String, Double>()
    repeat(rounds) {
        for ((name, run) in runs) {
            var (count, took) = 0 to 0L
            val started = System.nanoTime()
            while (took < nanos) {
                count += run()
                took = System.nanoTime() - started
            }
            ns.merge(name, took.toDouble() / count, ::minOf)
        }
    }
    val language = "Kotlin on Java ${System.getProperty("java.version")}"
    val versions = args.getOrNull(2)?.takeIf { it != "--quick" }?.let { mapOf("jCasbin" to JsonPrimitive(it)) }.orEmpty()
    val written = mapOf("language" to JsonPrimitive(language), "versions" to JsonObject(versions), "ns" to JsonObject(ns.mapValues { JsonPrimitive(it.value) }))
    File(args[1]).writeText(JsonObject(written).toString())
}

/** So that nothing is left out. */
@Volatile private var sink = 0

/** A call of the native library that does nothing. */
private fun emptyCall() = Numbers.can()

private abstract class Engine<W : Any, D : Any>(val name: String) {
    abstract fun who(user: String): W
    abstract fun what(document: JsonObject): D
    abstract fun plain(who: W): Boolean
    abstract fun can(who: W, action: String, document: D): Boolean
    open fun many(who: W, actions: List<String>, document: D): List<Boolean>? = null
}

private fun text(json: JsonElement?) = json!!.jsonPrimitive.content

private fun <W : Any, D : Any> runs(engine: Engine<W, D>, workload: JsonObject): List<Pair<String, () -> Int>> {
    val actions = workload.getValue("actions").jsonArray.map(::text)
    val documents = workload.getValue("documents").jsonArray.map { engine.what(it.jsonObject) }
    val asked = workload.getValue("questions").jsonArray.map { it.jsonArray }.map { (user, action, at, wanted) ->
        val one = Triple(engine.who(text(user)), text(action), documents[at.jsonPrimitive.int])
        check(engine.can(one.first, one.second, one.third) == wanted.jsonPrimitive.boolean) { "${engine.name}: $user $action $at" }
        val alone = actions.map { engine.can(one.first, it, one.third) }
        check(engine.plain(one.first) && engine.many(one.first, actions, one.third)?.equals(alone) != false) { engine.name }
        one
    }
    val (many, few) = asked.take(200) to asked.take(20)
    return listOfNotNull<Pair<String, () -> Int>>(
        "${engine.name}|plain" to { for ((who) in many) if (engine.plain(who)) sink = 1; many.size },
        "${engine.name}|resource" to { for ((who, action, document) in many) if (engine.can(who, action, document)) sink = 2; many.size },
        "${engine.name}|loop" to { for ((who, _, document) in few) for (action in actions) if (engine.can(who, action, document)) sink = 3; few.size },
        ("${engine.name}|many" to { for ((who, _, document) in few) sink = engine.many(who, actions, document)!!.size; few.size })
            .takeIf { engine.many(few[0].first, actions, few[0].third) != null },
    )
}

/** HashMaps: of each user, the grants of its roles. */
private class ByHand(workload: JsonObject) : Engine<Pair<String, List<Map<String, String>>>, Map<String, Any>>("by hand: HashMaps") {
    private val roles = workload.getValue("roles").jsonObject.mapValues { (_, all) -> all.jsonObject.mapValuesTo(HashMap()) { text(it.value) } }
    private val users = workload.getValue("users").jsonObject.mapValues { (user, held) -> user to held.jsonArray.map { roles.getValue(text(it)) } }

    override fun who(user: String) = users.getValue(user)
    override fun what(document: JsonObject) = HashMap<String, Any>(document.mapValues { (_, value) -> value.jsonPrimitive.intOrNull ?: text(value) })
    override fun plain(who: Pair<String, List<Map<String, String>>>) = who.second.isNotEmpty()
    override fun can(who: Pair<String, List<Map<String, String>>>, action: String, document: Map<String, Any>) =
        document["owner"] == who.first && who.second.any { it[action] == document["status"] }
}

private class OfRolekeep(workload: JsonObject) : Engine<Principal, Resource>("**Rolekeep**") {
    private val rules = Rules.compile(RulesConfig(policyToml = text(workload["policy"])))
    private val users = workload.getValue("users").jsonObject.mapValues { (user, held) -> rules.principal(user, held.jsonArray.map(::text)) }
    private val names = workload.getValue("actions").jsonArray.map(::text).associateWith { "document:$it" }

    override fun who(user: String) = users.getValue(user)
    override fun what(document: JsonObject) =
        resource("document", *(document - "type").map { (name, value) -> name to (value.jsonPrimitive.intOrNull ?: text(value)) }.toTypedArray())
    override fun plain(who: Principal) = who.can("document:list")
    override fun can(who: Principal, action: String, document: Resource) = who.can(names.getValue(action), document)
    override fun many(who: Principal, actions: List<String>, document: Resource) = who.canMany(actions.map { Check(names.getValue(it), document) })
}

/** By reflection: it is no dependency of the tests. */
private class OfCasbin(workload: JsonObject) : Engine<String, Map<String, Any>>("jCasbin") {
    private val models = Class.forName("org.casbin.jcasbin.model.Model")
    private val enforcers = Class.forName("org.casbin.jcasbin.main.Enforcer")
    private val enforce = enforcers.getMethod("enforce", Array<Any>::class.java)
    private val roles = workload.getValue("roles").jsonObject.mapValues { (_, all) -> all.jsonObject.mapValues { text(it.value) } }
    private val users = workload.getValue("users").jsonObject.mapValues { (_, held) -> held.jsonArray.map(::text) }
    private val own = "g(r.sub, p.sub) && r.act == p.act && r.obj.owner == r.sub && r.obj.status == p.status"
    private val on = enforcer("sub, obj, act", "sub, act, status", own, roles.flatMap { (role, all) -> all.map { (action, status) -> listOf(role, action, status) } })
    private val atAll = enforcer("sub, act", "sub, act", "g(r.sub, p.sub) && r.act == p.act", roles.keys.map { listOf(it, "list") })

    private fun enforcer(request: String, policy: String, matcher: String, grants: List<List<String>>): Any {
        val model = models.getConstructor().newInstance()
        val lines = "[request_definition]\nr = $request\n[policy_definition]\np = $policy\n[role_definition]\ng = _, _\n[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = $matcher\n"
        models.getMethod("loadModelFromText", String::class.java).invoke(model, lines)
        val enforcer = enforcers.getConstructor(models).newInstance(model)
        val (add, give) = listOf("addPolicy", "addGroupingPolicy").map { enforcers.getMethod(it, Array<String>::class.java) }
        grants.forEach { add.invoke(enforcer, it.toTypedArray()) }
        users.forEach { (user, held) -> held.forEach { give.invoke(enforcer, arrayOf(user, it)) } }
        return enforcer
    }

    override fun who(user: String) = user
    override fun what(document: JsonObject) = HashMap<String, Any>(document.mapValues { (_, value) -> value.jsonPrimitive.intOrNull ?: text(value) })
    override fun plain(who: String) = enforce.invoke(atAll, arrayOf<Any>(who, "list")) as Boolean
    override fun can(who: String, action: String, document: Map<String, Any>) = enforce.invoke(on, arrayOf(who, document, action)) as Boolean
}

private object Numbers {
    init {
        com.sun.jna.Native.register(Numbers::class.java, System.getProperty("uniffi.component.rolekeep.libraryOverride") ?: "rolekeep_mobile")
    }

    @JvmStatic private external fun rolekeep_can(caller: Long, permission: Long): Int

    /** There is no such caller. */
    fun can() = rolekeep_can(0, 0)
}
