//! Random commands against a storage, and against a model of it that is as simple as can be: rows in a map, commits in lists. Whatever
//! a storage answers, the model has to answer, too.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{
    Failure, Outcome, Problem, commits::log_is_whole, dice::Dice, records::*, same, samples,
    snapshots::may_commit_meanwhile, snapshots::pages,
};
use crate::{
    audit_chain::AuditEntry,
    model::{
        error::{Error, Reason},
        event::StoredEvent,
        id::ChangeSetId,
        predicate::{Link, Links, Predicate},
        record::{Document, Key, Record, Row, Table, Unread},
        registry::{Claim, Guard},
        time::Time,
        user::UserActivity,
        value::Value,
    },
    storage::{
        self, ChangeSet, Changes, Check, CommitError, CommitRecord, Committed, Direction, FEED_PAGE, FeedPart, Gap,
        GroupBy, LanePosition, Order, PRUNE_BATCH, Position, Pruned, Query, Retention, Storage, Touched, Window, Write,
    },
};

/// Commands of one seed.
const COMMANDS: usize = 60;
/// Rows of a table that are written: few, so that they meet.
const ROWS: usize = 6;
/// Microseconds between two commits.
const STEP: i64 = 60_000_000;
/// A moment that no id is older than: ids of version 7 count from 1970.
const BEGIN: i64 = 1_000_000_000_000_000;

/// Plays a seed on an empty storage with the suite's [`tables`]: commits, some of which are out of date, refused or made twice, reads,
/// lists by all that a [`Query`] says, the change feed and its pruning. Each answer is compared with the model's, and all that is there
/// at the end.
///
/// # Errors
/// The first answer that differs, and the commands up to then.
pub async fn model(storage: &impl Storage, seed: u64) -> Result<(), Failure> {
    let mut play = Play { dice: Dice::new(seed), model: Model::default(), told: Vec::new(), number: 0 };
    let played = play.all(storage).await;
    played.map_err(|problem| {
        let last = &play.told[play.told.len().saturating_sub(12)..];
        Failure { case: "model", problem: format!("seed {seed}: {}\nthe last commands: {last:#?}", problem.0) }
    })
}

/// What a storage holds.
#[derive(Default)]
struct Model {
    rows: BTreeMap<(&'static str, Key), Row>,
    lanes: BTreeMap<u16, Lane>,
    /// Entries of the audit log.
    audited: BTreeSet<u128>,
}

/// The commits of a lane.
#[derive(Default)]
struct Lane {
    newest: Option<LanePosition>,
    /// Those whose lines are there.
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    place: LanePosition,
    id: ChangeSetId,
    at: Time,
    touched: Vec<Touched>,
    events: Option<Unread>,
}

/// What a commit comes to.
enum Wanted {
    /// It is made, and stands wherever the storage says.
    Made,
    /// It was made before.
    Known(LanePosition),
    Stale(&'static str, Key),
    Refused,
}

impl Model {
    fn version(&self, table: &'static Table, key: &Key) -> Option<i64> {
        self.rows.get(&(table.name, key.clone())).map(|row| table.version_of(row))
    }

    fn table(&self, table: &'static Table) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |((name, _), _)| *name == table.name).map(|(_, row)| row)
    }

    fn line(&self, id: ChangeSetId) -> Option<&Line> {
        self.lines().find(|line| line.id == id)
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        self.lanes.values().flat_map(|lane| &lane.lines)
    }

    fn position(&self) -> Position {
        self.lanes.values().filter_map(|lane| lane.newest).collect()
    }

    fn outcome_of(&self, change_set: &ChangeSet) -> Wanted {
        if change_set.validate().is_err() {
            return Wanted::Refused;
        }
        if let Some(line) = self.line(change_set.id) {
            return Wanted::Known(line.place);
        }
        let checks = change_set.checks.iter().map(|check| (check.table, &check.key, check.expected));
        let writes = change_set.writes.iter().map(|write| (write.table, &write.key, write.expected));
        let stale = checks.chain(writes).find(|(table, key, expected)| self.version(table, key) != *expected);
        stale.map_or(Wanted::Made, |(table, key, _)| Wanted::Stale(table.name, key.clone()))
    }

