//! Committing: seal, send, and go on from where others have come to.
//!
//! Commits of one lane follow one another: each names the one before it, so its instance seals it, with its audit entries, before it is
//! sent. Lanes go on beside each other. An instance takes lanes that no other uses; where two use one nothing is lost but a round trip,
//! after which the one that was late takes another.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_lock::Mutex;
use sea_query::Values;
use sqlx::{
    AssertSqlSafe, Connection as _, Row as _,
    postgres::{PgConnection, PgRow},
};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

use super::{
    connections::{self, CONNECT, Connection, Connections, Fault},
    error,
    lane::{Lane, Last, NO_LANE, last_of, last_statement},
    migrate,
    reads::Reader as _,
    rows::{self, QueryPlan},
    statement::{self, Answer, Behind},
};
use crate::{
    audit_chain::{AuditEntry, AuditHead},
    model::{
        error::{Error, Reason},
        id::ChangeSetId,
        record::{Key, Record},
    },
    storage::{ChangeSet, CommitError, Committed, LanePosition, Write, ledger},
};

/// So often a commit is sent that others may come before; then it makes them wait.
const FREE_TRIES: usize = 2;

/// So often a commit holds its lane that was in the way of another one, or that others add rows beside.
const TURNS: usize = 3;

/// So long it is waited before a commit whose answer was lost is sent again.
const PAUSES: [Duration; 3] = [Duration::from_millis(20), Duration::from_millis(200), Duration::ZERO];

/// The commits of this instance. Each goes on in a slot of its own, as many at a time as there are connections that write, and in the
/// lane that its slot has.
pub(super) struct Commits {
    slots: Vec<Mutex<Slot>>,
    /// One for each slot that nobody uses.
    free: Semaphore,
    /// The lanes of the slots.
    lanes: std::sync::Mutex<BTreeSet<u16>>,
    /// Those that are under way, and those whose answer was lost and that nobody has asked for yet, with their lanes.
    lost: std::sync::Mutex<BTreeMap<ChangeSetId, u16>>,
}

/// Where one commit after the other goes on.
#[derive(Default)]
struct Slot {
    lane: Option<u16>,
    /// Where its lane ends; none where that must be asked for.
    last: Option<Last>,
}

/// What has become of a statement.
enum Sent {
    Committed(Committed),
    /// Others were first.
    Late,
    /// Meanwhile somebody added a row that may be this one, which the statement does not see: when it is sent again it does.
    Crowded(CommitError),
    Failed(Failure),
}

/// Why a commit was not written, or may have been.
struct Failure {
    error: CommitError,
    /// The server has looked for this very commit, and it was not there.
    is_answered: bool,
}

impl Failure {
    fn answered(error: CommitError) -> Self {
        Self { error, is_answered: true }
    }
}

impl<E: Into<CommitError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: error.into(), is_answered: false }
    }
}

impl Commits {
    /// So many at a time.
    pub(super) fn new(count: usize) -> Self {
        Self {
            slots: (0..count.max(1)).map(|_| Mutex::default()).collect(),
            free: Semaphore::new(count.max(1)),
            lanes: std::sync::Mutex::default(),
            lost: std::sync::Mutex::default(),
        }
    }

    /// Commits; where the answer is lost, once more: it is the same commit, which is written once. Either the lost statement has
    /// taken place, or what is sent now takes its place. The same where a caller left, and the commit is asked for again.
    pub(super) async fn commit(
        &self,
        connections: &Connections,
        change_set: &ChangeSet,
    ) -> Result<Committed, CommitError> {
        let Ok(Ok(_permit)) = timeout(CONNECT, self.free.acquire()).await else {
            // This call has sent nothing. Of an earlier one whose caller left it is not known.
            return Err(match self.lane_of_lost(change_set.id) {
                Some(_) => CommitError::Unknown,
                None => CommitError::Failed(connections::none_free()),
            });
        };
        // An earlier call whose caller left may be under way: this one stays in its lane, as a repeated statement does.
        let left = self.lane_of_lost(change_set.id);
        let mut in_its_lane = left.map(|lane| Slot { lane: Some(lane), last: None });
        let mut free = None;
        let slot = match &mut in_its_lane {
            Some(slot) => slot,
            // The first of those that are free, so that as few lanes are used as are needed.
            None => &mut **free.insert(match self.slots.iter().find_map(Mutex::try_lock) {
                Some(slot) => slot,
                None => self.slots[0].lock().await,
            }),
        };
        let mut is_lost = left.is_some();
        for pause in PAUSES {
            let failure = match self.commit_once(connections, change_set, slot, is_lost).await {
                Ok(committed) => return Ok(self.certain(change_set.id, committed)),
                Err(failure) => failure,
            };
            match failure.error {
                CommitError::Unknown => is_lost = true,
                // What is said of this try says nothing of the one before.
                _ if is_lost && !failure.is_answered => {}
                error => return Err(self.certain(change_set.id, error)),
            }
            // After a restart of the server all are as dead as this one.
            connections.forget_idle();
            slot.last = None;
            sleep(pause).await;
        }
        // Others need not wait behind it.
        if left.is_none() {
            self.leave(slot);
        }
        Err(CommitError::Unknown)
    }

