import Foundation

extension RolekeepError: CustomStringConvertible, CustomDebugStringConvertible {
    /// What went wrong, for people.
    public var description: String { facts.detail }
    public var debugDescription: String { facts.detail }
    /// The kind, as it is written.
    public var code: Code { facts.code }
    /// What happened, more precisely; as stable as the code.
    public var reason: Reason { facts.reason }
    /// All wrong fields.
    public var fields: [FieldError] { facts.fields }
    /// The problems of a policy or seed file, each with line and column.
    public var problems: [Problem] { facts.problems }

    private typealias Facts = (detail: String, code: Code, reason: Reason, fields: [FieldError], problems: [Problem])

    private var facts: Facts {
        switch self {
        case let .Validation(detail, code, reason, fields, problems, _, _),
            let .Unauthorized(detail, code, reason, fields, problems, _, _),
            let .Forbidden(detail, code, reason, fields, problems, _, _),
            let .NotFound(detail, code, reason, fields, problems, _, _),
            let .Duplicate(detail, code, reason, fields, problems, _, _),
            let .Conflict(detail, code, reason, fields, problems, _, _),
            let .RateLimited(detail, code, reason, fields, problems, _, _),
            let .Unavailable(detail, code, reason, fields, problems, _, _),
            let .Internal(detail, code, reason, fields, problems, _, _):
            return (detail, code, reason, fields, problems)
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

    /// Somebody else may write to the same data.
    public func isShared() -> Bool { true }
}

extension Caller {
    /// Whether the caller may do this to a resource. It cannot be `nil`, so that a resource that was not found is not left out by mistake.
    public func can(permission: String, resource: Resource) throws -> Bool {
        try canOn(permission: permission, resource: resource)
    }

    /// Throws `RolekeepError.Forbidden` unless `can` is true.
    public func require(permission: String, resource: Resource) throws {
        try requireOn(permission: permission, resource: resource)
    }

    /// Runs `work` only if the caller may do this; otherwise throws `RolekeepError.Forbidden`.
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

extension Principal {
    /// Whether the principal may do this to a resource. It cannot be `nil`, so that a resource that was not found is not left out by mistake.
    public func can(permission: String, resource: Resource) throws -> Bool {
        try canOn(permission: permission, resource: resource)
    }

    /// Throws `RolekeepError.Forbidden` unless `can` is true.
    public func require(permission: String, resource: Resource) throws {
        try requireOn(permission: permission, resource: resource)
    }
}