    /// Takes a commit that was made, where the storage says.
    fn make(&mut self, change_set: &ChangeSet, committed: Committed) -> Outcome {
        let place = committed.place;
        let lane = self.lanes.entry(place.lane).or_default();
        let last = lane.newest.unwrap_or(LanePosition::nothing(place.lane));
        same("the place", place, LanePosition::new(place.lane, last.number + 1, change_set.id))?;
        same("the commit before", committed.follows, Some(last))?;
        lane.newest = Some(place);
        let told = change_set.writes.iter().filter(|write| write.table.is_in_feed());
        let touched = told.map(|write| Touched::new(write.table, &write.key)).collect();
        let events = (!change_set.events.is_empty()).then(|| Unread(Document(&change_set.events).text().into()));
        lane.lines.push(Line { place, id: change_set.id, at: change_set.at, touched, events });
        for write in &change_set.writes {
            let key = (write.table.name, write.key.clone());
            match &write.row {
                Some(row) => drop(self.rows.insert(key, row.clone())),
                None => drop(self.rows.remove(&key)),
            }
        }
        self.audited.extend(change_set.audit.iter().map(|draft| draft.id.0.as_u128()));
        Ok(())
    }

    /// What the feed tells after a position, of which each lane is one that this storage has had.
    fn changes(&self, since: &Position, part: FeedPart) -> Changes {
        let mut changes = Changes { position: since.clone(), ..Changes::default() };
        for (lane, Lane { newest, lines }) in &self.lanes {
            let Some(newest) = newest else { continue };
            let known = since.lane(*lane).unwrap_or(LanePosition::nothing(*lane));
            let other = |place: LanePosition| place.number == known.number && place != known;
            if known.number > newest.number || lines.iter().any(|line| other(line.place)) || other(*newest) {
                changes.gap = Some(Gap::Rewound);
                changes.position.set(*newest);
                continue;
            }
            let newer: Vec<&Line> = lines.iter().filter(|line| line.place.number > known.number).collect();
            if newer.first().is_some_and(|first| first.place.number > known.number + 1) {
                changes.gap = changes.gap.max(Some(Gap::Pruned));
            }
            let mut bytes = 0;
            for line in newer.into_iter().take(part.commits.min(FEED_PAGE) as usize) {
                let Line { place, id, at, touched, events } = line.clone();
                let events = events.filter(|_| part.has_events);
                bytes += Document(&touched).text().len() + events.as_ref().map_or(0, |events| events.0.len());
                changes.touched.extend(touched);
                changes.lines.push(storage::Line { place, id, at, events });
                changes.position.set(place);
                if bytes as u64 >= part.bytes {
                    break;
                }
            }
            if changes.position.number(*lane) < newest.number {
                changes.cut.push(*lane);
            }
        }
        changes
    }

    fn outcome(&self, id: ChangeSetId) -> Result<Option<LanePosition>, Reason> {
        if let Some(line) = self.line(id) {
            return Ok(Some(line.place));
        }
        let oldest = self.lanes.values().filter_map(|lane| lane.lines.first());
        let Some(pruned) = oldest.filter(|line| line.place.number > 1).map(|line| line.at).max() else {
            return Ok(None);
        };
        let made = id.0.get_timestamp().map(|made| i64::try_from(made.to_unix().0).unwrap_or(i64::MAX));
        let is_later =
            made.is_some_and(|seconds| Time::from_second(seconds).is_ok_and(|made| made > pruned.plus_seconds(60)));
        if is_later { Ok(None) } else { Err(Reason::OutcomeUnknown) }
    }

    fn prune(&mut self, retention: &Retention) -> Pruned {
        let mut pruned = 0;
        for lane in self.lanes.values_mut() {
            let is_old = |line: Option<&Line>| line.is_some_and(|line| line.at < retention.feed_before);
            while is_old(lane.lines.first()) && is_old(lane.lines.get(1)) && pruned < PRUNE_BATCH {
                lane.lines.remove(0);
                pruned += 1;
            }
        }
        Pruned { lines: pruned }
    }
}

impl Links for Model {
    fn tied(&self, link: &Link, own: &Value, other: &Value) -> bool {
        link.table == Tie::TABLE.name && self.table(Tie::TABLE).any(|row| row.0[0] == *own && row.0[1] == *other)
    }
}

struct Play {
    dice: Dice,
    model: Model,
    /// The commands so far, to tell them.
    told: Vec<String>,
    /// Commits that were tried.
    number: i64,
}

impl Play {
    async fn all(&mut self, storage: &impl Storage) -> Outcome {
        for _ in 0..COMMANDS {
            self.command(storage).await?;
        }
        self.everything(storage).await
    }

