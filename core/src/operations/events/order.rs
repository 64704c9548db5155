//! The order in which commits of several lanes are told.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::{
    model::{event::StoredEvent, record::Key, time::Time},
    storage::{Line, SKEW_SECONDS},
};

/// A commit, and what it tells.
pub(super) struct CommitEvents {
    pub(super) line: Line,
    pub(super) events: Vec<StoredEvent>,
}

/// Of commits in their order, whether nothing that was not read can have come before: it follows what was read of the lanes that were cut,
/// whose last commits tell the time. Of so many it is known.
pub(super) fn certainty(commits: &[CommitEvents], known: usize, cut: &[u16]) -> Vec<bool> {
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
pub(super) fn in_order(commits: Vec<CommitEvents>) -> Vec<CommitEvents> {
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
    let mut before: Vec<Option<usize>> = vec![None; commits.len()];
    for lane in of_lanes.values_mut() {
        lane.sort_unstable_by_key(|at| commits[*at].line.place.number);
        for pair in lane.windows(2) {
            follow(pair[0], pair[1]);
            before[pair[1]] = Some(pair[0]);
        }
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
    // Where clocks that disagree have made a circle of what was made anew, the earliest goes first of those that are next in their lanes: a
    // position is behind all that came before in the lane.
    let is_next = |left: &BTreeSet<(Time, u16, u64, usize)>, at: usize| {
        before[at].is_none_or(|before| !left.contains(&rank(before)))
    };
    while let Some(next) = ready.pop_first().or_else(|| left.iter().find(|(.., at)| is_next(&left, *at)).copied()) {
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
