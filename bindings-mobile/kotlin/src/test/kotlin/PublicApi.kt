import java.io.File
import java.net.URLClassLoader
import kotlin.metadata.ClassKind
import kotlin.metadata.KmClass
import kotlin.metadata.KmClassifier
import kotlin.metadata.KmConstructor
import kotlin.metadata.KmFunction
import kotlin.metadata.KmProperty
import kotlin.metadata.KmType
import kotlin.metadata.KmTypeParameter
import kotlin.metadata.KmTypeProjection
import kotlin.metadata.KmValueParameter
import kotlin.metadata.KmVariance
import kotlin.metadata.Modality
import kotlin.metadata.Visibility
import kotlin.metadata.declaresDefaultValue
import kotlin.metadata.isData
import kotlin.metadata.isNullable
import kotlin.metadata.isSecondary
import kotlin.metadata.isSuspend
import kotlin.metadata.isVar
import kotlin.metadata.jvm.KotlinClassMetadata
import kotlin.metadata.kind
import kotlin.metadata.modality
import kotlin.metadata.visibility

/**
 * Writes what the classes in a folder give to other modules to a file, one declaration a line, sorted by where it lives.
 *
 * It reads the compiler's metadata, not the methods of the JVM, which do not know of `null` nor of names of parameters.
 */
fun main(arguments: Array<String>) {
    val (folder, list) = arguments.map(::File)
    val names = folder.walk().filter { it.extension == "class" }.map { it.relativeTo(folder).path.removeSuffix(".class") }
    val loader = URLClassLoader(arrayOf(folder.toURI().toURL()), Metadata::class.java.classLoader)
    val lines = names.flatMap { name -> declarations(loader, name.replace('/', '.')) }
    list.writeText(lines.toSortedSet().joinToString("\n", postfix = "\n"))
}

private fun declarations(loader: ClassLoader, name: String): List<String> {
    val marked = Class.forName(name, false, loader).getAnnotation(Metadata::class.java) ?: return emptyList()
    return when (val read = KotlinClassMetadata.readStrict(marked)) {
        is KotlinClassMetadata.Class -> if (isReached(loader, read.kmClass.name)) ofClass(read.kmClass) else emptyList()
        is KotlinClassMetadata.FileFacade -> ofPackage(read.kmPackage.functions, read.kmPackage.properties, name)
        is KotlinClassMetadata.MultiFileClassPart -> ofPackage(read.kmPackage.functions, read.kmPackage.properties, name)
        else -> emptyList()
    }
}

/** Whether it is public, and so is every class around it. */
private fun isReached(loader: ClassLoader, name: String): Boolean {
    // Nobody can name what is made within a function.
    if (name.startsWith('.')) return false
    val around = name.indices.filter { name[it] == '.' }.map { name.take(it) } + name
    return around.all { outer ->
        val marked = Class.forName(outer.replace('.', '$').replace('/', '.'), false, loader).getAnnotation(Metadata::class.java)
        val read = marked?.let { KotlinClassMetadata.readStrict(it) }
        read !is KotlinClassMetadata.Class || isOpen(read.kmClass.visibility)
    }
}

private fun isOpen(visibility: Visibility) = visibility == Visibility.PUBLIC || visibility == Visibility.PROTECTED

private fun ofPackage(functions: List<KmFunction>, properties: List<KmProperty>, file: String): List<String> {
    val place = file.substringBeforeLast('.')
    return functions.filter { isOpen(it.visibility) }.map { "$place ${function(it)}" } +
        properties.filter { isOpen(it.visibility) }.map { "$place ${property(it)}" }
}

private fun ofClass(of: KmClass): List<String> {
    val place = of.name.replace('/', '.')
    val generics = Generics(of.typeParameters)
    val above = of.supertypes.filter { (it.classifier as? KmClassifier.Class)?.name != "kotlin/Any" }.map { type(it, generics) }
    val head = "$place: " + listOfNotNull(
        "sealed".takeIf { of.modality == Modality.SEALED },
        "abstract".takeIf { of.modality == Modality.ABSTRACT && of.kind != ClassKind.INTERFACE },
        "open".takeIf { of.modality == Modality.OPEN },
        "data".takeIf { of.isData },
        of.kind.name.lowercase().replace('_', ' ') + generics.declared(),
        above.sorted().takeIf { it.isNotEmpty() }?.joinToString(prefix = "is "),
    ).joinToString(" ")
    // What a data class has by being one says no more than its constructor does.
    val isImplied = Regex(if (of.isData) "component[0-9]+|copy|equals|hashCode|toString" else "equals|hashCode|toString")
    val members = of.constructors.filter { isOpen(it.visibility) }.map { "$place ${constructor(it, generics)}" } +
        of.functions.filter { isOpen(it.visibility) && !isImplied.matches(it.name) }.map { "$place ${function(it, generics)}" } +
        of.properties.filter { isOpen(it.visibility) }.map { "$place ${property(it, generics)}" } +
        of.kmEnumEntries.map { "$place entry ${it.name}" }
    return if (of.kind == ClassKind.COMPANION_OBJECT && members.isEmpty()) emptyList() else listOf(head) + members
}

