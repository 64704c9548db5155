//! The commits behind a position, in an order.
//!
//! The commits of a lane follow one another; those of different lanes do not, but the versions of a row say which of its changes came first.
//! So all that is read at a time is put into an order that agrees with both. A page that does not reach the end of some lane may lack a change
//! that came before one of another lane: of such a page only what was committed long enough before the last of those lanes is told, and more is
//! read where that is nothing.
//!
//! A commit may tell of thousands of rows, so no more is read than is likely to be asked for. That depends on how much others' commits tell,
//! so that a page of whoever does not hear of all ends elsewhere: where it is full, or after a number of commits (SEC-1), of which only those of
//! operations on many things at once count for more.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use super::{Cursor, Event, EventBatch, missed};
use crate::{
    model::{
        deferred::IS_PAGE,
        error::{Error, Reason, Result},
        event::StoredEvent,
        record::Key,
        time::Time,
    },
    operations::services::Services,
    storage::{Changes, FEED_PAGE, FeedPart, Gap, LanePosition, Line, Position, SKEW_SECONDS, Storage},
};

/// About as many bytes of the feed tell of an event.
const EVENT_BYTES: u64 = 400;
/// So many commits of each lane are read at least, and the bytes of so many events: many a commit tells the caller nothing.
const LEAST: u64 = 16;
/// No more bytes of a lane are read at a time, however often it is read on before anything is certain.
const MOST_BYTES: u64 = 4 << 20;
/// What is done to one account or thing tells no more events: how many they are is not to be seen from where a page ends.
const ORDINARY: u64 = 16;
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

/// A commit, and what it tells.
struct CommitEvents {
    line: Line,
    events: Vec<StoredEvent>,
}

/// What was read of the feed, and how much of it was taken for the answer.
pub(super) struct Feed {
    since: Cursor,
    /// So many events are asked for.
    most: usize,
    /// How much to read next.
    part: FeedPart,
    /// So many ordinary commits are looked at for each lane; none: those that are read at a time.
    pace: Option<u64>,
    /// The events of what was looked at, as if each commit told no fewer than an ordinary one may.
    looked_at: u64,
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
        let commits = (most as u64).clamp(LEAST, FEED_PAGE);
        Self {
            most,
            pace: (!hears_all).then_some(commits),
            looked_at: 0,
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
        let is_begun = self.looked_at > 0 && self.pace.is_none();
        self.has_more && self.certain == 0 && !self.is_full && !is_begun
    }

