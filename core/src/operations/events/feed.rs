//! The commits behind a position, in an order.
//!
//! The commits of a lane follow one another; those of different lanes do not, but the versions of a row say which of its changes came first.
//! So all that is read at a time is put into an order that agrees with both. A page that does not reach the end of some lane may lack a change
//! that came before one of another lane: of such a page only what was committed long enough before the last of those lanes is told, and more is
//! read where that is nothing.
//!
//! A commit may tell of thousands of rows, so no more is read than is likely to be asked for. That depends on how much others' commits tell,
//! so that a page of whoever does not hear of all ends elsewhere (SEC-1): where it is full, or where each lane was looked at up to a number of
//! commits, of which only those of operations on many things at once count for more.

use std::collections::{BTreeMap, VecDeque};

use super::{
    Cursor, Event, EventBatch, missed,
    order::{CommitEvents, certainty, in_order},
};
use crate::{
    model::{
        deferred::IS_PAGE,
        error::{Error, Reason, Result},
        event::StoredEvent,
    },
    operations::services::Services,
    storage::{Changes, FEED_PAGE, FeedPart, Gap, LanePosition, Line, Position, Storage},
};

/// About as many bytes of the feed tell of an event.
const EVENT_BYTES: u64 = 400;
/// So many commits of each lane are read at least, and the bytes of so many events: many a commit tells the caller nothing.
const LEAST: u64 = 16;
/// No more bytes of a lane are read at a time, however often it is read on before anything is certain.
const MOST_BYTES: u64 = 4 << 20;
/// What is done to one account or thing tells no more events: how many they are is not to be seen from where a page ends.
const ORDINARY: u64 = 16;
/// So many ordinary commits of each lane are looked at in a page at most, unless nothing of them is certain.
const MOST_ORDINARY: u64 = 128;
/// Whether the caller hears of them is looked at for so many events at least.
const SLICE: usize = 100;

/// The first commit of each lane.
pub(in crate::operations) const FIRST: FeedPart = FeedPart { commits: 1, bytes: 0, has_events: false };

/// Before the first commits that the feed still has: what was before them nobody reading on from here has missed.
pub(in crate::operations) async fn earliest(storage: &dyn Storage) -> Result<Cursor> {
    let mut position = Position::START;
    for Line { place, .. } in storage.changes(&Position::START, FIRST).await?.lines {
        // Nothing is compared with a commit that is gone.
        position.advance(LanePosition { number: place.number.saturating_sub(1), tag: 0, ..place });
    }
    Ok(position.into())
}

/// How far each lane is looked at, however much is read of it at a time.
struct Pace {
    /// In events, as if each commit told no fewer than an ordinary one may.
    goal: u64,
    /// How far it was.
    reached: BTreeMap<u16, u64>,
    /// More has to be read of some lane.
    is_behind: bool,
}

impl Pace {
    fn of(&self, lane: u16) -> u64 {
        self.reached.get(&lane).copied().unwrap_or_default()
    }
}

/// What was read of the feed, and how much of it was taken for the answer.
pub(super) struct Feed {
    since: Cursor,
    /// So many events are asked for.
    most: usize,
    /// How much to read next.
    part: FeedPart,
    /// How far each lane is looked at; none: as far as is read at a time.
    pace: Option<Pace>,
    /// Something was taken.
    is_begun: bool,
    /// What is not taken yet, in an order in which they may have been committed: first those that nothing unread can have come before.
    commits: VecDeque<CommitEvents>,
    /// How many those are.
    certain: usize,
    /// Behind all that was read.
    reached: Position,
    has_more: bool,
    /// Behind what was taken.
    taken: Position,
    events: Vec<Event>,
    /// What follows is for another answer.
    is_full: bool,
}

