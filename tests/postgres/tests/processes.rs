//! Three processes on one database under random load, of which one is killed every now and then: nothing that was acknowledged is lost, the
//! audit log is whole, and what one takes away the others refuse within a second.
//!
//! `ROLEKEEP_STORM_SECONDS=600` for more.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests panic where they fail, and measure real time"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rolekeep::{
    Caller, Policy, Reason, UserId, UserManagement,
    audit::VerifyAudit,
    roles::{AssignRole, UnassignRole},
    storage::PostgresOptions,
    users::{CreateUser, ListUsers, UpdateUser},
};
use rolekeep_postgres_tests::Cluster;

/// The URL of the database, for a process of these.
const URL: &str = "STORM_URL";
const PROCESSES: usize = 3;
/// So many requests at a time in each of them.
const TASKS: u64 = 1;
/// So many users keep callers in each of them.
const USERS: usize = 24;
/// How long a right may be used that was taken elsewhere.
const LONGEST: Duration = Duration::from_secs(1);

fn seconds() -> u64 {
    std::env::var("ROLEKEEP_STORM_SECONDS").map_or(10, |seconds| seconds.parse().unwrap())
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

async fn open(url: &str) -> UserManagement {
    let policy = Policy::new().permissions(["document:edit"]).role("editor", ["document:edit"]);
    UserManagement::builder().policy(policy).postgres_with(PostgresOptions::new(url)).open().await.unwrap()
}

fn email(number: usize) -> String {
    format!("user{number}@example.org")
}

/// The users that all know, in their order.
async fn known(um: &UserManagement) -> Vec<UserId> {
    let mut known = Vec::new();
    for number in 0..USERS {
        let found = um.system().users().list(ListUsers::new().search(email(number))).await.unwrap();
        known
            .extend(found.items.iter().find(|user| user.email.as_deref() == Some(&*email(number))).map(|user| user.id));
    }
    known
}

/// Says something to the process that started this one.
fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever is gone hears nothing.
    let _ = writeln!(out, "storm {what}").and_then(|()| out.flush());
}

/// Looks at the rights of all, without a pause: says when one comes or goes, and when it was there last.
async fn watch(callers: Vec<Caller>) {
    let mut was = vec![(None, Duration::ZERO); callers.len()];
    loop {
        for (number, (caller, (was, last))) in callers.iter().zip(&mut was).enumerate() {
            // Before it asks: however long it is kept from going on, the answer is of later.
            let asked = now();
            let is = match caller.can("document:edit", None) {
                Ok(is) => is,
                // Refused, as nobody knows.
                Err(error) => {
                    assert!(matches!(error.reason(), Reason::RightsStale | Reason::NotLoaded), "{error:?}");
                    false
                }
            };
            if is {
                *last = asked;
            }
            if *was != Some(is) {
                *was = Some(is);
                say(&format!("right {number} {} {}", u8::from(is), last.as_micros()));
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Makes accounts, and changes those that all know.
async fn work(um: UserManagement, users: Vec<UserId>, seed: u64) {
    let mut dice = fastrand::Rng::with_seed(seed);
    for number in 0_u64.. {
        match dice.u8(..3) {
            0 => {
                let new = CreateUser::new(format!("new{seed}-{number}@example.org"));
                match um.system().users().create(new).await {
                    Ok(user) => say(&format!("made {}", user.id)),
                    Err(error) => require_passing(&error),
                }
            }
            _ => {
                let user = users[dice.usize(..users.len())];
                let name = format!("name-{seed}-{number}");
                match um.system().users().update(UpdateUser::new(user).last_name(name.clone())).await {
                    Ok(changed) => say(&format!("named {} {} {name}", changed.user.id, changed.user.version)),
                    Err(error) => require_passing(&error),
                }
            }
        }
    }
}

fn require_passing(error: &rolekeep::Error) {
    let passing = [Reason::Contention, Reason::StorageUnavailable, Reason::OutcomeUnknown];
    assert!(passing.contains(&error.reason()), "{error:?}");
}

/// One of the processes; started by the test below.
#[test]
fn process() {
    let Ok(url) = std::env::var(URL) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let um = open(&url).await;
        let users = known(&um).await;
        let mut callers = Vec::new();
        for user in &users {
            callers.push(um.acting_as(*user).await.unwrap());
        }
        let watching = tokio::spawn(watch(callers));
        let seed = u64::from(std::process::id());
        let works = (0..TASKS).map(|task| tokio::spawn(work(um.clone(), users.clone(), seed * 10 + task)));
        let works: Vec<_> = works.collect();
        say("begun");
        watching.await.unwrap();
        for work in works {
            work.await.unwrap();
        }
    });
}

struct Process {
    child: Child,
}

impl Process {
    fn start(url: &str, number: usize, heard: &mpsc::Sender<(usize, String)>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "process", "--nocapture"]).env(URL, url).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (lines, heard) = (BufReader::new(child.stdout.take().unwrap()).lines(), heard.clone());
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some((_, said)) = line.split_once("storm ") {
                    let _ = heard.send((number, said.to_owned()));
                }
            }
        });
        Self { child }
    }

    /// Ends it at once, in the middle of whatever it does.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What was heard of the others.
#[derive(Default)]
struct Heard {
    begun: BTreeSet<usize>,
    made: BTreeSet<String>,
    /// By user and version, the name that it was given.
    named: BTreeMap<(String, i64), String>,
    /// By process and user: whether it may, and when it was last answered that it may.
    rights: BTreeMap<(usize, usize), (bool, Duration)>,
}

