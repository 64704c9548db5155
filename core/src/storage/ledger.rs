//! What every commit writes of itself, beside the rows it was asked to write: its line in the feed
//! and its sealed audit entries. The same rows on every backend.

use std::time::Duration;

#[cfg(feature = "sql")]
use super::Query;
use super::{
    ChangeSet, Changes, CommitError, Committed, FEED_PAGE, FeedPart, Gap, LanePosition, Line, PRUNE_BATCH, Position,
    Retention, Touched, Write,
};
#[cfg(feature = "sqlite")]
use super::{Direction, Order, Storage, Window};
#[cfg(feature = "sqlite")]
use crate::model::predicate::Comparison;
#[cfg(feature = "sql")]
use crate::model::{predicate::Predicate, record::Field};
use crate::{
    audit_chain::{AuditEntry, AuditHead, chain},
    model::{
        error::{Error, Reason, Result},
        id::ChangeSetId,
        record::{Corrupt, Document, Key, Record, Row, Table, Unread},
        time::Time,
        value::Value,
    },
};

/// The only lane of a storage whose commits follow one another.
pub(crate) const LANE: u16 = 0;

/// One commit: a line of the change feed, and the answer to [`super::Storage::outcome`].
#[derive(Clone, Debug, PartialEq, Eq, Record)]
#[record(table = "commits", key(position), index(id), sync = never, resource = none)]
#[record(events = none("it is the feed"))]
#[record(audit = none("it is the feed"), owner = none, caches = none, retention = feed(at))]
pub struct CommitRecord {
    /// Its lane and its number in it, from 1, without gaps but for those that were pruned: the lane times 2 to the power of 48, and
    /// the number.
    pub position: i64,
    /// The change set's id.
    pub id: ChangeSetId,
    /// When it was planned.
    pub at: Time,
    /// The rows that it wrote or deleted, but those that are not in the feed.
    pub touched: Document<Vec<Touched>>,
    /// What others are told of it, a list of [`StoredEvent`](crate::model::event::StoredEvent)s; null where there is nothing to tell.
    pub events: Option<Unread>,
    /// Always 1.
    pub version: i64,
}

/// The rows that the commit of this number in its lane adds to those of its change set.
///
/// # Errors
/// A stored head that this library did not write, or not with a key of the log.
pub(crate) fn rows_of(change_set: &ChangeSet, lane: u16, number: u64, head: Option<Row>) -> Result<Vec<Write>> {
    let mut writes = Vec::with_capacity(change_set.audit.len() + 2);
    if !change_set.audit.is_empty() {
        let before = head.clone();
        let head = head.map(AuditHead::from_row).transpose()?;
        let seen = head.as_ref().map(|head| head.version);
        let (entries, head) = chain::seal(lane.into(), head, &change_set.audit)?;
        writes.extend(entries.into_iter().map(|mut entry| Write::insert(&mut entry)));
        writes.extend(head.map(|head| {
            let (key, row) = (head.key(), Some(head.to_row()));
            Write { table: AuditHead::TABLE, key, expected: seen, row, before }
        }));
    }
    let touched = change_set.writes.iter().filter(|write| write.table.is_in_feed());
    let touched = touched.map(|write| Touched { table: write.table.name.to_owned(), key: write.key.clone() });
    let mut commit = CommitRecord {
        position: LanePosition::line(lane, number),
        id: change_set.id,
        at: change_set.at,
        touched: Document(touched.collect()),
        events: (!change_set.events.is_empty()).then(|| Unread(Document(&change_set.events).text().into())),
        version: 1,
    };
    writes.push(Write::insert(&mut commit));
    Ok(writes)
}

/// The first line of a lane in an epoch: of a store that was restored, by a commit of this id that wrote everything.
#[cfg(not(all(feature = "deferred", target_arch = "wasm32")))]
pub(crate) fn restored(id: ChangeSetId, at: Time, lane: u16, epoch: u16) -> CommitRecord {
    // An id of its own for each lane, in a part that chance has made and that is not in its tag.
    let id = ChangeSetId(uuid::Uuid::from_u128(id.0.as_u128() ^ (u128::from(lane) << 32)));
    let position = LanePosition::line(lane, LanePosition::first_of(epoch));
    CommitRecord { position, id, at, touched: Document(Vec::new()), events: None, version: 1 }
}

/// Why a row of [`rows_of`] cannot be written: its place is taken. Where an audit entry has it, planning anew finds no other place.
pub(crate) fn taken(table: &'static Table, key: Key) -> CommitError {
    if table.name == AuditEntry::TABLE.name {
        let message = "the audit log has an entry where the next one belongs: verify the log (audit.verify)";
        return CommitError::Failed(Error::new(Reason::Corrupt, message));
    }
    CommitError::Stale { table, key }
}

