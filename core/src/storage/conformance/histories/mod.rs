//! Clients that act at once on the same rows, and what they saw: a history. Every read says which versions it saw, every commit which it
//! relied on and made, so that what happened before what is known exactly, and a history that no order of its steps explains has a
//! cycle ([`check`]).

mod check;

use std::{
    collections::BTreeMap,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

use futures_channel::oneshot;

use super::{Failure, Outcome, Problem, dice::Dice, records::*, same};
use crate::{
    environment::Env,
    model::{
        id::{ChangeSetId, UserId},
        predicate::Predicate,
        record::{Key, Record, Row},
        registry::Guard,
        value::Value,
    },
    storage::{ChangeSet, Check, CommitError, FeedPart, LanePosition, Position, Query, Storage, Touched, Write},
};

/// Rows that are there at first and stay.
const KEPT: std::ops::Range<usize> = 0..3;
/// Rows that are there at first, and come no more once they are deleted.
const PASSING: std::ops::Range<usize> = 3..5;
/// Items that are not there at first, and stay, stand behind these.
const ITEMS: std::ops::Range<usize> = 0..8;
/// Guards, which are not there at first, and stay.
const GUARDS: std::ops::Range<usize> = 8..10;
const ALL: usize = GUARDS.end;

/// What some clients did and saw.
#[derive(Clone, Debug)]
pub struct History {
    seed: u64,
    events: Vec<Event>,
    /// What the storage says of it afterwards that contradicts its answers.
    contradiction: Option<String>,
}

/// One call of a client.
#[derive(Clone, Debug)]
struct Event {
    client: usize,
    what: What,
    /// The moment before it, by a clock that all clients share.
    begin: u64,
    /// The moment after its answer; none where the caller went away.
    end: Option<u64>,
}

#[derive(Clone, Debug)]
enum What {
    /// Rows, all at one moment.
    Read(Vec<(usize, Seen)>),
    /// How far the storage has come.
    Position(Position),
    Commit(Commit),
}

/// What was seen of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Absent,
    Version {
        version: i64,
        /// The commit that the row says has written it; guards do not say.
        by: Option<ChangeSetId>,
    },
}

#[derive(Clone, Debug)]
struct Commit {
    id: ChangeSetId,
    /// Rows and the versions that were relied on; 0: it was not there.
    checks: Vec<(usize, i64)>,
    /// The same of rows that were written, and whether they were deleted.
    writes: Vec<(usize, i64, bool)>,
    /// Its caller left after so many polls; none: not before the answer.
    #[expect(dead_code, reason = "who looks for a fault wants to see it")]
    left_after: Option<usize>,
    ended: Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Made(LanePosition),
    Stale,
    /// The caller went away, and the storage says at the end that it was not made.
    Nothing,
    /// The caller went away.
    Unanswered,
}

impl History {
    /// Lets four to eight clients act at once, as follows from the seed but for what the machine makes of it: each reads, lists, asks how
    /// far the storage is, and commits what relies on what it has read; some callers go away in the middle of a commit. Rows are the
    /// seed's own, so that one storage serves for many seeds; it has the suite's [`tables`].
    ///
    /// # Errors
    /// A call that failed, or an answer that is wrong whatever the others did.
    pub async fn record<S: Storage>(storage: &Arc<S>, env: &Env, seed: u64) -> Result<Self, Failure> {
        let recorded = record(storage, env, seed).await;
        recorded.map_err(|problem| Failure { case: "history", problem: format!("seed {seed}: {}", problem.0) })
    }

    /// Whether there is an order of all calls, each between its beginning and its end, in which every answer is right; and whether
    /// the storage says the same of its commits afterwards, in its outcomes and its change feed.
    ///
    /// # Errors
    /// Calls of which each has to come before the next, and the last before the first.
    pub fn check(&self) -> Result<(), Failure> {
        let checked = check::check(self).and_then(|()| self.contradiction.clone().map_or(Ok(()), Err));
        checked.map_err(|problem| Failure { case: "linearizable", problem: format!("seed {}: {problem}", self.seed) })
    }

    /// How many commits were made, were out of date, and lost their callers.
    pub fn commits(&self) -> (usize, usize, usize) {
        let count = |is_wanted: fn(&Event, &Commit) -> bool| {
            self.events
                .iter()
                .filter(|event| matches!(&event.what, What::Commit(commit) if is_wanted(event, commit)))
                .count()
        };
        (
            count(|_, commit| matches!(commit.ended, Ended::Made(_))),
            count(|_, commit| matches!(commit.ended, Ended::Stale)),
            count(|event, _| event.end.is_none()),
        )
    }
}