    async fn command(&mut self, storage: &impl Storage) -> Outcome {
        match self.dice.roll(100) {
            0..45 => self.commit(storage).await,
            45..55 => self.get(storage).await,
            55..75 => self.query(storage).await,
            75..85 => self.changes(storage).await,
            85..90 => self.outcome(storage).await,
            90..94 => {
                self.told.push("position".into());
                same("position", storage.position().await?, self.model.position())
            }
            94..97 => self.prune(storage).await,
            _ => self.snapshot(storage).await,
        }
    }

    /// An id as the engine makes them, of the moment of this commit.
    fn id(&mut self, number: i64) -> ChangeSetId {
        let millis = ((BEGIN + number * STEP) / 1_000).unsigned_abs();
        let mut chance = [0; 10];
        chance.iter_mut().for_each(|byte| *byte = self.dice.roll(256) as u8);
        ChangeSetId(uuid::Builder::from_unix_timestamp_millis(millis, &chance).into_uuid())
    }

    fn moment(number: i64) -> Time {
        time(BEGIN + number * STEP)
    }

    /// The version of a row, or in one of six cases another.
    fn seen(&mut self, table: &'static Table, key: &Key) -> Option<i64> {
        let version = self.model.version(table, key);
        match self.dice.roll(18) {
            0 if table.checks_absence => None,
            1 => Some(version.unwrap_or(1).max(1)),
            2 => Some(version.unwrap_or(0) + 1),
            _ => version,
        }
    }

    fn key(&mut self) -> (&'static Table, Key) {
        let at = self.dice.roll(ROWS);
        match self.dice.roll(10) {
            0..5 => (Item::TABLE, Item::new(at as u128 + 1, "").key()),
            5..7 => (Tie::TABLE, samples::ties()[at].key()),
            7 => (UserActivity::TABLE, Key(vec![Value::Id(id(at as u128 + 1).0)])),
            8 => (Guard::TABLE, Key(vec![Value::Text(format!("guard {at}"))])),
            _ => (Claim::TABLE, Key(vec![Value::from("email"), Value::Text(format!("{at}@example.org"))])),
        }
    }

    /// A write of a row, with other values each time, so that one that is lost is seen.
    fn write(&mut self) -> Write {
        let (table, key) = self.key();
        let expected = self.seen(table, &key);
        if expected.is_some() && self.dice.chance(20) {
            return Write { table, key, expected, row: None, before: None };
        }
        let version = expected.unwrap_or(0) + 1;
        let at = self.dice.roll(ROWS);
        let row = if table == Item::TABLE {
            let mut item = self.dice.one(&samples::items()).clone();
            (item.id, item.version) = (id(key.0[0].as_id().map_or(0, |id| id.as_u128())), version);
            item.to_row()
        } else if table == UserActivity::TABLE {
            let last_login_at = time((at as i64 % 3) * 1_000_000);
            let user_id = id(key.0[0].as_id().map_or(0, |id| id.as_u128()));
            UserActivity { user_id, last_login_at, version }.to_row()
        } else if table == Claim::TABLE {
            let held_until = (at > 2).then(|| time(at as i64));
            let name = key.0[1].as_text().unwrap_or_default().to_owned();
            Claim { kind: "email".into(), name, owner: format!("owner {at}"), held_until, version }.to_row()
        } else {
            Row(key.0.iter().cloned().chain([Value::Int(version)]).collect())
        };
        let before = self.dice.chance(50).then(|| self.model.rows.get(&(table.name, key.clone())).cloned()).flatten();
        Write { table, key, expected, row: Some(row), before: before.filter(|_| expected.is_some()) }
    }