/// How many of the oldest lines go, of the first ones in their order and one more than can go at a time.
pub(crate) fn prunable(oldest: impl IntoIterator<Item = Time>, retention: &Retention) -> usize {
    let mut oldest = oldest.into_iter().take(PRUNE_BATCH + 1).peekable();
    let mut count = 0;
    // The last of all stays, as positions are counted from it, and so does the last of the old ones: what was made after it is known to have
    // taken place or not.
    while let Some(at) = oldest.next()
        && let Some(next) = oldest.peek()
        && Ord::max(at, *next) < retention.feed_before
    {
        count += 1;
    }
    count
}

/// By how many seconds the times of commits may be out of the order in which they took place: clocks differ, and a commit is planned for some time
/// before it takes place.
pub(crate) const SKEW_SECONDS: i64 = 60;

/// What is to say of a commit that has no line: none if it never took place.
///
/// `oldest` has the oldest line of each lane.
///
/// # Errors
/// [`Reason::OutcomeUnknown`] where its line may have been pruned: only of ids that were made after the oldest
/// line was planned is it known that it was not.
pub(crate) fn outcome_of_missing(
    id: ChangeSetId,
    oldest: impl IntoIterator<Item = (i64, Time)>,
) -> Result<Option<Committed>> {
    let pruned = oldest.into_iter().filter(|(line, _)| LanePosition::of_line(*line).1 > 1);
    let Some(at) = pruned.map(|(_, at)| at).max() else { return Ok(None) };
    if made_at(id).is_some_and(|made_at| made_at > at.plus_seconds(SKEW_SECONDS)) {
        return Ok(None);
    }
    let message = "it is no longer known whether this commit took place: its part of the change feed was pruned";
    Err(Error::new(Reason::OutcomeUnknown, message))
}

impl CommitRecord {
    /// Where it stands.
    pub(crate) fn place(&self) -> LanePosition {
        let (lane, number) = LanePosition::of_line(self.position);
        LanePosition::new(lane, number, self.id)
    }
}

/// The line from which a lane is read on that is known so far: the known one itself, to see that it is the same.
pub(crate) fn first_line(lane: u16, since: &Position) -> i64 {
    LanePosition::line(lane, since.number(lane).max(1))
}

/// As many lines are read of a lane for a part: the known one, too.
pub(crate) fn most_lines(part: FeedPart) -> u64 {
    part.commits.clamp(1, FEED_PAGE) + 1
}

/// A line as it is read, and how many bytes of it are told.
pub(crate) struct ReadLine {
    pub(crate) record: CommitRecord,
    pub(crate) bytes: u64,
}

/// The lines of the only lane, some at a time: of what is too much for a part little is read then.
pub(crate) struct LaneLines {
    since: Position,
    part: FeedPart,
    newest: LanePosition,
    /// Where the next begin.
    from: i64,
    read: Vec<ReadLine>,
    /// Of how many that are told, and of how many bytes.
    told: (u64, u64),
}

/// So many lines are read first where bytes are counted, and at a time at most: what follows may be longer.
const STEPS: (u64, u64) = (4, 64);

impl LaneLines {
    pub(crate) fn after(since: &Position, part: FeedPart, newest: LanePosition) -> Self {
        let from = first_line(LANE, since);
        Self { since: since.clone(), part, newest, from, read: Vec::new(), told: (0, 0) }
    }

    /// From where on to read next, and how many lines; none: it is enough.
    pub(crate) fn next(&self) -> Option<(i64, u64)> {
        let (left, (told, bytes)) = (most_lines(self.part).saturating_sub(self.read.len() as u64), self.told);
        let is_enough = left == 0 || self.from > LanePosition::line(LANE, self.newest.number);
        if is_enough || bytes >= self.part.bytes.max(1) {
            return None;
        }
        let step = match bytes {
            _ if self.part.bytes == u64::MAX => left,
            0 => STEPS.0,
            _ => ((self.part.bytes - bytes).saturating_mul(told) / bytes).clamp(1, STEPS.1),
        };
        Some((self.from, step.min(left)))
    }

    /// Takes what was read for [`Self::next`].
    pub(crate) fn add(&mut self, lines: Vec<Row>) -> Result<()> {
        // Where nothing is there, nothing follows.
        self.from = i64::MAX;
        for row in lines {
            let line = ReadLine::of(row, self.part)?;
            self.from = line.record.position.saturating_add(1);
            if line.record.place().number > self.since.number(LANE) {
                self.told = (self.told.0 + 1, self.told.1.saturating_add(line.bytes));
            }
            self.read.push(line);
        }
        Ok(())
    }

