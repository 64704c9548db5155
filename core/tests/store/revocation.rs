//! What is revoked is revoked (SEC-6): on a real file, in two processes, while requests come and go.
//!
//! 100 users keep their callers in both processes. Each loses its role, its status or its session, while in both
//! processes other requests about the same users are under way, half of which are cancelled at random. After
//! the answer no check of the process that asked allows, after a second none of the other.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rolekeep::{
    Caller, Policy, Reason, UserId, UserManagement,
    roles::UnassignRole,
    sessions::RevokeAllSessions,
    storage::{SqliteOptions, sqlite::Durability},
    users::{CreateUser, SuspendUser},
};

use crate::{
    cheap,
    common::{drop_after, this_test},
};

const FILE: &str = "ROLEKEEP_REVOCATION_FILE";
const USERS: usize = 100;
/// One in so many has a session, which costs two hashes of a password.
const WITH_SESSION: usize = 5;
const CHECKS: usize = 100;
const PASSWORD: &str = "correct horse battery staple";
/// How long the other process may go on with what it knew.
const ELSEWHERE: Duration = Duration::from_secs(1);

async fn open(file: &Path) -> UserManagement {
    let options = SqliteOptions::new(file).durability(Durability::Normal);
    let policy = Policy::new().permissions(["document:edit"]).role("editor", ["document:edit"]);
    cheap::builder().policy(policy).sqlite_with(options).open().await.unwrap()
}

/// How often checks allowed, were refused for good, and were not answered for now.
#[derive(Default, Debug, PartialEq, Eq)]
struct Count {
    allowed: usize,
    refused: usize,
    unanswered: usize,
}

impl Count {
    fn check(&mut self, caller: &Caller) {
        match caller.can("document:edit", None) {
            Ok(true) => self.allowed += 1,
            Ok(false) => self.refused += 1,
            Err(error) if matches!(error.reason(), Reason::SessionEnded | Reason::AccountInactive) => self.refused += 1,
            Err(error) if matches!(error.reason(), Reason::NotLoaded | Reason::RightsStale) => self.unanswered += 1,
            Err(error) => panic!("{error:?}"),
        }
    }

    fn add(&mut self, other: &Self) {
        self.allowed += other.allowed;
        self.refused += other.refused;
        self.unanswered += other.unanswered;
    }
}

/// Requests about these users until it is told to stop, half of them dropped in their middle.
fn storm(um: &UserManagement, users: &[UserId]) -> (Arc<AtomicBool>, tokio::task::JoinHandle<usize>) {
    let is_over = Arc::new(AtomicBool::new(false));
    let (um, users, told) = (um.clone(), users.to_vec(), is_over.clone());
    let blowing = tokio::spawn(async move {
        let mut cancelled = 0;
        let mut random = fastrand::Rng::with_seed(7);
        loop {
            let requests = (0..48).map(|_| {
                let (um, user, kind) = (um.clone(), users[random.usize(..users.len())], random.u8(..4));
                let request = async move {
                    match kind {
                        0 => drop(um.refresh().await),
                        1 => drop(um.acting_as(user).await),
                        2 => drop(um.check(user, "document:edit", None).await),
                        _ => drop(um.system().users().get(user).await),
                    }
                };
                // Half of them where they wait for the first, second or third time.
                let polls = if random.bool() { random.u32(1..4) } else { u32::MAX };
                tokio::spawn(drop_after(request, polls))
            });
            for request in requests.collect::<Vec<_>>() {
                cancelled += usize::from(request.await.unwrap().is_none());
            }
            if told.load(Ordering::SeqCst) {
                return cancelled;
            }
        }
    });
    (is_over, blowing)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_6_what_is_acknowledged_is_in_force_here_and_after_a_second_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("revocation.db");
    let um = open(&file).await;
    let system = um.system();
    let mut held = Vec::new();
    let mut tokens = Vec::new();
    for at in 0..USERS {
        let email = format!("user{at}@example.org");
        let new = CreateUser::new(email.as_str()).roles(["editor"]);
        if at % WITH_SESSION == 0 {
            let user = system.users().create(new.password(PASSWORD)).await.unwrap();
            let login = um.login(&email, PASSWORD, Default::default()).await.unwrap().done().unwrap();
            let token = login.access_token.expose().to_owned();
            held.push((user.id, um.authenticate(&token, Default::default()).await.unwrap()));
            tokens.push(format!("{} {token}", user.id));
        } else {
            let user = system.users().create(new).await.unwrap();
            held.push((user.id, um.acting_as(user.id).await.unwrap()));
            tokens.push(format!("{} -", user.id));
        }
    }
    let mut neighbour = Neighbour::start(&file);
    tokens.iter().for_each(|line| neighbour.tell(line));
    neighbour.tell("begin");
    assert_eq!(neighbour.answer(), format!("{USERS} of {USERS} allowed"));

    let users: Vec<UserId> = held.iter().map(|(user, _)| *user).collect();
    let (is_over, blowing) = storm(&um, &users);
    let mut here = Count::default();
    for (at, (user, caller)) in held.iter().enumerate() {
        match at % WITH_SESSION {
            0 => system.sessions().revoke_all(RevokeAllSessions::new().user_id(*user)).await.unwrap(),
            1 | 3 => drop(system.users().suspend(SuspendUser::new(*user)).await.unwrap()),
            _ => system.roles().unassign(UnassignRole::new(*user, "editor")).await.unwrap(),
        }
        (0..CHECKS / 2).for_each(|_| here.check(caller));
        neighbour.tell(&format!("revoked {at}"));
    }
    tokio::time::sleep(ELSEWHERE).await;
    for (_, caller) in &held {
        (0..CHECKS / 2).for_each(|_| here.check(caller));
    }
    is_over.store(true, Ordering::SeqCst);
    let cancelled = blowing.await.unwrap();
    neighbour.tell("end");
    let there = neighbour.answer();
    println!("here {here:?}, there {there}, {cancelled} requests cancelled");
    assert_eq!((here.allowed, here.allowed + here.refused + here.unanswered), (0, USERS * CHECKS));
    assert!(here.refused > here.unanswered, "{here:?}");
    assert!(there.starts_with("0 allowed"), "{there}");
    assert!(cancelled > 0, "nothing was cancelled");
}