    fn change_set(&mut self) -> ChangeSet {
        self.number += 1;
        let id = match self.dice.roll(12) {
            // One that was made before, as after a lost answer.
            0 => self.model.lines().last().map(|line| line.id),
            _ => None,
        };
        let id = id.unwrap_or_else(|| self.id(self.number));
        let mut writes: Vec<Write> = (0..self.dice.roll(4)).map(|_| self.write()).collect();
        if !self.dice.chance(3) {
            // Two writes of one row are refused.
            writes.sort_by(|one, other| (one.table.name, &one.key).cmp(&(other.table.name, &other.key)));
            writes.dedup_by(|one, other| (one.table.name, &one.key) == (other.table.name, &other.key));
        }
        let checks = if self.dice.chance(30) { 1 + self.dice.roll(2) } else { 0 };
        let checks = (0..checks).map(|_| {
            let (table, key) = self.key();
            Check { table, expected: self.seen(table, &key), key }
        });
        let checks = checks.collect();
        let audit = if self.dice.chance(30) { 1 + self.dice.roll(2) } else { 0 };
        let audit = (0..audit).map(|at| super::audit(self.number.unsigned_abs() as u128 * 10 + at as u128, "model"));
        let audit = audit.collect();
        let events = (0..self.dice.roll(3)).map(|_| StoredEvent {
            event_type: "item.updated".into(),
            table: Item::TABLE.name.into(),
            key: self.key().1,
            version: self.number,
            cause: "items.update".into(),
            actor: "system".into(),
            changed: Vec::new(),
            data: Default::default(),
        });
        let events = events.collect();
        ChangeSet { id, at: Self::moment(self.number), checks, writes, audit, events }
    }

    async fn commit(&mut self, storage: &impl Storage) -> Outcome {
        let change_set = self.change_set();
        self.told.push(format!("{change_set:?}"));
        let wanted = self.model.outcome_of(&change_set);
        match (wanted, storage.commit(&change_set).await) {
            (Wanted::Made, Ok(committed)) => self.model.make(&change_set, committed),
            (Wanted::Known(place), Ok(committed)) => same("a commit of before", committed.place, place),
            (Wanted::Stale(table, key), Err(CommitError::Stale { table: found, key: found_key })) => {
                same("the first stale row", (found.name, found_key), (table, key))
            }
            (Wanted::Refused, Err(CommitError::Failed(error))) => same("the reason", error.reason(), Reason::Internal),
            (wanted, answer) => {
                let wanted = match wanted {
                    Wanted::Made => "it to be made".to_owned(),
                    Wanted::Known(place) => format!("{place:?} of before"),
                    Wanted::Stale(table, key) => format!("stale: {table} {key:?}"),
                    Wanted::Refused => "a refusal".to_owned(),
                };
                Err(Problem::new(format!("a commit: expected {wanted}, got {answer:?}")))
            }
        }
    }

    async fn get(&mut self, storage: &impl Storage) -> Outcome {
        let (table, first) = self.key();
        let mut keys = vec![first];
        for _ in 0..self.dice.roll(5) {
            let (other, key) = self.key();
            keys.extend((other == table).then_some(key));
        }
        if self.dice.chance(10) {
            // What no row has.
            keys.push(Key(vec![Value::Text("nowhere".into()), Value::Int(7)]));
        }
        self.told.push(format!("get {} {keys:?}", table.name));
        let wanted: Vec<_> = keys.iter().map(|key| self.model.rows.get(&(table.name, key.clone())).cloned()).collect();
        same_rows("get", storage.get(table, &keys).await?, wanted)
    }

    async fn query(&mut self, storage: &impl Storage) -> Outcome {
        let filter = self.filter(2);
        let mut query = Query { count: *self.dice.one(&[0, 3, u64::MAX]), ..Query::of(Item::TABLE, filter) };
        let rows: Vec<Row> = self.model.table(Item::TABLE).cloned().collect();
        match self.dice.roll(8) {
            0 => {
                let of_items = [vec!["flag"], vec!["rank", "seen"], vec!["owner"]];
                let columns = self.dice.one(&of_items).clone();
                query.group_by = columns.into_iter().map(|name| GroupBy::Column(name.into())).collect();
                query.group_by.extend(self.dice.chance(40).then(|| GroupBy::Day("until".into())));
            }
            1 => {
                query.beside = Some(UserActivity::TABLE);
                let direction = *self.dice.one(&[Direction::Ascending, Direction::Descending]);
                query.order = vec![Order { column: "last_login_at".into(), direction }];
                query.window = self.window();
            }
            _ => {
                query.order = self.dice.one(&samples::orders()).clone();
                query.window = self.window();
                if self.dice.chance(50) {
                    // A page goes on after a row, which may have changed since or gone.
                    let sorting = query.sorting()?;
                    let row = self.dice.one(&samples::items()).to_row();
                    query.window.after = Some(sorting.position_of(rows.first().unwrap_or(&row)));
                }
            }
        }
        self.told.push(format!("{query:?}"));
        let beside = |key: &Key| Ok(self.model.rows.get(&(UserActivity::TABLE.name, key.clone())).cloned());
        let wanted = query.answer(rows.into_iter().map(Ok), beside, &self.model)?;
        let found = storage.query(&query).await?;
        same("total", found.total, wanted.total)?;
        same("groups", found.groups, wanted.groups)?;
        same_rows("rows", found.rows, wanted.rows)
    }