    /// What they tell.
    pub(crate) fn changes(self) -> Changes {
        let mut changes = Changes::after(&self.since);
        changes.take(self.newest, self.read, self.part);
        changes
    }
}

impl ReadLine {
    fn of(row: Row, part: FeedPart) -> Result<Self> {
        let bytes = |value: &Value| match value {
            Value::Json(text) => text.len() as u64,
            _ => 0,
        };
        let [.., touched, events, _] = row.0.as_slice() else {
            return Err(Corrupt { table: CommitRecord::TABLE.name, column: "touched" }.into());
        };
        let bytes = bytes(touched) + if part.has_events { bytes(events) } else { 0 };
        Ok(Self { record: CommitRecord::from_row(row)?, bytes })
    }
}

impl Changes {
    /// Nothing after this position yet.
    pub(crate) fn after(since: &Position) -> Self {
        Self { position: since.clone(), ..Self::default() }
    }

    /// Takes what there is of a lane: its newest commit, and its lines from [`first_line`] on, [`most_lines`] or those that are enough.
    pub(crate) fn take(&mut self, newest: LanePosition, lines: impl IntoIterator<Item = ReadLine>, part: FeedPart) {
        let mut known = self.position.lane(newest.lane);
        let is_other = |found: LanePosition, known: Option<LanePosition>| {
            known.is_some_and(|known| found.number == known.number && found != known)
        };
        let mut is_rewound = is_other(newest, known)
            || known.is_some_and(|known| newest.number < known.number || newest.epoch() != known.epoch());
        let (mut taken, mut bytes) = (0, 0_u64);
        for ReadLine { record: line, bytes: of_line } in lines {
            let place = line.place();
            is_rewound |= is_other(place, known);
            let number = known.map_or(0, |known| known.number);
            let is_full = taken == part.commits.clamp(1, FEED_PAGE) || (taken > 0 && bytes >= part.bytes);
            if place.number <= number || is_full {
                continue;
            }
            if place.number != number + 1 {
                self.gap = self.gap.max(Some(Gap::Pruned));
            }
            (taken, bytes) = (taken + 1, bytes.saturating_add(of_line));
            known = Some(place);
            self.touched.extend(line.touched.0);
            let events = line.events.filter(|_| part.has_events);
            self.lines.push(Line { place, at: line.at, id: line.id, events });
        }
        if is_rewound {
            // Nothing is known of what there was; all that there is counts as heard.
            (self.gap, known) = (Some(Gap::Rewound), Some(newest));
        }
        if let Some(known) = known {
            if known.number < newest.number {
                self.cut.push(newest.lane);
            }
            self.position.set(known);
        }
    }
}

/// So many lines of the only lane from one on.
#[cfg(feature = "sqlite")]
fn lines_from(first: i64, count: u64) -> Query {
    let newer = Predicate::Compare("position".into(), Comparison::GreaterOrEqual, Value::Int(first));
    Query {
        order: vec![Order { column: "position".into(), direction: Direction::Ascending }],
        window: Window { limit: Some(count), ..Window::default() },
        ..Query::of(CommitRecord::TABLE, newer)
    }
}

/// The line of a commit.
#[cfg(feature = "sql")]
pub(crate) fn line_of(id: ChangeSetId) -> Query {
    Query::of(CommitRecord::TABLE, Predicate::equals("id", id.to_value()))
}

/// Where the commit of such a line stands.
#[cfg(feature = "sql")]
pub(crate) fn committed(lines: Vec<Row>) -> Result<Option<Committed>> {
    let line = lines.into_iter().next_back().map(CommitRecord::from_row).transpose()?;
    Ok(line.map(|line| Committed::before(line.place())))
}

/// What the only lane tells after a position, where this is its newest commit.
#[cfg(feature = "sqlite")]
pub(crate) async fn changes(
    storage: &impl Storage,
    since: &Position,
    newest: LanePosition,
    part: FeedPart,
) -> Result<Changes> {
    if since.lane(newest.lane).map_or(newest.number == 0, |known| known == newest) {
        return Ok(Changes::after(since));
    }
    let mut lines = LaneLines::after(since, part, newest);
    while let Some((first, count)) = lines.next() {
        lines.add(storage.query(&lines_from(first, count)).await?.rows)?;
    }
    Ok(lines.changes())
}

/// When an id was made.
pub(crate) fn made_at(id: ChangeSetId) -> Option<Time> {
    let (seconds, nanos) = id.0.get_timestamp()?.to_unix();
    Time::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
}

/// A count as it is stored.
#[cfg(feature = "sql")]
pub(crate) fn number(count: u64) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
