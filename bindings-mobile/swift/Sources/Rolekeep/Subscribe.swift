import Foundation

/// So many events are read at a time.
private let batchSize: Int64 = 1_000
/// How often it is looked anew where nobody tells of news.
private let beatMillis = 30_000
/// How often a consumer renews its lease at least.
private let renewMillis = 10_000
/// How soon a consumer that another process reads for is claimed again.
private let claimNanoseconds: UInt64 = 2_000_000_000
/// For how long what was handled may be unacknowledged while more is there.
private let acknowledgeAfter: TimeInterval = 5

extension Caller {
    /// The events behind a position, and then those that happen, without an end: what the caller may hear of. Cancel the task, or leave
    /// the loop, to break off.
    ///
    /// Throws a conflict of the reason `positionGone` where the change feed no longer reaches back to the position, and `positionForeign`
    /// where it is none of this store: read your data again, and continue from `now`.
    ///
    /// - Parameter from: A position of events, `now` or `earliest`; `now` is when the first event is asked for.
    public func subscribe(from: String = "now") -> AsyncThrowingStream<Event, Error> {
        var position = from
        var ready: ArraySlice<Event> = []
        return AsyncThrowingStream {
            while ready.isEmpty {
                try Task.checkCancellation()
                let batch = try await self.events.read(ReadEvents(from: position, limit: batchSize))
                position = batch.position
                ready = batch.events[...]
                if ready.isEmpty, !batch.hasMore { _ = try await self.isNews(position, beatMillis) }
            }
            return ready.popFirst()
        }
    }

    /// Hands the events of a consumer to `handle`, one after another, until the task is cancelled or `handle` throws: from where the
    /// consumer was left on, each at least once. While another process reads for it, this one waits. For the application itself.
    ///
    /// An event counts as handled once `handle` has returned, and is acknowledged soon after. A consumer that is new begins with what
    /// happens from now on, unless it was claimed before (`consumers.claim`).
    ///
    /// Throws a conflict of the reason `leaseLost` if an event took more than 30 seconds and another process reads on meanwhile.
    public func consume(_ name: String, handle: (Event) async throws -> Void) async throws {
        let claimed = try await claim(name)
        let lease = claimed.lease
        var handled = claimed.position
        var acknowledged = handled
        var position = handled
        var isHandling = false
        var at = Date()
        func acknowledge() async throws {
            _ = try await consumers.acknowledge(Acknowledge(name: name, lease: lease, position: handled))
            acknowledged = handled
            at = Date()
        }
        do {
            while true {
                try Task.checkCancellation()
                let batch = try await events.read(ReadEvents(from: position, limit: batchSize))
                position = batch.position
                for event in batch.events {
                    isHandling = true
                    try await handle(event)
                    isHandling = false
                    handled = event.position
                    if Date().timeIntervalSince(at) >= acknowledgeAfter { try await acknowledge() }
                }
                handled = position
                if batch.events.isEmpty, !batch.hasMore { _ = try await isNews(position, renewMillis) }
                // What is no event alone is no reason: each acknowledgement is a commit, which wakes all other consumers.
                if !batch.events.isEmpty || Date().timeIntervalSince(at) * 1000 >= Double(renewMillis) { try await acknowledge() }
            }
        } catch {
            // Whoever fails at an event has handled those before it.
            if isHandling, handled != acknowledged { try? await acknowledge() }
            // So that nobody waits for its end; where another process has it, that changes nothing.
            try? await consumers.release(ReleaseConsumer(name: name, lease: lease))
            throw error
        }
    }

    private func isNews(_ position: String, _ millis: Int) async throws -> Bool {
        // A position has nothing that JSON would escape.
        try await call(operation: "events.wait", input: "{\"position\": \"\(position)\", \"millis\": \(millis)}") == "true"
    }

    private func claim(_ name: String) async throws -> ConsumerLease {
        while true {
            do {
                return try await consumers.claim(ClaimConsumer(name: name))
            } catch let held as RolekeepError {
                guard held.reason == .leaseHeld else { throw held }
            }
            try await Task.sleep(nanoseconds: claimNanoseconds)
        }
    }
}