private fun constructor(of: KmConstructor, generics: Generics) =
    (if (of.isSecondary) "constructor" else "primary constructor") + parameters(of.valueParameters, generics)

private fun function(of: KmFunction, outer: Generics = Generics()): String {
    val generics = outer + of.typeParameters
    val receiver = of.receiverParameterType?.let { type(it, generics) + "." }.orEmpty()
    val returns = type(of.returnType, generics).let { if (it == "Unit") "" else ": $it" }
    val words = listOfNotNull("suspend".takeIf { of.isSuspend }, "fun", Generics(of.typeParameters).declared().ifEmpty { null })
    return words.joinToString(" ") + " $receiver${of.name}${parameters(of.valueParameters, generics)}$returns"
}

private fun property(of: KmProperty, outer: Generics = Generics()): String {
    val generics = outer + of.typeParameters
    val receiver = of.receiverParameterType?.let { type(it, generics) + "." }.orEmpty()
    val isWritten = of.isVar && of.setter?.let { isOpen(it.visibility) } == true
    return "${if (isWritten) "var" else "val"} $receiver${of.name}: ${type(of.returnType, generics)}"
}

private fun parameters(of: List<KmValueParameter>, generics: Generics) = of.joinToString(prefix = "(", postfix = ")") {
    val vararg = it.varargElementType
    val named = if (vararg == null) "${it.name}: ${type(it.type, generics)}" else "vararg ${it.name}: ${type(vararg, generics)}"
    if (it.declaresDefaultValue) "$named = …" else named
}

private fun type(of: KmType, generics: Generics): String {
    val name = when (val what = of.classifier) {
        is KmClassifier.Class -> what.name.replace('/', '.')
        is KmClassifier.TypeAlias -> what.name.replace('/', '.')
        is KmClassifier.TypeParameter -> generics.names.getValue(what.id)
    }
    val arguments = of.arguments.map { argument(it, generics) }
    val isFunction = Regex("kotlin\\.Function[0-9]+").matches(name)
    val plain = when {
        // The last two of a suspending one are its continuation and what the JVM sees.
        isFunction && of.isSuspend -> "suspend (${arguments.dropLast(2).joinToString()}) -> ${inner(arguments[arguments.size - 2])}"
        isFunction -> "(${arguments.dropLast(1).joinToString()}) -> ${arguments.last()}"
        else -> short(name) + if (arguments.isEmpty()) "" else arguments.joinToString(prefix = "<", postfix = ">")
    }
    return if (!of.isNullable) plain else if (isFunction) "($plain)?" else "$plain?"
}

private fun inner(continuation: String) = continuation.substringAfter('<').removeSuffix(">").removePrefix("in ")

private fun argument(of: KmTypeProjection, generics: Generics): String {
    val type = of.type ?: return "*"
    val variance = if (of.variance == KmVariance.INVARIANT) "" else of.variance?.name?.lowercase() + " "
    return variance + type(type, generics)
}

/** Kotlin's own names and ours without their packages. */
private fun short(name: String) = name.replace(Regex("^(kotlin(\\.collections)?|dev\\.rolekeep)\\.(?=[A-Z])"), "")

private class Generics(val own: List<KmTypeParameter> = emptyList(), outer: Map<Int, String> = emptyMap()) {
    val names: Map<Int, String> = outer + own.associate { it.id to it.name }

    operator fun plus(more: List<KmTypeParameter>) = Generics(more, names)

    fun declared(): String = if (own.isEmpty()) "" else own.joinToString(prefix = "<", postfix = ">") { parameter ->
        val bounds = parameter.upperBounds.map { type(it, this) }.filter { it != "Any?" }
        parameter.name + if (bounds.isEmpty()) "" else bounds.joinToString(" & ", " : ")
    }
}