/// The other process.
struct Neighbour {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Neighbour {
    fn start(file: &Path) -> Self {
        let mut command = this_test("revocation::neighbour");
        let mut child = command.env(FILE, file).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
        self.input.flush().unwrap();
    }

    fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the other process ended");
            // The test harness prints lines of its own.
            if let Some((_, answer)) = line.trim().split_once("answer: ") {
                return answer.to_owned();
            }
        }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps a caller for each user that it is told of; checks each a second after it was told that it lost its rights.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the other process of a test"]
async fn neighbour() {
    let Some(file) = std::env::var_os(FILE) else { return };
    let um = open(Path::new(&file)).await;
    let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut held: Vec<(UserId, Caller)> = Vec::new();
    let mut checks = Vec::new();
    let mut storming = None;
    while let Some(line) = lines.recv().await {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["begin"] => {
                let mut count = Count::default();
                held.iter().for_each(|(_, caller)| count.check(caller));
                println!("\nanswer: {} of {} allowed", count.allowed, held.len());
                let users: Vec<UserId> = held.iter().map(|(user, _)| *user).collect();
                storming = Some(storm(&um, &users));
            }
            ["revoked", at] => {
                let caller = held[at.parse::<usize>().unwrap()].1.clone();
                checks.push(tokio::spawn(async move {
                    tokio::time::sleep(ELSEWHERE).await;
                    let mut count = Count::default();
                    (0..CHECKS).for_each(|_| count.check(&caller));
                    count
                }));
            }
            ["end"] => {
                let mut count = Count::default();
                for check in checks.drain(..) {
                    count.add(&check.await.unwrap());
                }
                let (is_over, blowing) = storming.take().unwrap();
                is_over.store(true, Ordering::SeqCst);
                let cancelled = blowing.await.unwrap();
                let Count { allowed, refused, unanswered } = count;
                println!(
                    "\nanswer: {allowed} allowed, {refused} refused, {unanswered} unanswered, {cancelled} cancelled"
                );
            }
            [user, "-"] => {
                let user = user.parse().unwrap();
                held.push((user, um.acting_as(user).await.unwrap()));
            }
            [user, token] => {
                held.push((user.parse().unwrap(), um.authenticate(token, Default::default()).await.unwrap()));
            }
            _ => panic!("{line}"),
        }
    }
}
