//! Two threads and two processes on one file race for the same rows: exactly one wins.

use crate::common;
use std::{
    io::{BufRead, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Stdio},
    sync::Barrier,
};

use crate::common::block_on;
use rolekeep::{
    internals::record::Record,
    storage::{
        CommitError, SqliteOptions, SqliteStorage, Storage, Write,
        conformance::{Item, change_set},
    },
};

const ROUNDS: u128 = 200;
const FILE: &str = "ROLEKEEP_TEST_FILE";
const RACER: &str = "ROLEKEEP_TEST_RACER";

async fn open(path: &Path) -> SqliteStorage {
    SqliteStorage::open_for_conformance(SqliteOptions::new(path).readers(1)).await.unwrap()
}

/// Whether this racer won, or what else happened.
type Won = Result<bool, String>;

/// Commits. No panic here: the other racer waits for this one.
async fn wins(storage: &SqliteStorage, number: u128, write: Write) -> Won {
    match storage.commit(&change_set(number, vec![write])).await {
        Ok(_) => Ok(true),
        Err(CommitError::Stale { .. }) => Ok(false),
        Err(error) => Err(format!("{error:?}")),
    }
}

/// Exactly one won; which.
fn winner(round: u128, one: &Won, two: &Won) -> u128 {
    match (one, two) {
        (Ok(true), Ok(false)) => 0,
        (Ok(false), Ok(true)) => 1,
        other => panic!("round {round}: {other:?}"),
    }
}

async fn insert(storage: &SqliteStorage, racer: u128, round: u128) -> Won {
    wins(storage, round * 100 + racer, Write::insert(&mut Item::new(round, &racer.to_string()))).await
}

/// Both have seen version 1.
async fn update(storage: &SqliteStorage, racer: u128, round: u128) -> Won {
    let mut item = Item { version: 1, ..Item::new(round, &format!("again {racer}")) };
    wins(storage, round * 100 + 10 + racer, Write::update(&mut item)).await
}

/// The row is the one that the winner wrote.
async fn check(storage: &SqliteStorage, round: u128, winner: u128) {
    let row = storage.get(Item::TABLE, &[Item::new(round, "").key()]).await.unwrap().pop().flatten().unwrap();
    assert_eq!(Item::from_row(row).unwrap().name, format!("again {winner}"));
}

#[test]
fn two_threads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let barrier = Barrier::new(2);
    let storages = [block_on(open(&path)), block_on(open(&path))];
    let race = |racer: u128, storage: &SqliteStorage| {
        let round = |round: u128| {
            barrier.wait();
            let inserted = block_on(insert(storage, racer, round));
            barrier.wait();
            (inserted, block_on(update(storage, racer, round)))
        };
        (0..ROUNDS).map(round).collect::<Vec<_>>()
    };
    let (one, two) = std::thread::scope(|scope| {
        let other = scope.spawn(|| race(1, &storages[1]));
        (race(0, &storages[0]), other.join().unwrap())
    });
    for (round, (one, two)) in (0..ROUNDS).zip(one.iter().zip(&two)) {
        winner(round, &one.0, &two.0);
        block_on(check(&storages[0], round, winner(round, &one.1, &two.1)));
    }
    assert_eq!(block_on(storages[1].position()).unwrap().number(0), 2 * ROUNDS as u64);
}

#[test]
fn two_processes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    // All three open the file, and one makes the tables.
    let mut racers = [Racer::start(&path, 0), Racer::start(&path, 1)];
    let storage = block_on(open(&path));
    for round in 0..ROUNDS {
        let [one, two] = race(&mut racers, &format!("insert {round}"));
        winner(round, &one, &two);
        // This process sees the commits of the others.
        assert_eq!(block_on(storage.position()).unwrap().number(0), 2 * round as u64 + 1);
        let [one, two] = race(&mut racers, &format!("update {round}"));
        block_on(check(&storage, round, winner(round, &one, &two)));
        assert_eq!(block_on(storage.position()).unwrap().number(0), 2 * round as u64 + 2);
    }
}

fn race(racers: &mut [Racer; 2], command: &str) -> [Won; 2] {
    racers.iter_mut().for_each(|racer| writeln!(racer.to, "{command}").unwrap());
    racers.each_mut().map(Racer::answer)
}

struct Racer {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Racer {
    fn start(path: &Path, racer: u32) -> Self {
        let mut command = common::this_test("race::racer");
        command.env(FILE, path).env(RACER, racer.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, to, from }
    }

    fn answer(&mut self) -> Won {
        loop {
            let mut line = String::new();
            assert!(self.from.read_line(&mut line).unwrap() > 0, "the racer died");
            // The test harness prints lines of its own.
            if let Some((_, answer)) = line.trim().split_once("won: ") {
                return answer.parse().map_err(|_| answer.to_owned());
            }
        }
    }
}

impl Drop for Racer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program of a racing process.
#[test]
#[ignore = "run by two_processes"]
fn racer() {
    let path = std::env::var_os(FILE).unwrap();
    let racer = std::env::var(RACER).unwrap().parse().unwrap();
    let storage = block_on(open(Path::new(&path)));
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let (command, round) = line.split_once(' ').unwrap();
        let round = round.parse().unwrap();
        let won = match command {
            "insert" => block_on(insert(&storage, racer, round)),
            _ => block_on(update(&storage, racer, round)),
        };
        println!("won: {}", won.map_or_else(|problem| problem, |won| won.to_string()));
    }
    block_on(storage.close()).unwrap();
}
