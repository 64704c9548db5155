//! What a session has to be like that a store relies on: what stands between may have made it another one.

use sqlx::{Row as _, postgres::PgConnection};

use super::{
    connections::{CONNECT, in_time},
    error, options,
};
use crate::{
    model::error::{Error, Reason, Result},
    storage::sql::quoted,
};

/// The oldest server.
const OLDEST: i32 = 130_000;

/// The server's version, such as 150003, the encoding of the database, and two settings of the session; the number of the server's
/// process, where the session lacks its options and the server knows a statement by the driver's name of it.
pub(super) type Server = (i32, String, String, String, Option<i32>);

pub(super) async fn server(connection: &mut PgConnection) -> Result<Server, sqlx::Error> {
    let asked = "SELECT current_setting('server_version_num')::integer, current_setting('server_encoding'), \
                 current_setting('search_path'), current_setting('synchronous_commit'), \
                 (SELECT pg_backend_pid() WHERE current_setting('enable_seqscan') = 'on' \
                  AND current_setting('rolekeep.lists', true) IS DISTINCT FROM 'on' \
                  AND EXISTS (SELECT FROM pg_prepared_statements WHERE name LIKE 'sqlx%'))";
    sqlx::query_as(asked).fetch_one(connection).await
}

/// Refuses a pooler that hands the server's connections around and leaves it to its clients to name their statements: all give them the
/// same names, and one's would be run for another. It shows where two of our connections lead to one of the server's.
pub(super) async fn require_own_statements(
    (.., process): &Server,
    other: impl Future<Output = Result<PgConnection>>,
) -> Result<()> {
    let Some(process) = process else { return Ok(()) };
    let mut other = other.await?;
    // Not prepared.
    let asked = in_time(CONNECT, sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(&mut other)).await?;
    if asked.try_get::<i32, _>(0).map_err(error::error)? == *process { Err(shared_statements()) } else { Ok(()) }
}

fn shared_statements() -> Error {
    let message = "a pooler in between does not keep track of prepared statements: have it do so (PgBouncer 1.21 or later, \
                   `max_prepared_statements`), or keep connections to sessions";
    Error::new(Reason::ConfigInvalid, message)
}

/// Refuses a new connection to a replica whose lists would be of other tables, or somebody else's.
pub(super) async fn require_fit_for_lists(
    made: &mut PgConnection,
    schema: &str,
    other: impl Future<Output = Result<PgConnection>>,
) -> Result<()> {
    let server = server(made).await.map_err(|problem| match error::state(&problem).as_deref() {
        // Its first statement, and somebody's is called so already.
        Some("42P05") => shared_statements(),
        _ => error::error(problem),
    })?;
    require_path(&server, schema)?;
    require_own_statements(&server, other).await
}

fn require_path((_, _, path, ..): &Server, schema: &str) -> Result<()> {
    let is_ours = |path: &str| path.replace(' ', "") == options::search_path(schema).replace(' ', "");
    // The server writes a name in quotes that is one of its words.
    if is_ours(path) || is_ours(&path.replacen(&quoted(schema), schema, 1)) {
        return Ok(());
    }
    let message = format!(
        "the connection does not have the options it was made with: its `search_path` is not `{}`; a pooler in between has to let them \
         pass, or the account has to be given them",
        options::search_path(schema)
    );
    Err(Error::new(Reason::ConfigInvalid, message))
}

pub(super) fn require_fit(server: &Server, schema: &str) -> Result<()> {
    require_path(server, schema)?;
    let (version, encoding, _, durable, _) = server;
    let version = *version;
    if durable == "off" {
        let message =
            "`synchronous_commit` is off for this account, so that acknowledged commits may be lost: turn it on";
        return Err(Error::new(Reason::ConfigInvalid, message));
    }
    if version < OLDEST {
        let message = format!("PostgreSQL {} or newer is needed; this one is {}", OLDEST / 10_000, version / 10_000);
        return Err(Error::new(Reason::ConfigInvalid, message));
    }
    if encoding != "UTF8" {
        let message = format!("the database has the encoding {encoding}; make one with UTF8");
        return Err(Error::new(Reason::ConfigInvalid, message));
    }
    Ok(())
}
