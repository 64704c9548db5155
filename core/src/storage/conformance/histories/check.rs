//! What has to come before what: who sees a version comes after who made it and before who made the next, and what had ended comes
//! before what began then. All of it is known exactly, as every answer says its versions; so the calls can be put in one order just
//! where nothing comes before itself.

use std::collections::BTreeMap;

use super::{Commit, Ended, Event, History, PASSING, Seen, What};
use crate::storage::LanePosition;

/// The places of calls and moments in the graph.
struct Graph {
    after: Vec<Vec<usize>>,
}

/// All versions of the rows: by the row and the number of the version, the call that made it.
#[derive(Default)]
struct Versions {
    made: BTreeMap<(usize, i64), usize>,
    /// The version that stands for a row's deletion.
    deleted: BTreeMap<usize, i64>,
}

pub(super) fn check(history: &History) -> Result<(), String> {
    let events = &history.events;
    let versions = Versions::of(events)?;
    let mut graph = Graph::of_time(events);
    for (at, event) in events.iter().enumerate() {
        match &event.what {
            What::Read(seen) => {
                for (row, seen) in seen {
                    let version =
                        versions.seen(events, *row, *seen).map_err(|why| format!("{why}\n{}", event_line(event)))?;
                    versions.relies(&mut graph, at, *row, version);
                }
            }
            What::Commit(Commit { checks, writes, ended: Ended::Made(_), .. }) => {
                for (row, version) in checks {
                    versions.known(*row, *version).map_err(|why| format!("{why}\n{}", event_line(event)))?;
                    versions.relies(&mut graph, at, *row, *version);
                }
                for (row, version, _) in writes {
                    versions.known(*row, *version).map_err(|why| format!("{why}\n{}", event_line(event)))?;
                    versions.follows(&mut graph, at, *row, *version);
                }
            }
            What::Commit(Commit { checks, writes, ended: Ended::Stale, .. }) => {
                // Which row it was a storage may say that sees only the last of several commits that it met.
                let rows = checks.iter().copied().chain(writes.iter().map(|(row, version, _)| (*row, *version)));
                let mut right = rows.map(|(row, version)| versions.was_there_throughout(events, event, row, version));
                if right.all(|is_right| is_right) {
                    return Err(format!(
                        "stale, though all rows had these versions all the time\n{}",
                        event_line(event)
                    ));
                }
            }
            What::Commit(_) | What::Position(_) => {}
        }
    }
    lanes(events, &mut graph)?;
    match graph.cycle() {
        None => Ok(()),
        Some(cycle) => {
            let calls = cycle.iter().filter_map(|at| events.get(*at)).map(event_line);
            Err(format!(
                "each of these comes before the next, and the last before the first:\n{}",
                calls.collect::<String>()
            ))
        }
    }
}

impl Versions {
    fn of(events: &[Event]) -> Result<Self, String> {
        let mut versions = Self::default();
        for (at, event) in events.iter().enumerate() {
            let What::Commit(Commit { writes, ended: Ended::Made(_), .. }) = &event.what else { continue };
            for (row, expected, is_deleted) in writes {
                if let Some(other) = versions.made.insert((*row, expected + 1), at) {
                    let (one, other) = (event_line(event), event_line(&events[other]));
                    return Err(format!("two commits follow version {expected} of row {row}\n{other}{one}"));
                }
                if *is_deleted {
                    versions.deleted.insert(*row, expected + 1);
                }
            }
        }
        Ok(versions)
    }

    /// The version that was seen.
    fn seen(&self, events: &[Event], row: usize, seen: Seen) -> Result<i64, String> {
        let Seen::Version { version, by } = seen else {
            return match PASSING.contains(&row) {
                true => {
                    self.deleted.get(&row).copied().ok_or_else(|| format!("row {row} is gone, and nobody deleted it"))
                }
                false => Ok(0),
            };
        };
        self.known(row, version)?;
        if self.deleted.get(&row) == Some(&version) {
            return Err(format!("row {row} is there in the version in which it was deleted"));
        }
        let maker = self.made.get(&(row, version)).map(|at| &events[*at].what);
        match (maker, by) {
            (Some(What::Commit(commit)), Some(by)) if commit.id != by => {
                Err(format!("version {version} of row {row} is not what {} wrote, but {by}", commit.id))
            }
            _ => Ok(version),
        }
    }

    /// That somebody made a version.
    fn known(&self, row: usize, version: i64) -> Result<(), String> {
        if version == 0 || self.made.contains_key(&(row, version)) {
            return Ok(());
        }
        Err(format!("nobody made version {version} of row {row}"))
    }