impl Feed {
    /// What follows a position, to answer so many events to who hears of all, or not; nothing is read yet.
    pub(super) fn behind(since: Cursor, most: usize, hears_all: bool) -> Self {
        let commits = (most as u64).clamp(LEAST, if hears_all { FEED_PAGE } else { MOST_ORDINARY });
        let goal = commits * ORDINARY;
        Self {
            most,
            pace: (!hears_all).then_some(Pace { goal, reached: BTreeMap::new(), is_behind: false }),
            is_begun: false,
            part: FeedPart { commits, bytes: commits * EVENT_BYTES, has_events: true },
            commits: VecDeque::new(),
            certain: 0,
            reached: since.position.clone(),
            has_more: true,
            taken: since.position.clone(),
            events: Vec::new(),
            is_full: false,
            since,
        }
    }

    /// How many of the commits that follow may be taken next, so that is looked at whether the caller hears of their events; none: the page
    /// ends. If it began at the earliest, it may be that something was there before.
    pub(super) async fn next_slice(&mut self, services: &Services, is_earliest: bool) -> Result<usize> {
        while self.reads_on() {
            let changes = services.feed.read(services, &self.reached, self.part).await?;
            if let Some(gap) = changes.gap.filter(|gap| !is_earliest || *gap == Gap::Rewound) {
                return Err(missed(gap));
            }
            self.add(&changes)?;
        }
        Ok(self.slice_size())
    }

    /// Whether what follows is for this page, and is not read yet.
    fn reads_on(&self) -> bool {
        let is_behind = self.pace.as_ref().is_some_and(|pace| pace.is_behind);
        self.has_more && !self.is_begun && (self.certain == 0 || is_behind)
    }

    /// Takes what the storage told behind what was reached.
    fn add(&mut self, changes: &Changes) -> Result<()> {
        // However far apart the lanes are, few calls read what is between them.
        self.part.commits = self.part.commits.saturating_mul(2).min(FEED_PAGE);
        self.part.bytes = self.part.bytes.saturating_mul(2).min(MOST_BYTES);
        let mut cut = changes.cut.clone();
        for line in &changes.lines {
            let Line { place, at, id, .. } = *line;
            if self.pace.as_ref().is_some_and(|pace| pace.of(place.lane) >= pace.goal) {
                cut.push(place.lane);
                continue;
            }
            let events: Vec<StoredEvent> = match &line.events {
                Some(events) => events.read().ok_or_else(corrupt)?,
                None => Vec::new(),
            };
            if let Some(pace) = &mut self.pace {
                *pace.reached.entry(place.lane).or_default() += (events.len() as u64).max(ORDINARY);
            }
            self.reached.advance(place);
            self.commits.push_back(CommitEvents { line: Line { place, at, id, events: None }, events });
        }
        // Lanes that moved without a commit that is left.
        changes
            .position
            .lanes()
            .iter()
            .filter(|place| !cut.contains(&place.lane))
            .for_each(|place| self.reached.advance(*place));
        self.has_more = !cut.is_empty();
        self.order(&cut);
        if let Some(pace) = &mut self.pace {
            pace.is_behind = changes.cut.iter().any(|lane| pace.of(*lane) < pace.goal);
            if self.certain == 0 && !pace.is_behind {
                pace.goal *= 2;
            }
        }
        Ok(())
    }

    /// Puts what is not taken into its order. Of the lanes that were cut more is there.
    fn order(&mut self, cut: &[u16]) {
        // A page has one lane, in which nothing can have come before.
        if IS_PAGE {
            self.certain = self.commits.len();
            return;
        }
        let mut commits = in_order(std::mem::take(&mut self.commits).into());
        // What was read in part goes on first, as whatever is before it was told before that part.
        let begun = commits.iter().position(|told| self.since.read_of(told.line.place) > 0);
        if let Some(at) = begun {
            commits[..=at].rotate_right(1);
        }
        let is_certain = certainty(&commits, usize::from(begun.is_some()), cut);
        let (mut certain, mut left) = (VecDeque::new(), Vec::new());
        for (told, is_certain) in commits.into_iter().zip(is_certain) {
            if is_certain { certain.push_back(told) } else { left.push(told) }
        }
        self.certain = certain.len();
        certain.extend(left);
        self.commits = certain;
    }

