//! Committing: seal, send, and go on from where others have come to.

use std::{collections::BTreeSet, time::Duration};

use async_lock::Mutex;
use sqlx::{
    AssertSqlSafe, Connection as _, Row as _,
    postgres::{PgConnection, PgRow},
};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::{
    connections::{Connection, Connections, Fault},
    error, migrate, rows,
    statement::{self, Answer},
};
use crate::{
    audit_chain::AuditHead,
    model::{
        error::{Error, Reason},
        id::ChangeSetId,
        record::{Key, Record, Row},
        value::Value,
    },
    storage::{
        ChangeSet, CommitError, Committed, Write, ledger,
        sql::{
            decode,
            dialect::{Dialect, Statement},
            statement as sql,
        },
    },
};

pub(super) const NO_LANE: &str =
    "the count of commits and their lines do not agree: the database was changed by somebody else";

/// So often a commit is sent that others may come before; then it makes them wait.
const FREE_TRIES: usize = 2;

/// So long it is waited before a commit whose answer was lost is sent again.
const PAUSES: [Duration; 3] = [Duration::from_millis(20), Duration::from_millis(200), Duration::ZERO];

/// Where the newest commit has left the store.
#[derive(Clone)]
struct Last {
    position: i64,
    /// Of that commit: after a server has lost it, its number is another's.
    id: ChangeSetId,
    /// The end of the audit log.
    head: Option<Row>,
}

/// The commits of this instance, in their turn.
#[derive(Default)]
pub(super) struct Commits {
    /// What is known of the last one; none where it must be asked for.
    last: Mutex<Option<Last>>,
    /// Those that are under way, and those whose answer was lost and that nobody has asked for yet.
    lost: std::sync::Mutex<BTreeSet<ChangeSetId>>,
}

/// What has become of a statement.
enum Sent {
    Committed(Committed),
    /// Others were first.
    Late,
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
    /// Commits; where the answer is lost, once more: it is the same commit, which is written once. Either the lost statement has
    /// taken place, or what is sent now takes its place.
    pub(super) async fn commit(
        &self,
        connections: &Connections,
        change_set: &ChangeSet,
    ) -> Result<Committed, CommitError> {
        let mut last = self.last.lock().await;
        // Whoever leaves in the middle leaves it in doubt.
        self.lost_ones().insert(change_set.id);
        let mut is_lost = false;
        for pause in PAUSES {
            let failure = match self.commit_once(connections, change_set, &mut last).await {
                Ok(committed) => return Ok(self.certain(change_set, committed)),
                Err(failure) => failure,
            };
            match failure.error {
                CommitError::Unknown => is_lost = true,
                // What is said of this try says nothing of the one before.
                _ if is_lost && !failure.is_answered => {}
                error => return Err(self.certain(change_set, error)),
            }
            // After a restart of the server all are as dead as this one.
            connections.forget_idle_writers();
            *last = None;
            sleep(pause).await;
        }
        Err(CommitError::Unknown)
    }

    /// It is known what became of a commit.
    fn certain<T>(&self, change_set: &ChangeSet, outcome: T) -> T {
        self.lost_ones().remove(&change_set.id);
        outcome
    }

    async fn commit_once(
        &self,
        connections: &Connections,
        change_set: &ChangeSet,
        last: &mut Option<Last>,
    ) -> Result<Committed, Failure> {
        let mut connection = connections.writer().await?;
        for _ in 0..FREE_TRIES {
            let known = match last.take() {
                Some(known) => known,
                None => read_last(connections).await?,
            };
            match self.send(&mut connection, change_set, known, last).await {
                Sent::Committed(committed) => return Ok(committed),
                Sent::Failed(error) => return Err(error),
                Sent::Late => {}
            }
        }
        self.commit_in_turn(&mut connection, change_set, last).await
    }

    async fn send(
        &self,
        connection: &mut Connection,
        change_set: &ChangeSet,
        known: Last,
        last: &mut Option<Last>,
    ) -> Sent {
        let sealed = match Sealed::new(change_set, known) {
            Ok(sealed) => sealed,
            Err(error) => return Sent::Failed(error.into()),
        };
        for is_last_try in [false, true] {
            match ask(connection, sealed.statement(change_set)).await {
                Ok(answers) => return sealed.settle(change_set, &answers, last),
                Err(Fault::Sql(problem)) if !is_last_try && error::is_forgotten(&problem) => connection.forget().await,
                Err(fault) => return Sent::Failed(failed(change_set, fault).into()),
            }
        }
        Sent::Late
    }

    /// Waits for all others, and makes those who come wait.
    async fn commit_in_turn(
        &self,
        connection: &mut Connection,
        change_set: &ChangeSet,
        last: &mut Option<Last>,
    ) -> Result<Committed, Failure> {
        let longest = connection.longest();
        let commits = async {
            let mut transaction = connection.get()?.begin().await?;
            sqlx::query("SELECT seq FROM lanes WHERE lane = 0 FOR UPDATE").fetch_all(&mut *transaction).await?;
            let known = last_of(&rows::fetch(&mut transaction, last_statement()).await?);
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
        };
        let answer = timeout(longest, commits).await;
        match connection.settle(answer) {
            Ok(Ok((sealed, answers))) => match sealed.settle(change_set, &answers, last) {
                Sent::Committed(committed) => Ok(committed),
                Sent::Failed(error) => Err(error),
                // Nobody can be first while the row is held.
                Sent::Late => Err(CommitError::Failed(Error::new(Reason::Corrupt, NO_LANE)).into()),
            },
            Ok(Err(error)) => Err(error.into()),
            Err(fault) => {
                connection.give_up();
                Err(failed(change_set, fault).into())
            }
        }
    }

