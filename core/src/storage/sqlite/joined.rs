//! A store on a connection of the application's own, in its transaction: what is written there is there when that commits, and nobody else
//! sees or hears of it before.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::{SqliteStorage, commit, error, query, reads, rows};
use crate::{
    model::{
        error::{Error, Reason, Result},
        id::ChangeSetId,
        record::{Key, Row, Table},
    },
    storage::{
        ChangeSet, Changes, CommitError, Committed, FeedPart, Position, Pruned, Query, Retention, Rows, Storage,
        ledger,
        lent::{Lent, refuse_of_all},
        sql::Tables,
        tables,
    },
};

/// What a connection was set to before.
pub struct Before {
    secure_delete: i64,
}

/// Sets a savepoint.
///
/// # Errors
/// [`Reason::InvalidInput`] where the connection is in no transaction, the file is no store, or temporary tables are called as the store's.
pub(crate) async fn enter(connection: &mut SqliteConnection) -> Result<Before> {
    let unfit = |message| Err(Error::new(Reason::InvalidInput, message));
    // A savepoint would begin a transaction, and its release commit it.
    if is_over(connection).await {
        return unfit("the connection is in no transaction: begin one, and join that");
    }
    let stores = "SELECT count(*) FROM main.sqlite_schema WHERE name = 'rolekeep_schema'";
    if rows::pragma(connection, stores).await.map_err(error::error)? == Some(0) {
        return unfit("the connection leads to a file that is no store");
    }
    if is_hidden(connection).await.map_err(error::error)? {
        return unfit("the connection has a temporary table or view that is called as one of the store's: drop it");
    }
    let entered = async {
        let secure_delete = rows::pragma(connection, "PRAGMA secure_delete").await?.unwrap_or_default();
        rows::pragma(connection, "PRAGMA secure_delete = ON").await?;
        run(connection, "SAVEPOINT rolekeep").await?;
        Ok(Before { secure_delete })
    };
    entered.await.map_err(error::error)
}

/// Whether a temporary table or view stands before one of the store's: SQLite looks for names there first.
async fn is_hidden(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let asked = "SELECT lower(name) FROM temp.sqlite_schema WHERE type IN ('table', 'view')";
    let temporary: Vec<String> = sqlx::query_scalar(asked).fetch_all(connection).await?;
    let is_ours = |name: &String| {
        let of = name.strip_suffix("_search").or_else(|| name.strip_suffix("_search_rows")).unwrap_or(name);
        name == "rolekeep_schema" || tables().iter().any(|table| table.name == of)
    };
    Ok(temporary.iter().any(is_ours))
}

/// Leaves the connection as it was, with all that was written, or nothing of it.
pub(crate) async fn leave(connection: &mut SqliteConnection, before: Before, keeps: bool) -> Result<()> {
    let is_over = is_over(connection).await;
    let left = async {
        if !keeps && !is_over {
            run(connection, "ROLLBACK TO rolekeep").await?;
        }
        if !is_over {
            run(connection, "RELEASE rolekeep").await?;
        }
        let secure_delete = match before.secure_delete {
            0 => "PRAGMA secure_delete = OFF",
            1 => "PRAGMA secure_delete = ON",
            _ => "PRAGMA secure_delete = FAST",
        };
        rows::pragma(connection, secure_delete).await.map(drop)
    };
    left.await.map_err(error::error)?;
    if is_over { Err(over()) } else { Ok(()) }
}

/// Whether SQLite has ended the transaction by itself, as it does on some errors, such as a full disk: a savepoint would begin another one,
/// and to release it would commit.
async fn is_over(connection: &mut SqliteConnection) -> bool {
    // Within a transaction none can begin.
    let has_begun = run(connection, "BEGIN").await.is_ok();
    if has_begun {
        let _ = run(connection, "ROLLBACK").await;
    }
    has_begun
}

fn over() -> Error {
    let message =
        "SQLite has ended the transaction because of an earlier error, and nothing of it is left: begin another one";
    Error::new(Reason::StorageUnavailable, message)
}

async fn run(connection: &mut SqliteConnection, text: &'static str) -> Result<(), sqlx::Error> {
    // Safe: one of those here.
    sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await.map(drop)
}

/// A store in a transaction of the application's.
pub(crate) struct JoinedStorage {
    lent: Lent<SqliteConnection>,
    tables: Tables,
}

impl SqliteStorage {
    /// This store, on a connection that was entered.
    pub(crate) fn joined(&self, lent: Lent<SqliteConnection>) -> JoinedStorage {
        JoinedStorage { lent, tables: Tables(self.tables.0.clone()) }
    }
}

#[async_trait]
impl Storage for JoinedStorage {
    async fn commit(&self, change_set: &ChangeSet) -> Result<Committed, CommitError> {
        change_set.validate()?;
        self.tables.require_all(change_set)?;
        refuse_of_all(change_set)?;
        let change_set = change_set.clone();
        let committed = self.lent.with(|connection| {
            Box::pin(async move {
                if is_over(connection).await {
                    return Err(over().into());
                }
                run(connection, "SAVEPOINT rolekeep_commit").await.map_err(error::error)?;
                let committed = commit::within(connection, &change_set).await;
                if committed.is_err() {
                    if is_over(connection).await {
                        return committed;
                    }
                    run(connection, "ROLLBACK TO rolekeep_commit").await.map_err(error::error)?;
                }
                run(connection, "RELEASE rolekeep_commit").await.map_err(error::error)?;
                committed
            })
        });
        committed.await?
    }

    async fn get(&self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        reads::get(&self.lent, &self.tables, table, keys).await
    }

    async fn query(&self, query: &Query) -> Result<Rows> {
        self.tables.require(query.table)?;
        self.tables.require(query.ordering())?;
        if !query.group_by.is_empty() {
            return reads::groups(&self.lent, &self.tables, query).await;
        }
        let (query, tables) = (query.clone(), Tables(self.tables.0.clone()));
        self.lent.with(|connection| Box::pin(async move { query::within(connection, &tables, &query).await })).await?
    }

    async fn position(&self) -> Result<Position> {
        let head = self.lent.with(|connection| Box::pin(rows::head(connection))).await?;
        Ok([head.map_err(error::error)?.newest].into_iter().collect())
    }

    async fn changes(&self, since: &Position, part: FeedPart) -> Result<Changes> {
        let head = self.lent.with(|connection| Box::pin(rows::head(connection))).await?;
        ledger::changes(self, since, head.map_err(error::error)?.newest, part).await
    }

    async fn outcome(&self, id: ChangeSetId) -> Result<Option<Committed>> {
        reads::outcome(self, &self.lent, id).await
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