async fn record<S: Storage>(storage: &Arc<S>, env: &Env, seed: u64) -> Result<History, Problem> {
    let mut dice = Dice::new(seed);
    let start = storage.position().await?;
    let clock = Arc::new(AtomicU64::new(0));
    let mut first = Client::new(storage, env, &clock, seed, 0, &mut dice);
    first.begin().await?;
    let mut running = Vec::new();
    for number in 1..=4 + dice.roll(5) {
        let mut client = Client::new(storage, env, &clock, seed, number, &mut dice);
        client.known.clone_from(&first.known);
        let (tell, told) = oneshot::channel();
        env.spawn(Box::pin(async move {
            let lived = client.live().await;
            let _ = tell.send(lived.map(|()| client.events));
        }));
        running.push(told);
    }
    let mut events = Vec::new();
    for told in running {
        events.extend(told.await.map_err(|_| Problem::new("a client ended without a word"))??);
    }
    first.look(&ITEMS.collect::<Vec<_>>()).await?;
    first.look(&GUARDS.collect::<Vec<_>>()).await?;
    first.position().await?;
    events.append(&mut first.events);
    let mut contradiction = None;
    for event in &mut events {
        let What::Commit(commit) = &mut event.what else { continue };
        let outcome = storage.outcome(commit.id).await?.map(|committed| committed.place);
        commit.ended = match (commit.ended, outcome) {
            (Ended::Unanswered, Some(place)) => Ended::Made(place),
            (Ended::Unanswered, None) => Ended::Nothing,
            (ended, _) => ended,
        };
        let wanted = if let Ended::Made(place) = commit.ended { Some(place) } else { None };
        let is_right =
            same(&format!("the outcome of {commit:?} from {} to {:?}", event.begin, event.end), outcome, wanted);
        contradiction = contradiction.or(is_right.err());
    }
    let mut history = History { seed, events, contradiction: None };
    let is_told = feed_tells_all(&**storage, &history, &start).await;
    history.contradiction = contradiction.or(is_told.err()).map(|problem| problem.0);
    Ok(history)
}

/// The feed names every row as often as a commit has touched it.
async fn feed_tells_all(storage: &impl Storage, history: &History, start: &Position) -> Outcome {
    let mut wanted: BTreeMap<(String, Key), usize> = BTreeMap::new();
    for event in &history.events {
        let What::Commit(Commit { writes, ended: Ended::Made(_), .. }) = &event.what else { continue };
        for (at, ..) in writes {
            *wanted.entry((table_of(*at).name.to_owned(), key_of(history.seed, *at))).or_default() += 1;
        }
    }
    let mut known = start.clone();
    loop {
        let changes = storage.changes(&known, FeedPart::WHOLE).await?;
        same("a gap", changes.gap, None)?;
        for Touched { table, key } in changes.touched {
            if let Some(left) = wanted.get_mut(&(table, key)) {
                *left = left.saturating_sub(1);
            }
        }
        known = changes.position;
        if changes.cut.is_empty() {
            break;
        }
    }
    same("what the feed does not tell", wanted.into_iter().find(|(_, left)| *left > 0), None)
}

fn table_of(at: usize) -> &'static crate::model::record::Table {
    if GUARDS.contains(&at) { Guard::TABLE } else { Item::TABLE }
}

fn number_of(seed: u64, at: usize) -> u128 {
    (0x4157 << 96) | (u128::from(seed) << 8) | at as u128
}

fn key_of(seed: u64, at: usize) -> Key {
    match GUARDS.contains(&at) {
        true => Guard { name: format!("history:{seed}:{at}"), version: 0 }.key(),
        false => Item::new(number_of(seed, at), "").key(),
    }
}

struct Client<S> {
    storage: Arc<S>,
    env: Env,
    clock: Arc<AtomicU64>,
    dice: Dice,
    seed: u64,
    number: usize,
    /// The version that it saw last; 0: none.
    known: [i64; ALL],
    /// Rows that it saw deleted.
    gone: [bool; ALL],
    events: Vec<Event>,
    commits: u128,
}

