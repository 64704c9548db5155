package dev.rolekeep

import com.sun.jna.Pointer
import java.nio.BufferOverflowException
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.concurrent.ConcurrentLinkedQueue

/**
 * Writes resources into memory of the native side, in the form of the core's `ffi/packed.rs`: a call with numbers alone
 * costs a hundredth of one with records. What does not fit goes the other way.
 */
internal class Packed private constructor() {
    val number = Direct.rolekeep_buffer(BYTES)
    private val bytes: ByteBuffer = Pointer(Direct.rolekeep_buffer_address(number)).getByteBuffer(0, BYTES.toLong()).order(ByteOrder.LITTLE_ENDIAN)

    /** Writes a resource and gives its length; 0 where it is to be asked the other way. */
    fun resource(resource: Resource): Int = written { put(resource) }

    /** The same for checks; one resource that stands there several times is written once. */
    fun checks(checks: List<Check>, number: (String) -> Long?): Int = written {
        val resources = ArrayList<Resource>()
        checks.size <= MAX_CHECKS && run {
            bytes.putShort(checks.size.toShort())
            checks.all { check ->
                val known = number(check.permission) ?: return@all false
                bytes.putInt(known.toInt())
                bytes.putShort(check.resource?.let { place(it, resources) }?.toShort() ?: 0)
                known <= Int.MAX_VALUE
            } && resources.all(::putWithLength)
        }
    }

    /** What was answered to so many checks. */
    fun answers(count: Int): List<Boolean> = List(count) { bytes.get(it) == 1.toByte() }

    private fun place(resource: Resource, resources: ArrayList<Resource>): Int {
        // The last is the likeliest.
        val known = resources.indexOfLast { it === resource }
        if (known >= 0) return known + 1
        resources.add(resource)
        return resources.size
    }

    private fun putWithLength(resource: Resource): Boolean {
        val start = bytes.position()
        bytes.putShort(0)
        return put(resource).also { bytes.putShort(start, (bytes.position() - start - 2).toShort()) }
    }

    private fun put(resource: Resource): Boolean = put(resource.resourceType) && resource.attributes.all { (name, json) ->
        put(name) && run {
            bytes.put(JSON)
            put(json)
        }
    }

    /** A text in UTF-8; not one with letters of two `Char`s, of which either may be missing. */
    private fun put(text: String): Boolean {
        val start = bytes.position()
        bytes.putShort(0)
        for (letter in text) {
            val code = letter.code
            when {
                code < 0x80 -> bytes.put(code.toByte())
                code < 0x800 -> bytes.put((0xC0 or (code shr 6)).toByte()).put((0x80 or (code and 0x3F)).toByte())
                letter.isSurrogate() -> return false
                else -> bytes.put((0xE0 or (code shr 12)).toByte()).put((0x80 or (code shr 6 and 0x3F)).toByte()).put((0x80 or (code and 0x3F)).toByte())
            }
        }
        bytes.putShort(start, (bytes.position() - start - 2).toShort())
        return true
    }

    private inline fun written(write: () -> Boolean): Int = try {
        bytes.clear()
        if (write()) bytes.position() else 0
    } catch (_: BufferOverflowException) {
        0
    }

    companion object {
        private const val BYTES = 16 * 1024
        private const val MAX_CHECKS = 1_000
        private const val JSON: Byte = 6

        /** Those that nobody writes to: as many as threads have asked at once. */
        private val free = ConcurrentLinkedQueue<Packed>()

        inline fun <T> with(use: (Packed) -> T): T {
            val packed = free.poll() ?: Packed()
            try {
                return use(packed)
            } finally {
                free.add(packed)
            }
        }
    }
}