    fn window(&mut self) -> Window {
        let limit = *self.dice.one(&[None, None, Some(0), Some(1), Some(2), Some(5)]);
        Window { after: None, skip: *self.dice.one(&[0, 0, 0, 1, 3]), limit }
    }

    fn filter(&mut self, depth: usize) -> Predicate {
        match self.dice.roll(if depth == 0 { 4 } else { 7 }) {
            0..2 => Predicate::Always,
            2..4 => self.dice.one(leaves()).clone(),
            4 => Predicate::Not(Box::new(self.filter(depth - 1))),
            5 => Predicate::And((0..self.dice.roll(3)).map(|_| self.filter(depth - 1)).collect()),
            _ => Predicate::Or((0..self.dice.roll(3)).map(|_| self.filter(depth - 1)).collect()),
        }
    }

    /// A position that was reached once, or one of another history.
    fn since(&mut self) -> Position {
        let mut since = Position::START;
        for (lane, Lane { newest, .. }) in &self.model.lanes {
            let Some(newest) = *newest else { continue };
            let known = match self.dice.roll(4) {
                0 => continue,
                1 => newest,
                _ => {
                    let number = self.dice.roll(newest.number as usize + 1) as u64;
                    let lines = &self.model.lanes[lane].lines;
                    let line = lines.iter().find(|line| line.place.number == number);
                    let Some(line) = line else { continue };
                    line.place
                }
            };
            since.set(match self.dice.roll(20) {
                0 => LanePosition { tag: !known.tag, ..known },
                1 => LanePosition { number: newest.number + 1 + self.dice.roll(3) as u64, ..known },
                _ => known,
            });
        }
        since
    }

    fn part(&mut self) -> FeedPart {
        match self.dice.roll(3) {
            0 => FeedPart::WHOLE,
            1 => FeedPart { commits: 1 + self.dice.roll(4) as u64, ..FeedPart::WHOLE },
            _ => FeedPart {
                bytes: 100 * self.dice.roll(8) as u64,
                has_events: self.dice.roll(2) == 0,
                ..FeedPart::WHOLE
            },
        }
    }

    async fn changes(&mut self, storage: &impl Storage) -> Outcome {
        let (since, part) = (self.since(), self.part());
        self.told.push(format!("changes since {since:?}, {part:?}"));
        let (found, wanted) = (storage.changes(&since, part).await?, self.model.changes(&since, part));
        same("the position", &found.position, &wanted.position)?;
        same("the gap", found.gap, wanted.gap)?;
        same("the lanes that have more", &found.cut, &wanted.cut)?;
        if wanted.gap == Some(Gap::Rewound) {
            // All rows are read again.
            return Ok(());
        }
        // What different lanes tell may come in any order.
        let in_order = |mut touched: Vec<Touched>| {
            if self.model.lanes.len() > 1 {
                touched.sort_by(|one, other| (&one.table, &one.key).cmp(&(&other.table, &other.key)));
            }
            touched
        };
        same("what was touched", in_order(found.touched), in_order(wanted.touched))?;
        let by_place = |mut lines: Vec<storage::Line>| {
            lines.sort_by_key(|line| (line.place.lane, line.place.number));
            lines
        };
        same("the commits", by_place(found.lines), by_place(wanted.lines))
    }

