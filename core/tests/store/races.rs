//! Two who want the same at once: exactly one has it (USR-1, USR-5, USR-6, AUT-17, SEC-16). Two threads on one
//! store, in memory and on SQLite, and two processes on one SQLite file; 200 rounds each.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use rolekeep::{
    Error, Policy, Reason, UserId, UserManagement,
    regions::CreateRegion,
    storage::{SqliteOptions, sqlite::Durability},
    users::{ActivateUser, CreateUser, DeactivateUser, ExternalIdentity, UpdateUser},
};

use crate::cheap;

const ROUNDS: usize = 200;
const ISSUER: &str = "https://login.example.org";
/// Names the file on which the worker process works; without it the worker does nothing.
const WORKER_FILE: &str = "ROLEKEEP_RACE_FILE";

/// What both rivals do at once.
#[derive(Clone)]
enum Deed {
    Create {
        email: String,
        username: String,
    },
    Update {
        id: UserId,
        version: i64,
        name: String,
    },
    Deactivate {
        id: UserId,
    },
    /// Comes with an identity that its host has verified, and has an account made where there is none.
    Come {
        subject: String,
    },
}

impl Deed {
    async fn run(&self, um: &UserManagement) -> Result<(), Error> {
        let system = um.system();
        match self {
            Deed::Come { subject } => {
                let created = system.users().create(CreateUser::external(ISSUER, subject.as_str())).await.map(drop);
                // First or not, there is an account now.
                let me = um.acting_as_identity(ISSUER, subject).await?.users().me().await?;
                assert_eq!(me.identities, [ExternalIdentity::new(ISSUER, subject.as_str())]);
                created
            }
            Deed::Create { email, username } => {
                system.users().create(CreateUser::new(email.as_str()).username(username.as_str())).await.map(drop)
            }
            Deed::Update { id, version, name } => {
                let change = UpdateUser::new(*id).expected_version(*version).full_name(name.as_str());
                system.users().update(change).await.map(drop)
            }
            Deed::Deactivate { id } => system.users().deactivate(DeactivateUser::new(*id)).await.map(drop),
        }
    }

    fn to_line(&self) -> String {
        match self {
            Deed::Create { email, username } => format!("create {email} {username}"),
            Deed::Update { id, version, name } => format!("update {id} {version} {name}"),
            Deed::Deactivate { id } => format!("deactivate {id}"),
            Deed::Come { subject } => format!("come {subject}"),
        }
    }

    fn from_line(line: &str) -> Self {
        match *line.split(' ').collect::<Vec<_>>() {
            ["create", email, username] => Deed::Create { email: email.into(), username: username.into() },
            ["update", id, version, name] => {
                Deed::Update { id: id.parse().unwrap(), version: version.parse().unwrap(), name: name.into() }
            }
            ["come", subject] => Deed::Come { subject: subject.into() },
            ["deactivate", id] => Deed::Deactivate { id: id.parse().unwrap() },
            _ => panic!("{line}"),
        }
    }
}

/// How the second rival is reached.
trait Rival {
    /// Both do their deed at the same time; the answers as words, the first rival's first.
    async fn race(&mut self, um: &UserManagement, first: Deed, second: Deed) -> [String; 2];
}

struct Thread;

impl Rival for Thread {
    async fn race(&mut self, um: &UserManagement, first: Deed, second: Deed) -> [String; 2] {
        let spawn = |deed: Deed| {
            let um = um.clone();
            tokio::spawn(async move { word(deed.run(&um).await) })
        };
        let (first, second) = (spawn(first), spawn(second));
        [first.await.unwrap(), second.await.unwrap()]
    }
}

struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(file: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["races::worker", "--exact", "--nocapture", "--test-threads=1"])
            .env(WORKER_FILE, file)
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

