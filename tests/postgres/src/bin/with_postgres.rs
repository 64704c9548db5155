//! Runs a command while a PostgreSQL of its own is there, whose URL is in `ROLEKEEP_POSTGRES`, and the folder of its socket in
//! `ROLEKEEP_POSTGRES_SOCKET`.
#![allow(clippy::expect_used, reason = "for tests, which panic where they fail")]

use std::process::{Command, ExitCode};

use rolekeep_postgres_tests::Cluster;

/// Beside `postgres`, who may everything: one that needs its password, and one that may make nothing.
const ACCOUNTS: &str = "
    CREATE ROLE guarded LOGIN PASSWORD 'correct horse';
    GRANT CREATE ON DATABASE postgres TO guarded;
    CREATE ROLE guest LOGIN;
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().expect("a command");
    let cluster = Cluster::start();
    let mut connection = cluster.connect().await;
    sqlx::raw_sql(ACCOUNTS).execute(&mut connection).await.expect("the accounts are made");
    drop(connection);
    let mut command = Command::new(program);
    command.args(arguments).env("ROLEKEEP_POSTGRES", cluster.url()).env("ROLEKEEP_POSTGRES_SOCKET", cluster.folder());
    let status = command.status();
    let code = status.expect("the command runs").code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}