    /// It is known what became of a commit.
    pub(super) fn certain<T>(&self, id: ChangeSetId, outcome: T) -> T {
        locked(&self.lost).remove(&id);
        outcome
    }

    /// One that may be under way stays in its lane: the number that it expects there is given once.
    async fn commit_once(
        &self,
        connections: &Connections,
        change_set: &ChangeSet,
        slot: &mut Slot,
        stays: bool,
    ) -> Result<Committed, Failure> {
        let mut connection = connections.writer().await?;
        for _ in 0..FREE_TRIES {
            let known = match slot.last.take() {
                Some(known) => known,
                None => self.place(connections, slot).await?,
            };
            // Whoever leaves in the middle leaves it in doubt.
            locked(&self.lost).insert(change_set.id, known.place.lane);
            match self.send(&mut connection, change_set, (known, stays), &mut slot.last).await {
                Sent::Committed(committed) => return Ok(committed),
                Sent::Failed(error) => return Err(error),
                // Another instance uses this lane.
                Sent::Late if !stays => self.leave(slot),
                Sent::Late | Sent::Crowded(_) => {}
            }
        }
        let lane = self.place(connections, slot).await?.place.lane;
        locked(&self.lost).insert(change_set.id, lane);
        self.commit_in_turn(&mut connection, change_set, (lane, stays), &mut slot.last).await
    }

    /// The end of the slot's lane; where it has none, it takes the first that nobody uses, or else the one that was used least of late.
    async fn place(&self, connections: &Connections, slot: &mut Slot) -> Result<Last, CommitError> {
        loop {
            let others: Vec<u16> = locked(&self.lanes).iter().copied().collect();
            let last = read_last(connections, slot.lane.map_or(Lane::Free(&others), Lane::Own)).await?;
            if slot.lane.is_some() {
                return Ok(last);
            }
            if locked(&self.lanes).insert(last.place.lane) {
                slot.lane = Some(last.place.lane);
                return Ok(last);
            }
        }
    }

    fn leave(&self, slot: &mut Slot) {
        slot.last = None;
        if let Some(lane) = slot.lane.take() {
            locked(&self.lanes).remove(&lane);
        }
    }

    async fn send(
        &self,
        connection: &mut Connection,
        change_set: &ChangeSet,
        (known, may_be_under_way): (Last, bool),
        last: &mut Option<Last>,
    ) -> Sent {
        let sealed = match Sealed::new(change_set, known) {
            Ok(sealed) => sealed,
            Err(error) => return Sent::Failed(error.into()),
        };
        for is_last_try in [false, true] {
            match execute(connection, sealed.statement(change_set)).await {
                Ok(answers) => return sealed.settle(change_set, &answers, may_be_under_way, last),
                Err(Fault::Sql(problem)) if !is_last_try && error::is_forgotten(&problem) => connection.forget().await,
                // What was written in the lane since is read before it is tried again.
                Err(Fault::Sql(problem)) if error::is_of_lane(&problem) || error::is_in_the_way(&problem) => {
                    return Sent::Late;
                }
                Err(fault) => return Sent::Failed(failed(change_set, fault).into()),
            }
        }
        Sent::Late
    }