    /// A call that sees a version comes after who made it, and before who made the next.
    fn relies(&self, graph: &mut Graph, at: usize, row: usize, version: i64) {
        self.follows(graph, at, row, version);
        graph.after[at].extend(self.made.get(&(row, version + 1)).filter(|next| **next != at));
    }

    fn follows(&self, graph: &mut Graph, at: usize, row: usize, version: i64) {
        if let Some(maker) = self.made.get(&(row, version)) {
            graph.after[*maker].push(at);
        }
    }

    /// Whether a row had a version from before a call until after it, whatever the order.
    fn was_there_throughout(&self, events: &[Event], call: &Event, row: usize, version: i64) -> bool {
        if self.deleted.get(&row) == Some(&version) {
            return false;
        }
        let is_made = version == 0
            || self.made.get(&(row, version)).is_some_and(|at| events[*at].end.is_some_and(|end| end < call.begin));
        let is_over = |at: &usize| call.end.is_none_or(|end| events[*at].begin < end);
        is_made && !self.made.get(&(row, version + 1)).is_some_and(is_over)
    }
}

/// Commits of a lane come in the order of their numbers, and a position comes behind all that it counts.
fn lanes(events: &[Event], graph: &mut Graph) -> Result<(), String> {
    let mut lanes: BTreeMap<u16, BTreeMap<u64, (usize, LanePosition)>> = BTreeMap::new();
    for (at, event) in events.iter().enumerate() {
        let What::Commit(Commit { ended: Ended::Made(place), .. }) = &event.what else { continue };
        if let Some((other, _)) = lanes.entry(place.lane).or_default().insert(place.number, (at, *place)) {
            return Err(format!("two commits have one place\n{}{}", event_line(&events[other]), event_line(event)));
        }
    }
    for commits in lanes.values() {
        for ((_, (one, _)), (_, (next, _))) in commits.iter().zip(commits.iter().skip(1)) {
            graph.after[*one].push(*next);
        }
    }
    for (at, event) in events.iter().enumerate() {
        let What::Position(position) = &event.what else { continue };
        for (lane, commits) in &lanes {
            let number = position.number(*lane);
            if let Some((_, (last, place))) = commits.range(..=number).next_back() {
                if place.number == number && position.lane(*lane) != Some(*place) {
                    return Err(format!("another commit has the place of {place:?}\n{}", event_line(event)));
                }
                graph.after[*last].push(at);
            }
            graph.after[at].extend(commits.range(number + 1..).next().map(|(_, (next, _))| *next));
        }
    }
    Ok(())
}

impl Graph {
    /// The calls, and behind them the moments: one follows the other, a call follows its beginning, and its end follows it.
    fn of_time(events: &[Event]) -> Self {
        let last = events.iter().map(|event| event.end.unwrap_or(event.begin)).max().unwrap_or(0);
        let moment = |at: u64| events.len() + usize::try_from(at).unwrap_or(usize::MAX);
        let mut after = vec![Vec::new(); moment(last) + 1];
        for at in 0..last {
            after[moment(at)].push(moment(at + 1));
        }
        for (at, event) in events.iter().enumerate() {
            after[moment(event.begin)].push(at);
            after[at].extend(event.end.map(moment));
        }
        Self { after }
    }

    /// Places of which each leads to the next, and the last to the first.
    fn cycle(&self) -> Option<Vec<usize>> {
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            New,
            Open,
            Done,
        }
        let mut states = vec![State::New; self.after.len()];
        for start in 0..self.after.len() {
            if states[start] != State::New {
                continue;
            }
            // The way to here, and how many of the places behind each were looked at.
            let mut way = vec![(start, 0)];
            states[start] = State::Open;
            while let Some((at, looked)) = way.last_mut() {
                let Some(next) = self.after[*at].get(*looked).copied() else {
                    states[*at] = State::Done;
                    way.pop();
                    continue;
                };
                *looked += 1;
                match states[next] {
                    State::New => {
                        states[next] = State::Open;
                        way.push((next, 0));
                    }
                    State::Open => {
                        let from = way.iter().position(|(at, _)| *at == next).unwrap_or(0);
                        return Some(way[from..].iter().map(|(at, _)| *at).collect());
                    }
                    State::Done => {}
                }
            }
        }
        None
    }
}

fn event_line(event: &Event) -> String {
    let end = event.end.map_or("…".to_owned(), |end| end.to_string());
    format!("  client {} from {} to {end}: {:?}\n", event.client, event.begin, event.what)
}
