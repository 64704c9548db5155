import Foundation

/// So many bytes are fed at a time: about what one commit takes.
private let piece = 128 * 1024
/// And of one record that is longer.
private let longest = 1024 * 1024

extension Caller {
    /// Imports users from bytes of any number, of which no more than a piece is in memory; returns the finished import:
    /// `try await me.importUsers(FileHandle(forReadingFrom: url).bytes, options: BeginImport(source: "old-shop", format: .csv))`.
    ///
    /// An import ends early, with the status `stopped`, when too many of its records have failed. One that an error or the
    /// cancellation of the task breaks off keeps what it made, and can be resumed.
    ///
    /// - Parameters:
    ///   - resume: An import that was broken off, with which it goes on: the data is the same from its beginning, and the options
    ///     are those it was begun with.
    ///   - onProgress: Is given what became of each piece, which is committed by then. An error thrown by it ends the import.
    public func importUsers<Bytes: AsyncSequence>(
        _ data: Bytes,
        options: BeginImport,
        resume: UUID? = nil,
        onProgress: (ImportProgress) async throws -> Void = { _ in }
    ) async throws -> Import where Bytes.Element == UInt8 {
        var feed = try await ImportFeed(imports: imports, options: options, resume: resume)
        for try await byte in data {
            feed.held.append(byte)
            if feed.isDue, try await !feed.drain(isOver: false, onProgress) { return feed.status }
        }
        return try await feed.finish(onProgress)
    }

    /// The same from bytes that come in parts of any size.
    public func importUsers<Parts: AsyncSequence>(
        _ data: Parts,
        options: BeginImport,
        resume: UUID? = nil,
        onProgress: (ImportProgress) async throws -> Void = { _ in }
    ) async throws -> Import where Parts.Element == Data {
        var feed = try await ImportFeed(imports: imports, options: options, resume: resume)
        for try await part in data {
            feed.held.append(part)
            if feed.isDue, try await !feed.drain(isOver: false, onProgress) { return feed.status }
        }
        return try await feed.finish(onProgress)
    }
}

private struct ImportFeed {
    /// What has come and was not read yet: the beginning of a record.
    var held = Data()
    private(set) var status: Import
    private let imports: Imports
    private var size = piece

    init(imports: Imports, options: BeginImport, resume: UUID?) async throws {
        self.imports = imports
        if let resume {
            status = try await imports.resume(input: ResumeImport(id: resume))
        } else {
            status = try await imports.begin(input: options)
        }
    }

    /// Whether as much has come as is fed at a time.
    var isDue: Bool { held.count >= size }

    /// Feeds what is due; whether more may come.
    mutating func drain(isOver: Bool, _ onProgress: (ImportProgress) async throws -> Void) async throws -> Bool {
        while status.status == .open, isOver || isDue {
            try Task.checkCancellation()
            let isLast = isOver && held.count <= size
            let data = held.prefix(size).base64EncodedString()
            let progress = try await imports.feed(input: FeedImport(id: status.id, at: status.position, data: data, isLast: isLast))
            let used = Int(progress.import.position - status.position)
            held = Data(held.dropFirst(used))
            // A record that is longer is fed whole.
            size = used > 0 ? piece : min(2 * size, longest)
            status = progress.import
            try await onProgress(progress)
            if isLast, held.isEmpty { break }
        }
        return status.status == .open
    }

    mutating func finish(_ onProgress: (ImportProgress) async throws -> Void) async throws -> Import {
        guard try await drain(isOver: true, onProgress) else { return status }
        return try await imports.finish(input: FinishImport(id: status.id))
    }
}
