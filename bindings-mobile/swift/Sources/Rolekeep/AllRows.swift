/// The rows of all pages of a list: `for try await user in me.users.listAll() { … }`.
///
/// A page is read when its first row is asked for, so a loop that ends early reads no further. Each iteration starts at the
/// first page; an error of the list ends it, as does the cancellation of its task.
public struct AllRows<Row: Sendable>: AsyncSequence, Sendable {
    public typealias Element = Row

    /// A page's rows, and the cursor of the next one.
    typealias Read = @Sendable (_ cursor: String?) async throws -> (rows: [Row], next: String?)

    private let read: Read

    init(read: @escaping Read) {
        self.read = read
    }

    public func makeAsyncIterator() -> Iterator {
        Iterator(read: read)
    }

    public struct Iterator: AsyncIteratorProtocol {
        private let read: Read
        private var rows: ArraySlice<Row> = []
        private var cursor: String?
        private var hasNext = true

        fileprivate init(read: @escaping Read) {
            self.read = read
        }

        /// The next row; none after the last.
        public mutating func next() async throws -> Row? {
            while rows.isEmpty, hasNext {
                try Task.checkCancellation()
                let page = try await read(cursor)
                rows = page.rows[...]
                cursor = page.next
                hasNext = page.next != nil
            }
            return rows.popFirst()
        }
    }
}
