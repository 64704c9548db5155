//! The commits behind a position, in an order.
//!
//! The commits of a lane follow one another; those of different lanes do not, but the versions of a row say which of its changes came first.
//! So all that is read at a time is put into an order that agrees with both. A page that does not reach the end of some lane may lack a change
//! that came before one it has: of such a page only what was committed long enough before the last of those lanes is told, and more is read
//! where that is nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{Cursor, Event, EventBatch, missed};
use crate::{
    model::{
        deferred::IS_PAGE,
        error::{Error, Reason, Result},
        event::StoredEvent,
        record::Key,
        time::Time,
    },
    storage::{Changes, FEED_PAGE, Gap, Line, Position, Storage},
};

/// By how much the clocks of instances differ at most, and how long a commit is under way, in seconds.
const SKEW_SECONDS: i64 = 60;

/// A commit, and what it tells.
struct CommitEvents {
    line: Line,
    events: Vec<StoredEvent>,
}

/// What was read of the feed.
pub(super) struct Feed {
    since: Cursor,
    /// In an order in which they may have been committed.
    commits: Vec<CommitEvents>,
    /// How many of them nothing unread can have come before.
    certain: usize,
    /// Behind all of them.
    reached: Position,
    has_more: bool,
}

impl Feed {
    /// What follows a position; if that is the earliest, it may be that something was there before.
    pub(super) async fn read(storage: &dyn Storage, since: Cursor, is_earliest: bool) -> Result<Self> {
        let mut feed = Self::behind(since);
        while feed.has_more && feed.certain == 0 {
            let changes = storage.changes(&feed.reached).await?;
            if let Some(gap) = changes.gap.filter(|gap| !is_earliest || *gap == Gap::Rewound) {
                return Err(missed(gap));
            }
            feed.add(changes)?;
        }
        Ok(feed)
    }

    fn behind(since: Cursor) -> Self {
        Self { reached: since.position.clone(), since, commits: Vec::new(), certain: 0, has_more: true }
    }

    /// Takes what the storage told behind what was reached.
    fn add(&mut self, changes: Changes) -> Result<()> {
        (self.reached, self.has_more) = (changes.position, changes.has_more);
        // A page has one lane, in which nothing can have come before.
        let cut = if self.has_more && !IS_PAGE { last_of_cut_lanes(&changes.lines) } else { None };
        for line in changes.lines {
            let events = match &line.events {
                Some(events) => events.read().ok_or_else(corrupt)?,
                None => Vec::new(),
            };
            self.commits.push(CommitEvents { line, events });
        }
        if !IS_PAGE {
            self.commits = in_order(std::mem::take(&mut self.commits));
        }
        self.certain = match cut {
            None => self.commits.len(),
            Some(cut) => {
                let before = cut.plus_seconds(-SKEW_SECONDS);
                let first = self.commits.first().map(|told| told.line.place.lane);
                let is_single = self.commits.iter().all(|told| Some(told.line.place.lane) == first);
                let is_certain = |told: &&CommitEvents| is_single || told.line.at < before;
                self.commits.iter().take_while(is_certain).count()
            }
        };
        Ok(())
    }

    /// The events of all commits.
    pub(super) fn events(&self) -> impl Iterator<Item = &StoredEvent> {
        self.commits.iter().take(self.certain).flat_map(|told| &told.events)
    }