    fn lost_ones(&self) -> std::sync::MutexGuard<'_, BTreeSet<ChangeSetId>> {
        self.lost.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether the answer to a commit of this instance was lost.
    pub(super) fn is_lost(&self, id: ChangeSetId) -> bool {
        self.lost_ones().contains(&id)
    }

    /// Sees to it that a commit whose answer was lost does not take place any more, if it has not: behind this one the number that it
    /// expects is past.
    pub(super) async fn fence(
        &self,
        connections: &Connections,
        fence: &ChangeSet,
        id: ChangeSetId,
    ) -> Result<(), CommitError> {
        self.commit(connections, fence).await?;
        self.lost_ones().remove(&id);
        Ok(())
    }
}

/// A commit in its place behind the last one.
struct Sealed {
    known: Last,
    ledger: Vec<Write>,
}

impl Sealed {
    fn new(change_set: &ChangeSet, known: Last) -> Result<Self, CommitError> {
        let ledger = ledger::rows_of(change_set, known.position + 1, known.head.clone())?;
        Ok(Self { known, ledger })
    }

    fn statement(&self, change_set: &ChangeSet) -> Result<statement::Commit, sqlx::Error> {
        let writes: Vec<&Write> = change_set.writes.iter().chain(&self.ledger).collect();
        statement::commit(
            change_set.id,
            (self.known.position, self.known.id),
            migrate::known(),
            &change_set.checks,
            &writes,
        )
    }

    /// What the answers come to; keeps where the store stands then.
    fn settle(self, change_set: &ChangeSet, answers: &[Answer], last: &mut Option<Last>) -> Sent {
        let committed = |position: i64| Committed { position: position.try_into().unwrap_or_default() };
        let own = change_set.checks.len() + change_set.writes.len();
        let stale_place = answers.iter().filter_map(|answer| match answer {
            Answer::Stale(place) => Some(*place),
            _ => None,
        });
        let stale_place = stale_place.min();
        for answer in answers {
            match answer {
                Answer::Before(position) => return Sent::Committed(committed(*position)),
                Answer::Schema(version) => {
                    let newer = migrate::require_known(*version).err();
                    return Sent::Failed(Failure::answered(
                        newer.map_or_else(|| stale(change_set, 0), CommitError::Failed),
                    ));
                }
                _ => {}
            }
        }
        if let Some(place) = stale_place.filter(|place| *place < own) {
            *last = Some(self.known).filter(|_| !answers.iter().any(|answer| matches!(answer, Answer::Moved(_))));
            return Sent::Failed(Failure::answered(stale(change_set, place)));
        }
        if answers.iter().any(|answer| matches!(answer, Answer::Moved(_))) {
            return Sent::Late;
        }
        if let Some(write) = stale_place.and_then(|place| self.ledger.get(place - own)) {
            return Sent::Failed(Failure::answered(ledger::taken(write)));
        }
        if !answers.contains(&Answer::Written) {
            return Sent::Failed(Failure::answered(CommitError::Failed(Error::new(Reason::Corrupt, NO_LANE))));
        }
        let position = self.known.position + 1;
        let head = self.ledger.into_iter().filter(|write| write.table.name == AuditHead::TABLE.name);
        let head = head.filter_map(|write| write.row).next_back().or(self.known.head);
        *last = Some(Last { position, id: change_set.id, head });
        Sent::Committed(committed(position))
    }
}

async fn ask(
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

async fn read_last(connections: &Connections) -> Result<Last, CommitError> {
    Ok(last_of(&connections.read(&last_statement()).await?)?)
}

/// What is to say of a statement without an answer.
fn failed(change_set: &ChangeSet, fault: Fault) -> CommitError {
    match fault {
        Fault::Sql(problem) if error::is_stale(&problem) => stale_by(change_set, &problem),
        Fault::Sql(problem) if !error::is_lost(&problem) => CommitError::Failed(error::error(problem)),
        Fault::Sql(_) | Fault::Silence => CommitError::Unknown,
    }
}

/// Gives the newest commit and the end of the audit log, of one moment.
fn last_statement() -> Statement {
    let key = Key(vec![Value::Int(ledger::LANE)]);
    let (head, values) = sql::by_keys(Dialect::Postgres, AuditHead::TABLE, &[&key]);
    let last = "SELECT lane.seq, (SELECT id FROM commits WHERE position = lane.seq) AS last, head.* \
                FROM (SELECT 1) AS one LEFT JOIN lanes AS lane ON lane.lane = 0";
    (format!("{last} LEFT JOIN ({head}) AS head ON true"), values)
}

fn last_of(rows: &[PgRow]) -> Result<Last, Error> {
    let nothing = ChangeSetId(Uuid::nil());
    let Some(row) = rows.first() else { return Ok(Last { position: 0, id: nothing, head: None }) };
    let number = |at: usize| row.try_get::<Option<i64>, _>(at).map_err(error::error);
    let head = number(2)?.map(|_| decode::decode([AuditHead::TABLE], row, 2)).transpose()?;
    let id = row.try_get::<Option<Uuid>, _>(1).map_err(error::error)?.map_or(nothing, ChangeSetId);
    Ok(Last { position: number(0)?.unwrap_or_default(), id, head })
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
    let written = change_set.writes.iter().position(|write| Some(write.table.name) == table);
    stale(change_set, written.map_or(0, |at| change_set.checks.len() + at))
}
