//! Runs a command while a PostgreSQL of its own is there, whose URL is in `ROLEKEEP_POSTGRES`.
#![allow(clippy::expect_used, reason = "for tests, which panic where they fail")]

use std::process::{Command, ExitCode};

use rolekeep_postgres_tests::Cluster;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().expect("a command");
    let cluster = Cluster::start();
    drop(cluster.connect().await);
    let status = Command::new(program).args(arguments).env("ROLEKEEP_POSTGRES", cluster.url()).status();
    let code = status.expect("the command runs").code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}