impl Rival for Process {
    async fn race(&mut self, um: &UserManagement, first: Deed, second: Deed) -> [String; 2] {
        writeln!(self.input, "{}", second.to_line()).unwrap();
        self.input.flush().unwrap();
        let first = word(first.run(um).await);
        let second = tokio::task::block_in_place(|| self.answer("answer"));
        [first, second]
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn word(result: Result<(), Error>) -> String {
    result.map_or_else(|error| error.reason().to_string(), |()| "ok".to_owned())
}

/// Exactly one "ok", and the other is told why.
#[track_caller]
fn one_wins(round: usize, answers: [String; 2], loser: Reason) {
    let mut sorted = answers.clone();
    sorted.sort_by_key(|answer| answer != "ok");
    assert_eq!(sorted, ["ok", loser.as_str()], "round {round}: {answers:?}");
}

async fn all_races(um: UserManagement, mut rival: impl Rival) {
    let users = |email: &str| CreateUser::new(email);
    let system = um.system();
    for round in 0..ROUNDS {
        let deed = |who: &str| Deed::Create {
            email: format!("{who}{round}@example.org"),
            // The same name in two spellings.
            username: if who == "a" { format!("Racer_{round}") } else { format!("racer_{round}") },
        };
        let answers = rival.race(&um, deed("a"), deed("b")).await;
        one_wins(round, answers, Reason::Taken);
    }

    for round in 0..ROUNDS {
        let deed = || Deed::Come { subject: format!("subject-{round}") };
        let answers = rival.race(&um, deed(), deed()).await;
        one_wins(round, answers, Reason::Taken);
    }

    let ada = system.users().create(users("ada@example.org")).await.unwrap();
    for round in 0..ROUNDS {
        let version = system.users().get(ada.id).await.unwrap().version;
        let deed = |who: &str| Deed::Update { id: ada.id, version, name: format!("{who}{round}") };
        let answers = rival.race(&um, deed("first"), deed("second")).await;
        one_wins(round, answers, Reason::VersionStale);
        assert_eq!(system.users().get(ada.id).await.unwrap().version, version + 1);
    }

    let one = system.users().create(users("one@example.org").roles(["admin"])).await.unwrap();
    let two = system.users().create(users("two@example.org").roles(["admin"])).await.unwrap();
    for round in 0..ROUNDS {
        let answers = rival.race(&um, Deed::Deactivate { id: one.id }, Deed::Deactivate { id: two.id }).await;
        one_wins(round, answers, Reason::LastAdministrator);
        for id in [one.id, two.id] {
            system.users().activate(ActivateUser::new(id)).await.unwrap();
        }
    }
    assert!(system.audit().verify().await.unwrap().is_whole);
}

async fn open(file: &Path) -> UserManagement {
    let options = SqliteOptions::new(file).durability(Durability::Normal);
    let policy = Policy::preset("standard").unwrap();
    cheap::builder().policy(policy).sqlite_with(options).open().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_16_two_threads_in_memory() {
    all_races(cheap::builder().open().await.unwrap(), Thread).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_16_two_threads_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    all_races(open(&folder.path().join("race.db")).await, Thread).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_16_two_processes_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("race.db");
    let um = open(&file).await;
    all_races(um, Process::start(&file)).await;
}

/// A region goes while somebody joins it: whoever is first, nobody is left in a region that is not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_4_nobody_joins_a_region_that_goes() {
    let folder = tempfile::tempdir().unwrap();
    let um = open(&folder.path().join("region.db")).await;
    let mut joined = 0;
    for round in 0..100 {
        let code = format!("region-{round}");
        um.system().regions().create(CreateRegion::new(code.as_str(), "A region")).await.unwrap();
        let join = {
            let (um, code) = (um.clone(), code.clone());
            let new = CreateUser::new(format!("ada{round}@example.org")).region(code);
            tokio::spawn(async move { um.system().users().create(new).await })
        };
        let leave = {
            let um = um.clone();
            tokio::spawn(async move { um.system().regions().delete(code.as_str()).await })
        };
        leave.await.unwrap().unwrap();
        match join.await.unwrap() {
            Ok(user) => {
                joined += 1;
                assert_eq!(um.system().users().get(user.id).await.unwrap().region_id, None, "round {round}");
            }
            Err(error) => assert_eq!(error.reason(), Reason::InvalidInput, "round {round}: {error}"),
        }
    }
    assert!(joined > 0, "nobody ever joined first");
}

/// The second process: does what it is told, line by line.
#[tokio::test]
async fn worker() {
    let Some(file) = std::env::var_os(WORKER_FILE) else { return };
    let um = open(Path::new(&file)).await;
    println!("\n@ready");
    for line in std::io::stdin().lines() {
        let answer = word(Deed::from_line(&line.unwrap()).run(&um).await);
        println!("@answer {answer}");
    }
}
