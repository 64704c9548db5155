import Foundation

extension RolekeepError: CustomStringConvertible, CustomDebugStringConvertible {
    /// What went wrong, for people.
    public var description: String { facts.detail }
    public var debugDescription: String { facts.detail }
    /// The kind, as it is written.
    public var code: Code { facts.code }
    /// What happened, more precisely; as stable as the code.
    public var reason: Reason { facts.reason }
    /// The wrong fields: first everything that the input alone shows, then what depends on the policy or stored data.
    public var fields: [FieldError] { facts.fields }
    /// The problems of a policy file or backup, each with line and column.
    public var problems: [Problem] { facts.problems }
    /// When it happened, where known.
    public var timestamp: Timestamp? { facts.timestamp }
    /// The HTTP status for the response of a service.
    public var httpStatus: Int32 { facts.httpStatus }
    /// With the reason `outcome_unknown` or `already_done`: by this `audit.outcome` tells what became of the change.
    public var changeId: Uuid? { facts.changeId }
    /// With the code `RATE_LIMIT_EXCEEDED`: after how many seconds to ask again.
    public var retryAfter: Int32? { facts.retryAfter }
    /// The permission that was denied, for the host's log; who was denied must not learn it.
    public var permission: String? { facts.permission }
    /// The id of the request that failed, where it was called with one; truncated to 128 characters.
    public var requestId: String? { facts.requestId }
    /// The message for a client of your service: where the storage failed, or something else inside, a sentence that says no more.
    public var clientMessage: String { facts.clientMessage }

    private typealias Facts = (
        detail: String, code: Code, reason: Reason, fields: [FieldError], problems: [Problem], timestamp: Timestamp?,
        httpStatus: Int32, changeId: Uuid?, retryAfter: Int32?, permission: String?, requestId: String?, clientMessage: String
    )

    private var facts: Facts {
        switch self {
        case let .Validation(detail, code, reason, fields, problems, timestamp, httpStatus, changeId, retryAfter, permission, requestId, clientMessage),
            let .Unauthorized(detail, code, reason, fields, problems, timestamp, httpStatus, changeId, retryAfter, permission, requestId, clientMessage),
            let .Forbidden(detail, code, reason, fields, problems, timestamp, httpStatus, changeId, retryAfter, permission, requestId, clientMessage),
            let .NotFound(detail, code, reason, fields, problems, timestamp, httpStatus, changeId, retryAfter, permission, requestId, clientMessage),
            let .Duplicate(detail, code, reason, fields, problems, timestamp, httpStatus, changeId, retryAfter, permission, requestId, clientMessage),
            let .Conflict(detail, code, reason, fields, problems, timestamp, httpStatus, changeId, retryAfter, permission, requestId, clientMessage),
            let .RateLimited(detail, code, reason, fields, problems, timestamp, httpStatus, changeId, retryAfter, permission, requestId, clientMessage),
            let .Unavailable(detail, code, reason, fields, problems, timestamp, httpStatus, changeId, retryAfter, permission, requestId, clientMessage),
            let .Internal(detail, code, reason, fields, problems, timestamp, httpStatus, changeId, retryAfter, permission, requestId, clientMessage):
            return (detail, code, reason, fields, problems, timestamp, httpStatus, changeId, retryAfter, permission, requestId, clientMessage)
        }
    }
}

extension SqlParameter {
    /// A value as drivers bind it.
    public enum Bound: Sendable, Equatable {
        case bool(Bool), int(Int64), text(String), uuid(UUID), blob(Data)
        /// Arrays of PostgreSQL.
        case bools([Bool]), ints([Int64]), texts([String]), uuids([UUID])
    }

    /// The value as drivers bind it, by its kind.
    public func bound() throws -> Bound {
        switch kind {
        case .bool: return .bool(try decoded())
        case .int: return .int(try (decoded() as Exact).value)
        case .text: return .text(try decoded())
        case .uuid: return .uuid(try decoded())
        case .blob:
            let digits = Array(try decoded() as String)
            let bytes = stride(from: 0, to: digits.count - 1, by: 2).compactMap { UInt8(String(digits[$0...($0 + 1)]), radix: 16) }
            return .blob(Data(bytes))
        case .bools: return .bools(try decoded())
        case .ints: return .ints(try (decoded() as [Exact]).map(\.value))
        case .texts: return .texts(try decoded())
        case .uuids: return .uuids(try decoded())
        }
    }

    // In an array, as older systems take nothing else for JSON.
    private func decoded<T: Decodable>() throws -> T {
        try JSONDecoder().decode([T].self, from: Data("[\(value)]".utf8))[0]
    }

    // One beyond 2^53 is text.
    private struct Exact: Decodable {
        let value: Int64

        init(from decoder: Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let number = try? container.decode(Int64.self) {
                value = number
                return
            }
            guard let number = Int64(try container.decode(String.self)) else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "no integer")
            }
            value = number
        }
    }
}

extension Resource {
    /// A resource of the application: `Resource("document", ["owner_id": .text(id)])`.
    public init(_ resourceType: String, _ attributes: [String: Value] = [:]) {
        self.init(resourceType: resourceType, attributes: attributes.mapValues(\.json))
    }

    /// What an attribute may be.
    public enum Value: Sendable {
        case null, bool(Bool), int(Int64), text(String), id(UUID), list([Value])

        /// As JSON.
        public var json: JsonText {
            switch self {
            case .null: return "null"
            case let .bool(value): return String(value)
            case let .int(value): return String(value)
            case let .text(value): return Value.quoted(value)
            case let .id(value): return Value.quoted(value.uuidString.lowercased())
            case let .list(values): return "[" + values.map(\.json).joined(separator: ",") + "]"
            }
        }

        private static func quoted(_ text: String) -> String {
            let escaped = text.unicodeScalars.map { scalar -> String in
                switch scalar {
                case "\"", "\\": return "\\" + String(scalar)
                case _ where scalar.value < 0x20: return String(format: "\\u%04x", scalar.value)
                default: return String(scalar)
                }
            }
            return "\"" + escaped.joined() + "\""
        }
    }
}

extension Persister {
    /// Forgets nothing.
    public func forget(ids: [String]) async throws {}

    /// Holds nothing open.
    public func shutdown() async throws {}

    /// Somebody else may write to the same data.
    public func isShared() -> Bool { true }
}

extension Caller {
    /// Runs `work` only if the caller may do this; else throws `RolekeepError.Forbidden`.
    public func requiring<T>(_ permission: String, _ work: () async throws -> T) async throws -> T {
        try require(permission: permission)
        return try await work()
    }

    /// Runs `work` only if the caller may do this to a resource; else throws `RolekeepError.Forbidden`.
    public func requiring<T>(_ permission: String, on resource: Resource, _ work: () async throws -> T) async throws -> T {
        try require(permission: permission, resource: resource)
        return try await work()
    }
}
