//! A store on a connection of the application's own, in its transaction: what is written there is there when that commits, and nobody else
//! sees or hears of it before.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use sqlx::{
    AssertSqlSafe, Row as _,
    postgres::{PgConnection, PgRow},
};

use super::{
    PostgresStorage, commit, connections, error, fit,
    lane::Last,
    options,
    reads::{Reader, Reads},
    rows::{self, QueryPlan},
};
use crate::{
    model::{
        error::{Error, Reason, Result},
        id::ChangeSetId,
        record::{Key, Row, Table},
    },
    storage::{
        BatchRead, ChangeSet, Changes, CommitError, Committed, FeedPart, Position, Pruned, Query, Retention, Rows,
        Storage, ledger,
        lent::{Lent, refuse_of_all},
        sql::{Tables, dialect::Statement},
    },
};

/// What a connection was set to before.
pub struct Before {
    search_path: String,
    lock_timeout: String,
}

/// Sets a savepoint, and has the connection find the store's tables.
///
/// # Errors
/// [`Reason::InvalidInput`] where it is in no transaction.
pub(crate) async fn enter(connection: &mut PgConnection, storage: &PostgresStorage) -> Result<Before> {
    run(connection, "SAVEPOINT rolekeep").await.map_err(|problem| match error::state(&problem).as_deref() {
        Some("25P01") => {
            Error::new(Reason::InvalidInput, "the connection is in no transaction: begin one, and join that")
        }
        _ => error::error(problem),
    })?;
    let text = "WITH before AS MATERIALIZED (SELECT current_setting('search_path') AS path, current_setting('lock_timeout') AS waits) \
                SELECT path, waits, set_config('search_path', $1, true), set_config('lock_timeout', $2, true) FROM before";
    let longest = storage.statement_timeout.as_millis().to_string();
    let set = sqlx::query(text).bind(options::search_path(&storage.schema)).bind(longest).fetch_one(connection).await;
    let before = |row: PgRow| Ok(Before { search_path: row.try_get(0)?, lock_timeout: row.try_get(1)? });
    set.and_then(before).map_err(error::error)
}

/// Leaves the connection as it was, with all that was written, or nothing of it.
pub(crate) async fn leave(connection: &mut PgConnection, before: Before, keeps: bool) -> Result<()> {
    let kept = match keeps {
        true => keep(connection, before).await,
        false => Ok(()),
    };
    if !keeps || kept.is_err() {
        // Settings go back with what was written. A statement that failed has PostgreSQL refuse all others until then, and a commit would be
        // none.
        let undone = run(connection, "ROLLBACK TO SAVEPOINT rolekeep; RELEASE SAVEPOINT rolekeep").await;
        kept.and(undone).map_err(error::error)?;
    }
    Ok(())
}

async fn keep(connection: &mut PgConnection, before: Before) -> Result<(), sqlx::Error> {
    let text = "SELECT set_config('search_path', $1, true), set_config('lock_timeout', $2, true)";
    let set = sqlx::query(text).bind(before.search_path).bind(before.lock_timeout);
    set.fetch_one(&mut *connection).await?;
    run(connection, "RELEASE SAVEPOINT rolekeep").await
}

async fn run(connection: &mut PgConnection, text: &'static str) -> Result<(), sqlx::Error> {
    // Safe: one of those above.
    sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await.map(drop)
}

/// A store in a transaction of the application's.
pub(crate) struct JoinedStorage {
    lent: Lent<PgConnection>,
    tables: Tables,
    /// The lanes that this instance uses otherwise.
    others: Vec<u16>,
    /// Where the lane of this transaction ends, once it has one.
    last: Arc<Mutex<Option<Last>>>,
}

impl PostgresStorage {
    /// This store, on a connection that was entered.
    pub(crate) fn joined(&self, lent: Lent<PgConnection>) -> JoinedStorage {
        JoinedStorage {
            lent,
            tables: Tables(self.tables.0.clone()),
            others: self.commits.lanes(),
            last: Arc::default(),
        }
    }
}

impl JoinedStorage {
    fn reads(&self) -> Reads<'_, Lent<PgConnection>> {
        Reads { reader: &self.lent, tables: &self.tables }
    }
}

impl Reader for Lent<PgConnection> {
    async fn read_by(&self, statement: &Statement, plan: QueryPlan) -> Result<Vec<PgRow>> {
        let statement = statement.clone();
        let rows = self.with(move |connection| Box::pin(rows::fetch(connection, statement, plan))).await?;
        rows.map_err(error::error)
    }

    fn meet_standby(&self) -> Result<()> {
        Err(connections::standby())
    }
}

#[async_trait]
impl Storage for JoinedStorage {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        change_set.validate()?;
        self.tables.require_all(change_set)?;
        refuse_of_all(change_set)?;
        let change_set: ChangeSet = fit(change_set).map(Cow::into_owned)?;
        let (others, last) = (self.others.clone(), self.last.clone());
        let committed = self.lent.with(|connection| {
            Box::pin(async move {
                let of_last = || last.lock().unwrap_or_else(PoisonError::into_inner);
                let mut known = of_last().take();
                let committed = commit::within(connection, &change_set, &mut known, &others).await;
                *of_last() = known;
                committed
            })
        });
        committed.await?
    }

    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        self.reads().get(table, keys).await
    }

    async fn query(&self, query: &Query) -> Result<Rows> {
        self.reads().query(query).await
    }

    async fn read_batch(&self, batch: &[BatchRead]) -> Result<Vec<Vec<Row>>> {
        self.reads().batch(batch).await
    }

    async fn position(&self) -> Result<Position> {
        self.reads().position().await
    }

    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        self.reads().changes(since, part).await
    }

    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        match self.reads().line(id).await? {
            Some(committed) => Ok(Some(committed)),
            None => ledger::outcome_of_missing(id, self.reads().oldest(1).await?),
        }
    }

    /// Not in a transaction of somebody else.
    async fn prune(&self, _: &Retention) -> Result<Pruned> {
        Ok(Pruned::default())
    }

    /// Not in a transaction of somebody else.
    async fn scrub(&self) -> Result<bool> {
        Ok(false)
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}