    /// Waits for all others in the lane, and makes those who come wait. One that came before may hold rows that this one waits for, and wait
    /// for the lane, so that the server ends one of the two.
    async fn commit_in_turn(
        &self,
        connection: &mut Connection,
        change_set: &ChangeSet,
        (lane, may_be_under_way): (u16, bool),
        last: &mut Option<Last>,
    ) -> Result<Committed, Failure> {
        let longest = connection.longest();
        let mut turn = 0;
        loop {
            turn += 1;
            let answer = timeout(longest, hold_and_run(connection, change_set, lane)).await;
            match connection.settle(answer) {
                Ok(Ok((sealed, answers))) => match sealed.settle(change_set, &answers, may_be_under_way, last) {
                    Sent::Committed(committed) => return Ok(committed),
                    Sent::Failed(error) => return Err(error),
                    Sent::Crowded(_) if turn < TURNS => {}
                    Sent::Crowded(error) => return Err(Failure { error, is_answered: !may_be_under_way }),
                    // Nobody can be first while the row is held.
                    Sent::Late => return Err(CommitError::Failed(Error::new(Reason::Corrupt, NO_LANE)).into()),
                },
                Ok(Err(error)) => return Err(error.into()),
                Err(Fault::Sql(problem)) if turn < TURNS && error::is_in_the_way(&problem) => {}
                Err(fault) => {
                    connection.give_up();
                    return Err(failed(change_set, fault).into());
                }
            }
        }
    }

    /// Leaves the lanes to others; where that fails they are free after a while.
    pub(super) async fn close(&self, connections: &Connections) {
        let lanes: Vec<i64> = std::mem::take(&mut *locked(&self.lanes)).into_iter().map(i64::from).collect();
        if let (false, Ok(mut writer)) = (lanes.is_empty(), connections.writer().await) {
            let text = "UPDATE lanes SET until = 0 WHERE lane = ANY ($1)".to_owned();
            let _ = writer.fetch((text, Values(vec![lanes.into()])), QueryPlan::Generic).await;
        }
    }

    /// The lanes of the slots.
    pub(super) fn lanes(&self) -> Vec<u16> {
        locked(&self.lanes).iter().copied().collect()
    }

    /// In which lane a commit of this instance may be under way whose answer was lost.
    pub(super) fn lane_of_lost(&self, id: ChangeSetId) -> Option<u16> {
        locked(&self.lost).get(&id).copied()
    }

    /// Sees to it that a commit whose answer was lost does not take place any more, if it has not: behind this one the number that it
    /// expects in its lane is past.
    pub(super) async fn fence(
        &self,
        connections: &Connections,
        fence: &ChangeSet,
        (id, lane): (ChangeSetId, u16),
    ) -> Result<(), CommitError> {
        let mut slot = Slot { lane: Some(lane), last: None };
        let fenced = self.commit_once(connections, fence, &mut slot, true).await;
        let mut lost = locked(&self.lost);
        lost.remove(&fence.id);
        fenced.map(|_| lost.remove(&id)).map(drop).map_err(|failure| failure.error)
    }
}

/// Commits in a transaction of somebody else, whose end is the commit's: behind a savepoint, so that nothing is left of what is refused.
pub(super) async fn within(
    connection: &mut PgConnection,
    change_set: &ChangeSet,
    last: &mut Option<Last>,
    others: &[u16],
) -> Result<Committed, CommitError> {
    for _ in 0..FREE_TRIES {
        sqlx::raw_sql("SAVEPOINT rolekeep_commit").execute(&mut *connection).await.map_err(within_failed)?;
        let sent = send_within(connection, change_set, last, others).await;
        let end = match &sent {
            Sent::Committed(_) => "RELEASE SAVEPOINT rolekeep_commit",
            _ => "ROLLBACK TO SAVEPOINT rolekeep_commit; RELEASE SAVEPOINT rolekeep_commit",
        };
        sqlx::raw_sql(end).execute(&mut *connection).await.map_err(within_failed)?;
        match sent {
            Sent::Committed(committed) => return Ok(committed),
            // With the connection went the transaction.
            Sent::Failed(Failure { error: CommitError::Unknown, .. }) => {
                return Err(within_failed(sqlx::Error::WorkerCrashed));
            }
            Sent::Failed(failure) => return Err(failure.error),
            Sent::Late => *last = None,
            Sent::Crowded(_) => {}
        }
    }
    Err(CommitError::Stale { table: ledger::CommitRecord::TABLE, key: Key(Vec::new()) })
}