    /// Up to so many events of whole commits.
    pub(super) fn take(self, most: usize, hears: impl Fn(&StoredEvent) -> Result<bool>) -> Result<EventBatch> {
        let (mut position, mut events) = (self.since.position.clone(), Vec::new());
        let is_all = self.certain == self.commits.len();
        let mut commits = self.commits.into_iter().take(self.certain).peekable();
        while let Some(CommitEvents { line, events: stored }) =
            commits.next_if(|told| events.is_empty() || events.len() + told.events.len() <= most)
        {
            let (first, read) = (events.len(), self.since.read_of(line.place));
            for (number, stored) in stored.into_iter().enumerate().skip(read) {
                if hears(&stored)? {
                    let cursor = Cursor::within(position.clone(), line.place, number + 1);
                    events.extend(Event::of(&line, number, stored, &cursor));
                }
            }
            position.advance(line.place);
            // Behind the last follows the next commit.
            if let Some(last) = events[first..].last_mut() {
                last.position = position.to_string();
            }
        }
        let has_left = commits.peek().is_some();
        if is_all && !has_left {
            // Lanes may have been read on without a commit that is left.
            position.merge(&self.reached);
        }
        Ok(EventBatch { events, position: position.to_string(), has_more: self.has_more || has_left || !is_all })
    }
}

fn corrupt() -> Error {
    Error::new(Reason::Corrupt, "the change feed has events that this library did not write")
}

/// The earliest of the last times of lanes that have more lines than were read.
fn last_of_cut_lanes(lines: &[Line]) -> Option<Time> {
    let mut lanes: BTreeMap<u16, (u64, Time)> = BTreeMap::new();
    for line in lines {
        let (count, last) = lanes.entry(line.place.lane).or_insert((0, line.at));
        (*count, *last) = (*count + 1, line.at);
    }
    lanes.into_values().filter(|(count, _)| *count >= FEED_PAGE).map(|(_, last)| last).min()
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
    for changes in of_rows.values_mut() {
        changes.sort_unstable();
        changes.dedup();
        // What ties two things may be made anew, and its versions with it.
        if changes.windows(2).any(|pair| pair[0].0 == pair[1].0) {
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
    use crate::{
        model::{id::ChangeSetId, record::Unread, value::Value},
        storage::LanePosition,
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
        fn changes(&self, since: &Position) -> Changes {
            let mut changes = Changes { position: since.clone(), ..Changes::default() };
            for lane in 0..4 {
                let newer =
                    || self.0.iter().filter(|line| line.place.lane == lane && line.place.number > since.number(lane));
                for line in newer().take(FEED_PAGE as usize) {
                    changes.position.advance(line.place);
                    changes.lines.push(line.clone());
                }
                changes.has_more |= newer().count() > FEED_PAGE as usize;
            }
            changes
        }

        /// The versions of each row as they are read, in pieces of whole commits.
        fn read(&self, most: usize) -> HashMap<Key, Vec<i64>> {
            let mut versions: HashMap<Key, Vec<i64>> = HashMap::new();
            let mut cursor = Cursor::default();
            loop {
                let mut feed = Feed::behind(cursor.clone());
                while feed.has_more && feed.certain == 0 {
                    feed.add(self.changes(&feed.reached)).unwrap();
                }
                let told = std::cell::RefCell::new(Vec::new());
                let batch = feed.take(most, |event| {
                    told.borrow_mut().push((event.key.clone(), event.version));
                    Ok(true)
                });
                for (key, version) in told.into_inner() {
                    versions.entry(key).or_default().push(version);
                }
                let batch = batch.unwrap();
                cursor = batch.position.parse().unwrap();
                if !batch.has_more {
                    return versions;
                }
            }
        }
    }

    /// Nothing is missing, twice, or before what came before it.
    fn is_whole(history: &History, most: usize) -> bool {
        let mut versions: HashMap<Key, i64> = HashMap::new();
        for line in &history.0 {
            for event in line.events.as_ref().unwrap().read::<Vec<StoredEvent>>().unwrap() {
                versions.insert(event.key, event.version);
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

    /// More than a page of each lane, and clocks that differ: slow commits, fast ones of which more is read before any is certain.
    #[test]
    fn a_page_that_is_cut_tells_nothing_too_early() {
        for (seed, step) in [(1, 100), (2, 40), (3, 5)] {
            assert!(is_whole(&History::new(seed, 6_000, step, 5_000), 100_000), "{seed}");
        }
    }
}