impl Heard {
    fn take(&mut self, (process, said): (usize, String)) {
        let words: Vec<&str> = said.split(' ').collect();
        match words[..] {
            ["begun"] => drop(self.begun.insert(process)),
            ["made", id] => drop(self.made.insert(id.to_owned())),
            ["named", id, version, name] => {
                let before = self.named.insert((id.to_owned(), version.parse().unwrap()), name.to_owned());
                assert!(before.is_none(), "two changes of {id} were acknowledged as version {version}: one is lost");
            }
            ["right", user, is, at] => {
                let at = Duration::from_micros(at.parse().unwrap());
                self.rights.insert((process, user.parse().unwrap()), (is == "1", at));
            }
            _ => panic!("{said}"),
        }
    }

    /// Listens until something is so.
    async fn until(
        &mut self,
        from: &mpsc::Receiver<(usize, String)>,
        longest: Duration,
        is_so: impl Fn(&Self) -> bool,
    ) -> bool {
        let end = now() + longest;
        loop {
            while let Ok(said) = from.try_recv() {
                self.take(said);
            }
            if is_so(self) || now() > end {
                return is_so(self);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn all_say(&self, user: usize, is: bool) -> bool {
        self.begun.iter().all(|process| self.rights.get(&(*process, user)).is_some_and(|(says, _)| *says == is))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_are_killed_lose_nothing_and_what_is_taken_is_refused_everywhere() {
    let cluster = Cluster::start();
    cluster.connect().await;
    let url = cluster.url();
    let um = open(&url).await;
    for number in 0..USERS {
        um.system().users().create(CreateUser::new(email(number)).roles(["editor"])).await.unwrap();
    }
    let users = known(&um).await;
    assert_eq!(users.len(), USERS);
    let (says, said) = mpsc::channel();
    let mut processes: Vec<Process> = (0..PROCESSES).map(|number| Process::start(&url, number, &says)).collect();
    let (mut heard, mut took, mut kills) = (Heard::default(), Vec::new(), 0);
    let mut dice = fastrand::Rng::with_seed(7);
    let patience = Duration::from_secs(60);
    assert!(heard.until(&said, patience, |heard| heard.begun.len() == PROCESSES).await, "they begin");
    let (end, mut next_kill) = (now() + Duration::from_secs(seconds()), now() + Duration::from_secs(2));
    while now() < end {
        let user = dice.usize(..USERS);
        // However late it is heard: how long it took is told by the times that the processes say.
        assert!(heard.until(&said, patience, |heard| heard.all_say(user, true)).await, "{user} may, and is told so");
        let unassign = UnassignRole::new(users[user], "editor");
        if let Err(error) = um.system().roles().unassign(unassign).await {
            require_passing(&error);
            continue;
        }
        let taken = now();
        assert!(heard.until(&said, patience, |heard| heard.all_say(user, false)).await, "{user} is refused everywhere");
        let refused = heard.rights.iter().filter(|((_, of), _)| *of == user).map(|(_, (_, at))| *at);
        took.push(refused.max().unwrap_or_default().saturating_sub(taken));
        loop {
            match um.system().roles().assign(AssignRole::new(users[user], "editor")).await {
                Ok(_) => break,
                Err(error) => require_passing(&error),
            }
        }
        if now() > next_kill {
            let number = dice.usize(..PROCESSES);
            processes[number].kill();
            kills += 1;
            // What it had said is heard; what it says again it says anew.
            heard.until(&said, Duration::from_millis(50), |_| false).await;
            heard.begun.remove(&number);
            heard.rights.retain(|(process, _), _| *process != number);
            processes[number] = Process::start(&url, number, &says);
            let all = |heard: &Heard| heard.begun.len() == PROCESSES;
            assert!(heard.until(&said, patience, all).await, "it begins again");
            next_kill = now() + Duration::from_secs(2);
        }
    }
    processes.iter_mut().for_each(Process::kill);
    heard.until(&said, Duration::from_millis(200), |_| false).await;

    let mut there = BTreeSet::new();
    let system = um.system();
    let mut all = system.all(ListUsers::new());
    while let Some(user) = all.next().await.unwrap() {
        // The newest change that was acknowledged, or a later one.
        let id = user.id.to_string();
        let versions = (id.clone(), 0)..=(id.clone(), i64::MAX);
        if let Some(((_, version), name)) = heard.named.range(versions).next_back() {
            assert!(user.version >= *version, "{user:?} lost {name}, version {version}");
            assert!(user.version > *version || user.last_name.as_ref() == Some(name), "{user:?} has not {name}");
        }
        there.insert(id);
    }
    let lost: Vec<_> = heard.made.difference(&there).collect();
    assert!(lost.is_empty(), "acknowledged and not there: {lost:?}");
    let found = system.audit().verify(VerifyAudit::new()).await.unwrap();
    assert!(found.is_whole, "{found:?}");
    took.sort();
    let at = |part: usize| took[(took.len() * part / 100).min(took.len() - 1)];
    println!(
        "{} accounts and {} changes acknowledged and there, {kills} processes killed; of {} rights that were taken half were refused by \
         all within {:?}, 99 of 100 within {:?}, all within {:?}",
        heard.made.len(),
        heard.named.len(),
        took.len(),
        at(50),
        at(99),
        at(100)
    );
    assert!(kills > 0 && !took.is_empty() && heard.made.len() > 20 && heard.named.len() > 20);
    assert!(at(100) <= LONGEST, "{:?}", at(100));
}