    fn slice_size(&self) -> usize {
        if self.is_full {
            return 0;
        }
        let most = self.most.saturating_sub(self.events.len()).max(SLICE);
        let mut events = 0;
        let is_within = |(at, told): &(usize, &CommitEvents)| {
            events += told.events.len();
            *at == 0 || events <= most
        };
        self.commits.iter().take(self.certain).enumerate().take_while(is_within).count()
    }

    /// The events of so many commits that follow.
    pub(super) fn slice(&self, commits: usize) -> impl Iterator<Item = &StoredEvent> {
        self.commits.iter().take(commits).flat_map(|told| &told.events)
    }

    /// Takes so many commits, as long as the events of which the caller hears are not too many. Where a page ends must not tell of others.
    pub(super) fn take(
        &mut self,
        commits: usize,
        hears: impl Fn(&StoredEvent) -> Result<bool>,
        told: impl Fn(StoredEvent) -> StoredEvent,
    ) -> Result<()> {
        for _ in 0..commits {
            if self.is_full {
                return Ok(());
            }
            let Some(CommitEvents { line, events }) = self.commits.pop_front() else { return Ok(()) };
            let (first, read) = (self.events.len(), self.since.read_of(line.place));
            let heard = events.iter().skip(read).map(&hears).collect::<Result<Vec<bool>>>()?;
            // All events of a commit are answered together.
            if first > 0 && first + heard.iter().filter(|is_heard| **is_heard).count() > self.most {
                self.commits.push_front(CommitEvents { line, events });
                self.is_full = true;
                return Ok(());
            }
            self.certain -= 1;
            for ((number, stored), is_heard) in events.into_iter().enumerate().skip(read).zip(heard) {
                if is_heard {
                    let cursor = Cursor::within(self.taken.clone(), line.place, number + 1);
                    self.events.extend(Event::of(&line, number, told(stored), &cursor));
                }
            }
            self.taken.advance(line.place);
            // Behind the last follows the next commit.
            if let Some(last) = self.events[first..].last_mut() {
                last.position = self.taken.to_string();
            }
            self.is_begun = true;
            self.is_full = self.pace.is_some() && self.events.len() >= self.most;
        }
        Ok(())
    }

    /// What was taken.
    pub(super) fn into_batch(mut self) -> EventBatch {
        if self.commits.is_empty() {
            // Lanes may have been read on without a commit that is left.
            self.taken.merge(&self.reached);
        }
        let has_more = self.has_more || !self.commits.is_empty();
        EventBatch { events: self.events, position: self.taken.to_string(), has_more }
    }
}

