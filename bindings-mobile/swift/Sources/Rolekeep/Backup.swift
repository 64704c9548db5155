import Foundation

extension UserManagement {
    /// Writes a backup into an open file, such as `FileHandle(forWritingTo: url)`, which stays open; otherwise as with a
    /// `BackupTarget`. What was written when it throws is refused as a backup.
    public func backup(to file: FileHandle, key: String? = nil) async throws -> BackupSummary {
        try await backup(to: .stream(writer: OpenFile(file)), key: key)
    }
}

/// Reads a backup from an open file, which stays open, to its end, and says what is in it; otherwise as with a `BackupSource`.
public func verifyBackup(source file: FileHandle, key: String? = nil) async throws -> BackupSummary {
    try await verifyBackup(source: .stream(reader: OpenFile(file)), key: key)
}

extension Restore {
    /// A backup in an open file, such as `FileHandle(forReadingFrom: url)`, which stays open.
    public init(source file: FileHandle, key: String? = nil, keepSessions: Bool = false, endApiKeys: Bool = false) {
        self.init(source: .stream(reader: OpenFile(file)), key: key, keepSessions: keepSessions, endApiKeys: endApiKeys)
    }
}

extension Restore: CustomReflectable {
    /// Nothing: it holds a secret.
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// A file whose calls come one after another.
private final class OpenFile: BackupReader, BackupWriter, @unchecked Sendable {
    private let file: FileHandle

    init(_ file: FileHandle) {
        self.file = file
    }

    func read(most: UInt32) throws -> Data {
        try file.read(upToCount: Int(most)) ?? Data()
    }

    func write(bytes: Data) throws {
        try file.write(contentsOf: bytes)
    }

    /// It holds nothing back.
    func flush() throws {}
}