impl<S: Storage> Client<S> {
    fn new(storage: &Arc<S>, env: &Env, clock: &Arc<AtomicU64>, seed: u64, number: usize, dice: &mut Dice) -> Self {
        Self {
            storage: storage.clone(),
            env: env.clone(),
            clock: clock.clone(),
            dice: dice.split(),
            seed,
            number,
            known: [0; ALL],
            gone: [false; ALL],
            events: Vec::new(),
            commits: 0,
        }
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn tell(&mut self, what: What, begin: u64, end: Option<u64>) {
        self.events.push(Event { client: self.number, what, begin, end });
    }

    /// The rows that are there at first.
    async fn begin(&mut self) -> Outcome {
        let writes = KEPT.chain(PASSING).map(|at| (at, 0, false)).collect();
        self.commit(Vec::new(), writes).await
    }

    async fn live(&mut self) -> Outcome {
        for _ in 0..4 + self.dice.roll(5) {
            self.dawdle().await;
            match self.dice.roll(10) {
                0..2 => {
                    let rows = self.some(ITEMS, 4);
                    self.look(&rows).await?;
                }
                2 => self.list().await?,
                3 => {
                    let rows = self.some(GUARDS, 2);
                    self.look(&rows).await?;
                }
                4 => self.position().await?,
                _ => self.change().await?,
            }
        }
        Ok(())
    }

    /// Lets others go first, some times.
    async fn dawdle(&mut self) {
        if self.dice.chance(4) {
            self.env.sleep(1).await;
        }
        for _ in 0..self.dice.roll(4) {
            let mut is_over = false;
            poll_fn(|context| {
                if std::mem::replace(&mut is_over, true) {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
    }

    /// Up to so many rows of these, each once.
    fn some(&mut self, of: std::ops::Range<usize>, most: usize) -> Vec<usize> {
        let count = 1 + self.dice.roll(most);
        let mut some: Vec<usize> = (0..count).map(|_| of.start + self.dice.roll(of.len())).collect();
        some.sort_unstable();
        some.dedup();
        some
    }

    fn see(&mut self, at: usize, row: Option<Row>) -> Result<(usize, Seen), Problem> {
        let corrupt = |corrupt: crate::model::record::Corrupt| Problem::new(corrupt.to_string());
        let seen = match row {
            None => Seen::Absent,
            Some(row) if GUARDS.contains(&at) => {
                Seen::Version { version: Guard::from_row(row).map_err(corrupt)?.version, by: None }
            }
            Some(row) => {
                let item = Item::from_row(row).map_err(corrupt)?;
                let by = item.owner.map(|UserId(id)| ChangeSetId(id));
                Seen::Version { version: item.version, by }
            }
        };
        match seen {
            Seen::Version { version, .. } => self.known[at] = version,
            Seen::Absent => (self.known[at], self.gone[at]) = (0, PASSING.contains(&at)),
        }
        Ok((at, seen))
    }

    /// Reads rows of one table by their keys.
    async fn look(&mut self, rows: &[usize]) -> Outcome {
        let keys: Vec<Key> = rows.iter().map(|at| key_of(self.seed, *at)).collect();
        let begin = self.tick();
        let found = self.storage.get(table_of(rows[0]), &keys).await?;
        let end = self.tick();
        let seen = rows.iter().zip(found).map(|(at, row)| self.see(*at, row)).collect::<Result<_, _>>()?;
        self.tell(What::Read(seen), begin, Some(end));
        Ok(())
    }

    /// Reads all items.
    async fn list(&mut self) -> Outcome {
        let all = || ITEMS.map(|at| key_of(self.seed, at).0.swap_remove(0));
        let query = Query::of(Item::TABLE, Predicate::In("id".into(), Predicate::set(all())));
        let begin = self.tick();
        let found = self.storage.query(&query).await?.rows;
        let end = self.tick();
        let values: Vec<Value> = all().collect();
        let row = |value: &Value| found.iter().find(|row| row.0[0] == *value).cloned();
        let rows: Vec<Option<Row>> = values.iter().map(row).collect();
        let seen = rows.into_iter().enumerate().map(|(at, row)| self.see(at, row)).collect::<Result<_, _>>()?;
        self.tell(What::Read(seen), begin, Some(end));
        Ok(())
    }

    async fn position(&mut self) -> Outcome {
        let begin = self.tick();
        let position = self.storage.position().await?;
        let end = self.tick();
        self.tell(What::Position(position), begin, Some(end));
        Ok(())
    }

    /// Commits what rests on some rows, which it mostly reads before.
    async fn change(&mut self) -> Outcome {
        let mut rows = self.some(ITEMS, 3);
        if self.dice.chance(60) {
            self.look(&rows).await?;
            self.dawdle().await;
        }
        if self.dice.chance(40) {
            let guards = self.some(GUARDS, 1);
            self.look(&guards).await?;
            rows.extend(guards);
        }
        let (mut checks, mut writes) = (Vec::new(), Vec::new());
        for at in rows {
            // What was deleted does not come again, so that each version of a row is one.
            if self.gone[at] || (PASSING.contains(&at) && self.known[at] == 0) {
                continue;
            }
            if self.dice.chance(40) {
                checks.push((at, self.known[at]));
            } else {
                writes.push((at, self.known[at], PASSING.contains(&at) && self.dice.chance(40)));
            }
        }
        if checks.is_empty() && writes.is_empty() {
            return Ok(());
        }
        self.commit(checks, writes).await
    }

    async fn commit(&mut self, checks: Vec<(usize, i64)>, writes: Vec<(usize, i64, bool)>) -> Outcome {
        self.commits += 1;
        // A storage may make a commit of its own by an id that differs in the last bit, to see to it that one does not come late.
        let number = number_of(self.seed, self.number) << 16 | self.commits << 1;
        let change_set = self.change_set(number, &checks, &writes);
        // Whoever begins is waited for.
        let polls = (self.number > 0 && self.dice.chance(15)).then(|| 1 + self.dice.roll(6));
        let mut left_after = None;
        let begin = self.tick();
        let answer = match polls {
            None => Some(self.storage.commit(&change_set).await),
            Some(polls) => match drop_after(self.storage.commit(&change_set), polls).await {
                // Who gets no answer asks again, or never hears.
                None => {
                    left_after = Some(polls);
                    if self.dice.chance(50) {
                        self.dawdle().await;
                        Some(self.storage.commit(&change_set).await)
                    } else {
                        None
                    }
                }
                answer => answer,
            },
        };
        let end = answer.is_some().then(|| self.tick());
        let ended = match answer {
            None | Some(Err(CommitError::Unknown)) => Ended::Unanswered,
            Some(Ok(committed)) => Ended::Made(committed.place),
            Some(Err(CommitError::Stale { table, key })) => {
                let is_own = |at: &usize| table_of(*at) == table && key_of(self.seed, *at) == key;
                let mut rows = checks.iter().map(|(at, _)| at).chain(writes.iter().map(|(at, ..)| at));
                same("stale because of a row that it relies on", rows.any(is_own), true)?;
                Ended::Stale
            }
            Some(Err(error)) => return Err(error.into()),
        };
        if let Ended::Made(_) = ended {
            for (at, expected, is_deleted) in &writes {
                (self.known[*at], self.gone[*at]) = if *is_deleted { (0, true) } else { (expected + 1, false) };
            }
        }
        let end = if ended == Ended::Unanswered { None } else { end };
        self.tell(What::Commit(Commit { id: change_set.id, checks, writes, left_after, ended }), begin, end);
        Ok(())
    }

    fn change_set(&mut self, number: u128, checks: &[(usize, i64)], writes: &[(usize, i64, bool)]) -> ChangeSet {
        let seen = |version: i64| (version > 0).then_some(version);
        let check = |(at, version): &(usize, i64)| Check {
            table: table_of(*at),
            key: key_of(self.seed, *at),
            expected: seen(*version),
        };
        let write = |(at, version, is_deleted): &(usize, i64, bool)| {
            let row = match GUARDS.contains(at) {
                true => Guard { name: format!("history:{}:{at}", self.seed), version: version + 1 }.to_row(),
                false => {
                    let item = Item::new(number_of(self.seed, *at), "of a history");
                    Item { owner: Some(id(number)), version: version + 1, ..item }.to_row()
                }
            };
            let row = (!is_deleted).then_some(row);
            Write { table: table_of(*at), key: key_of(self.seed, *at), expected: seen(*version), row, before: None }
        };
        let (checks, writes) = (checks.iter().map(check).collect(), writes.iter().map(write).collect());
        let audit = if self.dice.chance(20) { vec![audit(number, "history")] } else { Vec::new() };
        ChangeSet { checks, audit, ..change_set(number, writes) }
    }
}

/// Polls a future so many times at most, and drops it in the middle of what it then waits for; its answer, if that came before.
async fn drop_after<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
