//! Several who want the same at once: exactly one has it (SEC-16). Two and 64 tasks of one store, in memory, on SQLite and on PostgreSQL,
//! and two processes on one SQLite file and on one PostgreSQL. 200 rounds each of two rivals, 20 of 64, or the part of them that `ROLEKEEP_TEST_PERCENT` says.

mod accounts;
mod credentials;

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

#[cfg(feature = "postgres")]
use rolekeep::storage::PostgresOptions;
use rolekeep::{
    Builder, Caller, Error, Policy, Reason, RequestContext, UserManagement, UsernameProfile, ffi,
    storage::{SqliteOptions, sqlite::Durability},
    users::ExternalIdentity,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cheap;

/// Says as JSON where the worker process works; without it the worker does nothing.
const WORKER_PLACE: &str = "ROLEKEEP_RACE_PLACE";

/// What more than one process can open.
#[derive(Clone, Serialize, Deserialize)]
enum Place {
    /// An SQLite file.
    File(PathBuf),
    /// A schema of a database.
    #[cfg(feature = "postgres")]
    Schema { url: String, name: String },
}

#[cfg(feature = "postgres")]
impl Place {
    /// A schema of the server that `scripts/areas/postgres` starts.
    fn on_the_server(name: &str) -> Self {
        Self::Schema { url: std::env::var("ROLEKEEP_POSTGRES").unwrap(), name: format!("races_{name}") }
    }
}

/// What each of the rivals does at once.
#[derive(Clone, Serialize, Deserialize)]
struct Deed {
    operation: String,
    input: Value,
    by: By,
}

/// Who does it.
#[derive(Clone, Serialize, Deserialize)]
enum By {
    System,
    Nobody,
    /// Who has this access token.
    Token(String),
    /// The host, which then acts as who stands for this subject of [`ISSUER`], whether it made that account or found it.
    HostOf(String),
}

const ISSUER: &str = "https://login.example.org";

impl Deed {
    fn new(operation: &str, input: Value, by: By) -> Self {
        Self { operation: operation.to_owned(), input, by }
    }

    async fn run(&self, um: &UserManagement) -> Result<String, Error> {
        let caller: Caller = match &self.by {
            By::System | By::HostOf(_) => um.system(),
            By::Nobody => um.anonymous(RequestContext::default()),
            By::Token(token) => um.authenticate(token, RequestContext::default()).await?,
        };
        let answer = ffi::call(&caller, &self.operation, &self.input.to_string()).await;
        if let By::HostOf(subject) = &self.by {
            let me = um.acting_as_identity(ISSUER, subject).await?.users().me().await?;
            assert_eq!(me.identities, [ExternalIdentity::new(ISSUER, subject.as_str())]);
        }
        answer
    }
}

/// How the other rivals are reached.
trait Rivals {
    /// How many there are.
    fn count(&self) -> usize {
        2
    }

    /// How often they meet.
    fn rounds(&self) -> usize {
        crate::kit::scaled(if self.count() > 2 { 20 } else { 200 }) as usize
    }

    /// All do their deed at the same time; the answers in the same order.
    async fn race(&mut self, um: &UserManagement, deeds: Vec<Deed>) -> Vec<String>;
}

/// So many tasks.
struct Tasks(usize);

impl Rivals for Tasks {
    fn count(&self) -> usize {
        self.0
    }

    async fn race(&mut self, um: &UserManagement, deeds: Vec<Deed>) -> Vec<String> {
        let spawn = |deed: Deed| {
            let um = um.clone();
            tokio::spawn(async move { word(deed.run(&um).await) })
        };
        let running: Vec<_> = deeds.into_iter().map(spawn).collect();
        let mut answers = Vec::new();
        for one in running {
            answers.push(one.await.unwrap());
        }
        answers
    }
}

/// This process and another one.
struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(place: &Place) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["races::worker", "--exact", "--nocapture", "--test-threads=1"])
            .env(WORKER_PLACE, serde_json::to_string(place).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut process = Self { child, input, output };
        process.answer("ready");
        process
    }

    /// The next line of the worker; the test harness says things of its own in between.
    fn answer(&mut self, prefix: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the worker ended");
            // The harness prints the test's name before the first line without a line end.
            if let Some(at) = line.find(&format!("@{prefix}")) {
                return line[at + prefix.len() + 1..].trim().to_owned();
            }
        }
    }
}

impl Rivals for Process {
    async fn race(&mut self, um: &UserManagement, deeds: Vec<Deed>) -> Vec<String> {
        let [here, there] = &deeds[..] else { panic!("they are two") };
        writeln!(self.input, "{}", serde_json::to_string(there).unwrap()).unwrap();
        self.input.flush().unwrap();
        let here = word(here.run(um).await);
        vec![here, tokio::task::block_in_place(|| self.answer("answer"))]
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `ok` and the answer, or why not.
fn word(result: Result<String, Error>) -> String {
    match result {
        Ok(answer) => format!("ok {answer}"),
        // No loser is told so: what it was has to be seen.
        Err(error) if error.reason() == Reason::StorageUnavailable => error.to_string(),
        Err(error) => error.reason().to_string(),
    }
}

fn is_ok(answer: &str) -> bool {
    answer.starts_with("ok ")
}

/// Exactly one has it, whose answer this gives, and the others are told why not, by one of these.
#[track_caller]
fn one_wins(round: usize, answers: &[String], losers: &[Reason]) -> Value {
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| is_ok(answer));
    // Of very many, some have been overtaken too often to be told more.
    let crowd = (answers.len() > 2).then_some(Reason::Contention);
    let is_told = |answer: &&String| losers.iter().chain(&crowd).any(|reason| reason.as_str() == *answer);
    assert!(won.len() == 1 && lost.iter().all(is_told), "round {round}: {answers:?}");
    won[0].strip_prefix("ok ").map_or(json!(null), |answer| serde_json::from_str(answer).unwrap())
}

fn on(builder: Builder, place: &Place) -> Builder {
    match place {
        // Who wins does not depend on how busy the disk is.
        Place::File(file) => {
            let options = SqliteOptions::new(file).durability(Durability::Normal);
            builder.sqlite_with(options.busy_timeout(Duration::from_secs(60)))
        }
        #[cfg(feature = "postgres")]
        Place::Schema { url, name } => builder.postgres_with(PostgresOptions::new(url).schema(name)),
    }
}

/// The settings of all processes.
fn builder() -> Builder {
    let config =
        cheap::config().username_profile(UsernameProfile::Precis).sign_in_tries(0).passkey_domain("example.org");
    cheap::builder().config(config).policy(Policy::preset("standard").unwrap())
}

/// The second process: does what it is told, line by line. It sends no mail.
#[tokio::test]
async fn worker() {
    let Ok(place) = std::env::var(WORKER_PLACE) else { return };
    let um = on(builder(), &serde_json::from_str(&place).unwrap()).open().await.unwrap();
    println!("\n@ready");
    for line in std::io::stdin().lines() {
        let deed: Deed = serde_json::from_str(&line.unwrap()).unwrap();
        println!("@answer {}", word(deed.run(&um).await));
    }
}