fn corrupt() -> Error {
    Error::new(Reason::Corrupt, "the change feed has events that this library did not write")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::model::{
        id::ChangeSetId,
        record::{Key, Unread},
        time::Time,
        value::Value,
    };

    /// What instances did whose commits are in lanes, in the order in which they were committed.
    struct History(Vec<Line>);

    impl History {
        /// So many commits, each some milliseconds after the one before, by clocks that differ by up to `skew` milliseconds; one in eight is
        /// in the first lane, so that lanes are read at different speeds.
        fn new(mut seed: u64, commits: u64, step: i64, skew: i64) -> Self {
            let mut roll = |sides: u64| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (seed >> 33) % sides
            };
            let (mut numbers, mut versions) = ([0_u64; 4], [0_i64; 5]);
            let lines = (0..commits).map(|commit| {
                let lane = if roll(8) == 0 { 0 } else { 1 + roll(3) as usize };
                numbers[lane] += 1;
                let id = ChangeSetId(uuid::Uuid::from_u128((u128::from(commit) << 96) | 1));
                let event = |row: usize, version: i64| StoredEvent {
                    event_type: "user.updated".into(),
                    table: "users".into(),
                    key: Key(vec![Value::Int(row as i64)]),
                    version,
                    cause: String::new(),
                    actor: String::new(),
                    changed: Vec::new(),
                    data: Default::default(),
                };
                let mut rows = vec![roll(5) as usize, roll(5) as usize];
                rows.dedup();
                let events: Vec<StoredEvent> = rows
                    .into_iter()
                    .map(|row| {
                        versions[row] += 1;
                        event(row, versions[row])
                    })
                    .collect();
                let millis = commit as i64 * step + roll(skew.unsigned_abs() + 1) as i64;
                let at = Time::from_microsecond(millis * 1_000).unwrap();
                let events = Some(Unread(serde_json::to_string(&events).unwrap().into()));
                Line { place: LanePosition::new(lane as u16, numbers[lane], id), at, id, events }
            });
            Self(lines.collect())
        }

        /// What a storage tells behind a position.
        fn changes(&self, since: &Position, part: FeedPart) -> Changes {
            let mut changes = Changes { position: since.clone(), ..Changes::default() };
            for lane in 0..4 {
                let mut newer =
                    self.0.iter().filter(|line| line.place.lane == lane && line.place.number > since.number(lane));
                for line in newer.by_ref().take(part.commits as usize) {
                    changes.position.advance(line.place);
                    changes.lines.push(line.clone());
                }
                changes.cut.extend(newer.next().map(|_| lane));
            }
            changes
        }

        /// The versions of each row as they are read, in pieces of whole commits.
        fn read(&self, most: usize) -> HashMap<String, Vec<i64>> {
            let mut versions: HashMap<String, Vec<i64>> = HashMap::new();
            let mut cursor = Cursor::default();
            loop {
                let mut feed = Feed::behind(cursor.clone(), most, true);
                while feed.has_more && feed.certain == 0 {
                    feed.add(&self.changes(&feed.reached, feed.part)).unwrap();
                }
                while let commits @ 1.. = feed.slice_size() {
                    feed.take(commits, |_| Ok(true), |event| event).unwrap();
                }
                let batch = feed.into_batch();
                for event in batch.events {
                    versions.entry(event.aggregate.id).or_default().push(event.aggregate.version);
                }
                cursor = batch.position.parse().unwrap();
                if !batch.has_more {
                    return versions;
                }
            }
        }
    }

    /// Nothing is missing, twice, or before what came before it.
    fn is_whole(history: &History, most: usize) -> bool {
        let mut versions: HashMap<String, i64> = HashMap::new();
        for line in &history.0 {
            for event in line.events.as_ref().unwrap().read::<Vec<StoredEvent>>().unwrap() {
                versions.insert(event.key.named(), event.version);
            }
        }
        let read = history.read(most);
        versions
            .iter()
            .all(|(key, newest)| read.get(key).is_some_and(|read| *read == (1..=*newest).collect::<Vec<_>>()))
    }

    #[test]
    fn versions_follow_one_another_whatever_lane_they_are_in() {
        for seed in 1..40 {
            assert!(is_whole(&History::new(seed, 300, 10, 2_000), 1 + seed as usize * 7), "{seed}");
        }
    }

    /// What is left of it comes after what was read.
    #[test]
    fn a_lane_that_is_cut_does_not_wait_for_itself() {
        let mut history = History::new(1, 400, 1, 0);
        history.0.retain(|line| line.place.lane == 1 || (line.place.lane == 2 && line.place.number == 1));
        history.0.iter_mut().filter(|line| line.place.lane == 2).for_each(|line| line.events = None);
        let mut feed = Feed::behind(Cursor::default(), 16, true);
        feed.add(&history.changes(&feed.reached, feed.part)).unwrap();
        assert_eq!((feed.certain, feed.commits.len()), (16, 17), "the one of the other lane waits for it");
    }

    /// Who stopped in the middle of a commit is told the rest of it before anything else, and never the first part again.
    #[test]
    fn a_commit_that_was_read_in_part_goes_on_first() {
        for seed in 1..40 {
            let history = History::new(seed, 300, 10, 2_000);
            let begun = history.0.iter().rev().find(|line| line.place.number == 1).unwrap();
            let events = begun.events.as_ref().unwrap().read::<Vec<StoredEvent>>().unwrap();
            let mut feed = Feed::behind(Cursor::within(Position::START, begun.place, 1), 16, true);
            feed.add(&history.changes(&feed.reached, feed.part)).unwrap();
            assert!(feed.certain > 0 && feed.commits[0].line.place == begun.place, "{seed}");
            feed.take(1, |_| Ok(true), |event| event).unwrap();
            assert_eq!(feed.events.len(), events.len() - 1, "{seed}");
            assert_eq!(feed.taken.number(begun.place.lane), 1, "{seed}");
        }
    }

    /// More than a page of each lane, and clocks that differ: slow commits, fast ones of which more is read before any is certain.
    #[test]
    fn a_page_that_is_cut_tells_nothing_too_early() {
        for (seed, step) in [(1, 100), (2, 40), (3, 5)] {
            assert!(is_whole(&History::new(seed, 6_000, step, 5_000), 100_000), "{seed}");
        }
    }

    /// Clocks two seconds apart, a tie that was made anew, and a commit that was planned a second before the one ahead of it in its lane.
    #[test]
    fn evt_1_what_is_told_in_a_circle_is_told() {
        let event = |event_type: &str, table: &str, key: Key, version: i64| StoredEvent {
            event_type: event_type.into(),
            table: table.into(),
            key,
            version,
            cause: String::new(),
            actor: String::new(),
            changed: Vec::new(),
            data: serde_json::Map::new(),
        };
        let tie = |event_type, version| {
            event(event_type, "role_assignments", Key(vec![Value::Int(1), Value::Text("editor".into())]), version)
        };
        let user = |version| event("user.updated", "users", Key(vec![Value::Int(1)]), version);
        let line = |lane: u16, number: u64, seconds: i64, events: &[StoredEvent]| {
            let id = ChangeSetId(uuid::Uuid::from_u128((u128::from(number) << 96) | u128::from(lane)));
            let at = Time::from_microsecond(seconds * 1_000_000).unwrap();
            let events = Some(Unread(serde_json::to_string(events).unwrap().into()));
            Line { place: LanePosition::new(lane, number, id), at, id, events }
        };
        // As they were committed, one after the other.
        let history = History(vec![
            line(0, 1, 100, &[tie("role.unassigned", 2), user(1)]),
            line(1, 1, 99, &[user(2)]),
            line(1, 2, 98, &[tie("role.assigned", 1)]),
        ]);
        for most in [100, 3, 2, 1] {
            let (mut cursor, mut told) = (Cursor::default(), Vec::new());
            for _ in 0..10 {
                let mut feed = Feed::behind(cursor.clone(), most, true);
                while feed.reads_on() {
                    feed.add(&history.changes(&feed.reached, feed.part)).unwrap();
                }
                while let commits @ 1.. = feed.slice_size() {
                    feed.take(commits, |_| Ok(true), |event| event).unwrap();
                }
                let batch = feed.into_batch();
                told.extend(
                    batch
                        .events
                        .iter()
                        .map(|event| format!("{} {}", event.event_type.as_str(), event.aggregate.version)),
                );
                cursor = batch.position.parse().unwrap();
                if !batch.has_more {
                    break;
                }
            }
            assert!(told.contains(&"user.updated 2".to_owned()), "{most} at a time: {told:?}");
        }
    }

    /// The same commits at the same times, of which nobody hears, and which tell others much or nothing.
    #[test]
    fn sec_1_pages_of_several_lanes_end_where_they_do_however_much_others_are_told() {
        let pages = |bytes_of_others: u64| {
            let line = |lane: u16, number: u64| {
                let id = ChangeSetId(uuid::Uuid::from_u128((u128::from(number) << 96) | u128::from(lane)));
                let at = Time::from_microsecond((number as i64 * 2 + i64::from(lane)) * 1_000_000).unwrap();
                Line { place: LanePosition::new(lane, number, id), at, id, events: None }
            };
            let lines: Vec<Line> = (1..=200).flat_map(|number| [line(0, number), line(1, number)]).collect();
            let changes = |since: &Position, part: FeedPart| {
                let mut changes = Changes { position: since.clone(), ..Changes::default() };
                for lane in 0..2 {
                    let mut bytes = 0;
                    for line in lines
                        .iter()
                        .filter(|line| line.place.lane == lane && line.place.number > since.number(lane))
                        .enumerate()
                    {
                        // As `Changes::take` does it.
                        if line.0 as u64 == part.commits || (line.0 > 0 && bytes >= part.bytes) {
                            changes.cut.push(lane);
                            break;
                        }
                        bytes += if lane == 1 { bytes_of_others } else { 0 };
                        changes.position.advance(line.1.place);
                        changes.lines.push(line.1.clone());
                    }
                }
                changes
            };
            let (mut cursor, mut pages) = (Cursor::default(), Vec::new());
            for _ in 0..4 {
                let mut feed = Feed::behind(cursor.clone(), 1, false);
                loop {
                    while feed.reads_on() {
                        let read = changes(&feed.reached, feed.part);
                        feed.add(&read).unwrap();
                    }
                    let commits = feed.slice_size();
                    if commits == 0 {
                        break;
                    }
                    feed.take(commits, |_| Ok(false), |event| event).unwrap();
                }
                let batch = feed.into_batch();
                cursor = batch.position.parse().unwrap();
                pages.push((cursor.position.number(0), cursor.position.number(1), batch.has_more));
            }
            pages
        };
        let (nothing, much) = (pages(0), pages(2_000));
        assert_eq!(nothing, much);
        assert!(nothing[0].0 > 0 && nothing[0].2, "{nothing:?}");
    }

    /// Who was up to date when a tie was made hears that it goes and is made again in that order: its versions begin anew.
    #[test]
    fn evt_1_a_tie_that_goes_and_is_made_again_is_told_in_that_order() {
        let event = |event_type: &str, version: i64| StoredEvent {
            event_type: event_type.into(),
            table: "role_assignments".into(),
            key: Key(vec![Value::Int(1), Value::Text("editor".into())]),
            version,
            cause: String::new(),
            actor: String::new(),
            changed: Vec::new(),
            data: serde_json::Map::new(),
        };
        let line = |lane: u16, number: u64, seconds: i64, event: StoredEvent| {
            let id = ChangeSetId(uuid::Uuid::from_u128((u128::from(number) << 96) | u128::from(lane)));
            let at = Time::from_microsecond(seconds * 1_000_000).unwrap();
            let events = Some(Unread(serde_json::to_string(&[event]).unwrap().into()));
            Line { place: LanePosition::new(lane, number, id), at, id, events }
        };
        let history = History(vec![
            line(0, 1, 0, event("role.assigned", 1)),
            line(1, 1, 3_600, event("role.unassigned", 2)),
            line(0, 2, 7_200, event("role.assigned", 1)),
        ]);
        let since = Cursor::from([history.0[0].place].into_iter().collect::<Position>());
        let mut feed = Feed::behind(since, 100, true);
        feed.add(&history.changes(&feed.reached, feed.part)).unwrap();
        let told: Vec<&str> = feed.slice(2).map(|event| event.event_type.as_str()).collect();
        assert_eq!(told, ["role.unassigned", "role.assigned"]);
    }
}