    /// Takes what the storage told behind what was reached.
    fn add(&mut self, changes: &Changes) -> Result<()> {
        self.has_more = changes.has_more();
        self.reached.clone_from(&changes.position);
        // However far apart the lanes are, few calls read what is between them.
        self.part.commits = self.part.commits.saturating_mul(2).min(FEED_PAGE);
        self.part.bytes = self.part.bytes.saturating_mul(2).min(MOST_BYTES);
        for line in &changes.lines {
            let events = match &line.events {
                Some(events) => events.read().ok_or_else(corrupt)?,
                None => Vec::new(),
            };
            let Line { place, at, id, .. } = *line;
            self.commits.push_back(CommitEvents { line: Line { place, at, id, events: None }, events });
        }
        // A page has one lane, in which nothing can have come before.
        if IS_PAGE {
            self.certain = self.commits.len();
            return Ok(());
        }
        let mut commits = in_order(std::mem::take(&mut self.commits).into());
        // What was read in part goes on first, as whatever is before it was told before that part.
        let begun = commits.iter().position(|told| self.since.read_of(told.line.place) > 0);
        if let Some(at) = begun {
            commits[..=at].rotate_right(1);
        }
        let is_certain = certainty(&commits, usize::from(begun.is_some()), &changes.cut);
        let (mut certain, mut left) = (VecDeque::new(), Vec::new());
        for (told, is_certain) in commits.into_iter().zip(is_certain) {
            if is_certain { certain.push_back(told) } else { left.push(told) }
        }
        self.certain = certain.len();
        certain.extend(left);
        self.commits = certain;
        Ok(())
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
    pub(super) fn take(&mut self, commits: usize, hears: impl Fn(&StoredEvent) -> Result<bool>) -> Result<()> {
        for _ in 0..commits {
            if self.is_full {
                return Ok(());
            }
            let Some(CommitEvents { line, events }) = self.commits.pop_front() else { return Ok(()) };
            let weight = (events.len() as u64).max(ORDINARY);
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
                    self.events.extend(Event::of(&line, number, stored, &cursor));
                }
            }
            self.taken.advance(line.place);
            // Behind the last follows the next commit.
            if let Some(last) = self.events[first..].last_mut() {
                last.position = self.taken.to_string();
            }
            self.looked_at += weight;
            let is_at_end = |pace| self.looked_at >= pace * ORDINARY * self.reached.lanes().len() as u64;
            self.is_full = self.pace.is_some_and(|pace| is_at_end(pace) || self.events.len() >= self.most);
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

/// Of commits in their order, whether nothing that was not read can have come before: it follows what was read of the lanes that were cut,
/// whose last commits tell the time. Of so many it is known.
fn certainty(commits: &[CommitEvents], known: usize, cut: &[u16]) -> Vec<bool> {
    let mut ends: BTreeMap<u16, Time> = BTreeMap::new();
    for told in commits.iter().filter(|told| cut.contains(&told.line.place.lane)) {
        ends.insert(told.line.place.lane, told.line.at);
    }
    let (mut lanes, mut rows) = (HashSet::new(), HashSet::new());
    let is_certain = |(at, told): (usize, &CommitEvents)| {
        let lane = told.line.place.lane;
        let is_before = |(of, end): (&u16, &Time)| *of == lane || told.line.at < end.plus_seconds(-SKEW_SECONDS);
        let row = |event: &StoredEvent| (event.table.clone(), event.key.clone());
        // What follows another one in its lane or of its row waits with it.
        let waits = lanes.contains(&lane) || told.events.iter().any(|event| rows.contains(&row(event)));
        let is_certain = at < known || (!waits && ends.iter().all(is_before));
        if !is_certain {
            lanes.insert(lane);
            rows.extend(told.events.iter().map(row));
        }
        is_certain
    };
    commits.iter().enumerate().map(is_certain).collect()
}

/// In an order in which lanes and the versions of rows agree; of several such, the earlier planned first.
fn in_order(commits: Vec<CommitEvents>) -> Vec<CommitEvents> {
    let lanes: HashSet<u16> = commits.iter().map(|told| told.line.place.lane).collect();
    if lanes.len() < 2 {
        return commits;
    }
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); commits.len()];
    let mut waits: Vec<usize> = vec![0; commits.len()];
    let mut follow = |first: usize, then: usize| {
        if first != then {
            followers[first].push(then);
            waits[then] += 1;
        }
    };
    let (mut of_lanes, mut of_rows) =
        (HashMap::<u16, Vec<usize>>::new(), HashMap::<(&str, &Key), Vec<(i64, usize)>>::new());
    for (at, told) in commits.iter().enumerate() {
        of_lanes.entry(told.line.place.lane).or_default().push(at);
        for event in &told.events {
            of_rows.entry((&event.table, &event.key)).or_default().push((event.version, at));
        }
    }
    for lane in of_lanes.values_mut() {
        lane.sort_unstable_by_key(|at| commits[*at].line.place.number);
        lane.windows(2).for_each(|pair| follow(pair[0], pair[1]));
    }
    for ((_, key), changes) in &mut of_rows {
        changes.sort_unstable();
        changes.dedup();
        // What ties two things may be made anew, and its versions with it: two are alike then, or it was made after something of it.
        let is_tie = key.0.len() > 1;
        let at_of = |change: &(i64, usize)| commits[change.1].line.at;
        let made = changes.first().filter(|(version, _)| is_tie && *version <= 1);
        let is_anew = made.is_some_and(|made| changes.iter().any(|other| at_of(other) < at_of(made)));
        if is_anew || changes.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            changes.sort_unstable_by_key(|(version, at)| (commits[*at].line.at, *version));
        }
        changes.windows(2).for_each(|pair| follow(pair[0].1, pair[1].1));
    }
    let rank = |at: usize| (commits[at].line.at, commits[at].line.place.lane, commits[at].line.place.number, at);
    let mut left: BTreeSet<_> = (0..commits.len()).map(rank).collect();
    let mut ready: BTreeSet<_> = left.iter().filter(|(.., at)| waits[*at] == 0).copied().collect();
    let mut order = Vec::with_capacity(commits.len());
    // Where clocks that disagree have made a circle of what was made anew, the earliest goes first.
    while let Some(next) = ready.pop_first().or_else(|| left.first().copied()) {
        if !left.remove(&next) {
            continue;
        }
        let at = next.3;
        order.push(at);
        for then in &followers[at] {
            waits[*then] = waits[*then].saturating_sub(1);
            if waits[*then] == 0 {
                ready.insert(rank(*then));
            }
        }
    }
    let mut commits: Vec<Option<CommitEvents>> = commits.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| commits[at].take()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{id::ChangeSetId, record::Unread, value::Value};

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
                    feed.take(commits, |_| Ok(true)).unwrap();
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
            feed.take(1, |_| Ok(true)).unwrap();
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