    async fn outcome(&mut self, storage: &impl Storage) -> Outcome {
        let known: Vec<ChangeSetId> = self.model.lines().map(|line| line.id).collect();
        let id = match self.dice.roll(3) {
            0 if !known.is_empty() => *self.dice.one(&known),
            1 => ChangeSetId(Uuid::from_u128(self.dice.roll(1 << 20) as u128)),
            _ => {
                let number = self.dice.roll(self.number as usize + 2) as i64;
                self.id(number)
            }
        };
        self.told.push(format!("outcome {id:?}"));
        let found = storage.outcome(id).await.map(|found| found.map(|committed| committed.place));
        same("an outcome", found.map_err(|error: Error| error.reason()), self.model.outcome(id))
    }

    async fn prune(&mut self, storage: &impl Storage) -> Outcome {
        let feed_before = Self::moment(self.dice.roll(self.number as usize + 2) as i64);
        self.told.push(format!("prune before {feed_before}"));
        let retention = Retention { feed_before };
        same("pruned", storage.prune(&retention).await?, self.model.prune(&retention))
    }

    async fn snapshot(&mut self, storage: &impl Storage) -> Outcome {
        self.told.push("a snapshot".into());
        let (items, ties): (Vec<Row>, Vec<Row>) =
            (self.model.table(Item::TABLE).cloned().collect(), self.model.table(Tie::TABLE).cloned().collect());
        let position = self.model.position();
        let mut snapshot = storage.snapshot().await?;
        if may_commit_meanwhile(storage) {
            self.commit(storage).await?;
        }
        same("a snapshot's position", snapshot.position().clone(), position)?;
        let limit = 1 + self.dice.roll(ROWS);
        same_rows("items of a snapshot", pages(&mut *snapshot, Item::TABLE, limit).await?, items)?;
        same_rows("ties of a snapshot", pages(&mut *snapshot, Tie::TABLE, limit).await?, ties)?;
        snapshot.end().await?;
        Ok(())
    }

    /// Compares all that there is.
    async fn everything(&mut self, storage: &impl Storage) -> Outcome {
        self.told.push("everything".into());
        for table in [Item::TABLE, Tie::TABLE, UserActivity::TABLE, Guard::TABLE, Claim::TABLE] {
            let found = storage.query(&Query::of(table, Predicate::Always)).await?.rows;
            same_rows(table.name, found, self.model.table(table).cloned().collect())?;
        }
        same("position", storage.position().await?, self.model.position())?;
        let lines = storage.query(&Query::of(CommitRecord::TABLE, Predicate::Always)).await?.rows;
        let lines = lines.into_iter().map(CommitRecord::from_row).collect::<Result<Vec<_>, _>>();
        let lines = lines.map_err(|corrupt| Problem::new(corrupt.to_string()))?;
        let found: Vec<_> = lines.iter().map(|line| (line.position, line.id, line.at)).collect();
        let wanted =
            self.model.lines().map(|line| (LanePosition::line(line.place.lane, line.place.number), line.id, line.at));
        same("lines of the feed", found, wanted.collect())?;
        let entries = storage.query(&Query::of(AuditEntry::TABLE, Predicate::Always)).await?.rows;
        let mut audited = BTreeSet::new();
        for entry in entries {
            let entry = AuditEntry::from_row(entry).map_err(|corrupt| Problem::new(corrupt.to_string()))?;
            audited.insert(entry.id.0.as_u128());
        }
        same("audit entries", &audited, &self.model.audited)?;
        same("audit entries, each once", log_is_whole(storage).await?, audited.len())
    }
}

/// Simple predicates, made once.
fn leaves() -> &'static [Predicate] {
    static LEAVES: std::sync::OnceLock<Vec<Predicate>> = std::sync::OnceLock::new();
    LEAVES.get_or_init(samples::predicates)
}

/// Rows do not show their texts: these are of tests, and are shown.
fn same_rows<T: PartialEq + Shown>(what: &str, found: T, wanted: T) -> Outcome {
    if found == wanted {
        return Ok(());
    }
    Err(Problem::new(format!("{what}: expected {}, got {}", wanted.shown(), found.shown())))
}

trait Shown {
    fn shown(&self) -> String;
}

impl Shown for Vec<Row> {
    fn shown(&self) -> String {
        format!("{:?}", self.iter().map(|row| &row.0).collect::<Vec<_>>())
    }
}

impl Shown for Vec<Option<Row>> {
    fn shown(&self) -> String {
        format!("{:?}", self.iter().map(|row| row.as_ref().map(|row| &row.0)).collect::<Vec<_>>())
    }
}