fn within_failed(problem: sqlx::Error) -> CommitError {
    CommitError::Failed(error::error(problem))
}

async fn send_within(
    connection: &mut PgConnection,
    change_set: &ChangeSet,
    last: &mut Option<Last>,
    others: &[u16],
) -> Sent {
    let known = match last.take() {
        Some(known) => Ok(known),
        None => match rows::fetch(connection, last_statement(Lane::Reserved(others)), QueryPlan::Generic).await {
            Ok(rows) if rows.is_empty() => {
                Err(Error::new(Reason::Contention, "too many transactions of applications have written and not ended"))
            }
            Ok(rows) => last_of(&rows),
            Err(problem) => Err(error::error(problem)),
        },
    };
    let sealed = match known.map_err(CommitError::Failed).and_then(|known| Sealed::new(change_set, known)) {
        Ok(sealed) => sealed,
        Err(error) => return Sent::Failed(error.into()),
    };
    let statement = match sealed.statement(change_set) {
        Ok(statement) => statement,
        Err(problem) => return Sent::Failed(within_failed(problem).into()),
    };
    match run(connection, statement).await {
        Ok(answers) => sealed.settle(change_set, &answers, false, last),
        Err(problem) if error::is_of_lane(&problem) => Sent::Late,
        Err(problem) => Sent::Failed(failed(change_set, Fault::Sql(problem)).into()),
    }
}

/// One statement in a transaction that first waits for all others in the lane.
async fn hold_and_run(
    connection: &mut Connection,
    change_set: &ChangeSet,
    lane: u16,
) -> Result<Result<(Sealed, Vec<Answer>), CommitError>, sqlx::Error> {
    let mut transaction = connection.get()?.begin().await?;
    let hold = sqlx::query("SELECT lane FROM lanes WHERE lane = $1 FOR UPDATE").bind(i64::from(lane));
    hold.fetch_all(&mut *transaction).await?;
    let known = last_of(&rows::fetch(&mut transaction, last_statement(Lane::Own(lane)), QueryPlan::Generic).await?);
    let sealed = match known.map_err(CommitError::Failed).and_then(|known| Sealed::new(change_set, known)) {
        Ok(sealed) => sealed,
        Err(error) => {
            // Whoever only lets go of it has it rolled back by the next user.
            transaction.rollback().await?;
            return Ok(Err(error));
        }
    };
    let answers = run(&mut transaction, sealed.statement(change_set)?).await?;
    transaction.commit().await?;
    Ok(Ok((sealed, answers)))
}

/// Never held while anything is waited for, and whole whatever happens to who holds it.
fn locked<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A commit in its place behind the last one.
struct Sealed {
    known: Last,
    ledger: Vec<Write>,
}

impl Sealed {
    fn new(change_set: &ChangeSet, known: Last) -> Result<Self, CommitError> {
        let ledger = ledger::rows_of(change_set, known.place.lane, known.place.number + 1, known.head.clone())?;
        Ok(Self { known, ledger })
    }

    fn statement(&self, change_set: &ChangeSet) -> Result<statement::Commit, sqlx::Error> {
        let behind = Behind { last: self.known.place, schema: migrate::known() };
        statement::commit(change_set, &behind, &self.ledger)
    }

    /// What the answers come to; keeps where the store stands then.
    ///
    /// Where the same commit may be under way, only what will be said of that as well is said: a row that was changed stays changed, but a
    /// gap that was filled while this statement ran is as it should be for one that begins later, and a lane that moved may have
    /// been moved by it.
    fn settle(
        self,
        change_set: &ChangeSet,
        answers: &[Answer],
        may_be_under_way: bool,
        last: &mut Option<Last>,
    ) -> Sent {
        let is_moved = answers.iter().any(|answer| matches!(answer, Answer::Moved(_)));
        let (mut stale_place, mut crowded_place) = (None, None);
        for answer in answers {
            match answer {
                Answer::Before(line) => {
                    let (lane, number) = LanePosition::of_line(*line);
                    return Sent::Committed(Committed::before(LanePosition::new(lane, number, change_set.id)));
                }
                Answer::Schema(version) => {
                    let moved = migrate::require_current(*version).err();
                    let moved = moved.map_or_else(|| stale(change_set, 0), CommitError::Failed);
                    return Sent::Failed(Failure { error: moved, is_answered: !is_moved });
                }
                Answer::Stale(place) => {
                    stale_place = Some(stale_place.map_or(*place, |first: usize| first.min(*place)))
                }
                Answer::Crowded(place) => {
                    crowded_place = Some(crowded_place.map_or(*place, |first: usize| first.min(*place)));
                }
                Answer::Moved(_) | Answer::Written => {}
            }
        }
        if is_moved && may_be_under_way {
            return Sent::Late;
        }
        if let Some(place) = stale_place.or(crowded_place) {
            *last = Some(self.known).filter(|_| !is_moved);
            let stale = stale(change_set, place);
            return if stale_place.is_some() { Sent::Failed(Failure::answered(stale)) } else { Sent::Crowded(stale) };
        }
        if is_moved {
            return Sent::Late;
        }
        if !answers.contains(&Answer::Written) {
            return Sent::Failed(Failure::answered(CommitError::Failed(Error::new(Reason::Corrupt, NO_LANE))));
        }
        let follows = self.known.place;
        let place = LanePosition::new(follows.lane, follows.number + 1, change_set.id);
        let head = self.ledger.into_iter().filter(|write| write.table.name == AuditHead::TABLE.name);
        let head = head.filter_map(|write| write.row).next_back().or(self.known.head);
        *last = Some(Last { place, head });
        Sent::Committed(Committed { place, follows: Some(follows) })
    }
}

async fn execute(
    connection: &mut Connection,
    commit: Result<statement::Commit, sqlx::Error>,
) -> Result<Vec<Answer>, Fault> {
    let longest = connection.longest();
    let answers = timeout(longest, run(connection.get().map_err(Fault::Sql)?, commit.map_err(Fault::Sql)?)).await;
    connection.settle(answers)
}

async fn run(connection: &mut PgConnection, commit: statement::Commit) -> Result<Vec<Answer>, sqlx::Error> {
    // Safe: the text holds names of declarations only, every value is bound. To the end, as the server may refuse after the last row.
    let rows = sqlx::query_with(AssertSqlSafe(commit.text), commit.arguments).fetch_all(connection).await?;
    let answer = |row: &PgRow| Ok(Answer::of(row.try_get(0)?, row.try_get(1)?));
    Ok(rows.iter().map(answer).collect::<Result<Vec<_>, sqlx::Error>>()?.into_iter().flatten().collect())
}

async fn read_last(connections: &Connections, lane: Lane<'_>) -> Result<Last, CommitError> {
    Ok(last_of(&connections.read(&last_statement(lane)).await?)?)
}

/// What is to say of a statement without an answer.
fn failed(change_set: &ChangeSet, fault: Fault) -> CommitError {
    match fault {
        Fault::Sql(problem) if error::is_stale(&problem) => stale_by(change_set, &problem),
        Fault::Sql(problem) if !error::is_lost(&problem) => CommitError::Failed(error::error(problem)),
        Fault::Sql(_) | Fault::Silence => CommitError::Unknown,
    }
}

/// The row of an expectation, by its number among all.
fn stale(change_set: &ChangeSet, place: usize) -> CommitError {
    let checks = change_set.checks.iter().map(|check| (check.table, &check.key));
    let all = || checks.clone().chain(change_set.writes.iter().map(|write| (write.table, &write.key)));
    match all().nth(place).or_else(|| all().next()) {
        Some((table, key)) => CommitError::Stale { table, key: key.clone() },
        // Of what expects nothing only the place of the commit itself was taken.
        None => CommitError::Stale { table: ledger::CommitRecord::TABLE, key: Key(Vec::new()) },
    }
}

/// The row that the server found to be changed, as far as it says.
fn stale_by(change_set: &ChangeSet, problem: &sqlx::Error) -> CommitError {
    let table = problem.as_database_error().and_then(|error| error.table());
    if table == Some(AuditEntry::TABLE.name) {
        return ledger::taken(AuditEntry::TABLE, Key(Vec::new()));
    }
    let written = change_set.writes.iter().position(|write| Some(write.table.name) == table);
    stale(change_set, written.map_or(0, |at| change_set.checks.len() + at))
}
