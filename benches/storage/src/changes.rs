//! A change that one process makes until another one, on the same SQLite file, sees it.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rolekeep::{
    Reason, UserId, UserManagement,
    roles::{AssignRole, UnassignRole},
};
use rolekeep_lab::{Edit, Workload, stored::Change};
use serde::{Deserialize, Serialize};

/// What is not seen by then is never seen.
const PATIENCE: Duration = Duration::from_secs(20);
/// The other process asks again after so long.
const PAUSE: Duration = Duration::from_millis(1);
/// It looks for changes by itself so often: rounds begin anywhere in between.
const POLL_MILLIS: u64 = 200;

/// What the other process is to wait for.
#[derive(Serialize, Deserialize)]
struct Watch {
    user: UserId,
    permission: String,
    wanted: bool,
    asks: Asks,
}

/// How the other process asks, each 1 ms after the last answer.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum Asks {
    /// By `can` of a caller whom it keeps: from memory.
    Can,
    /// By `check`, from memory; and by `check_async` where the user is not there, which it is not after a change.
    Check,
    /// By `check_async`, which looks for changes first.
    CheckAsync,
}

impl Asks {
    const ALL: [Self; 3] = [Self::Can, Self::Check, Self::CheckAsync];

    fn name(self) -> &'static str {
        match self {
            Asks::Can => "can",
            Asks::Check => "check",
            Asks::CheckAsync => "check_async",
        }
    }
}

/// Measures so many rounds, by each way to ask.
pub async fn measure(workload: &Workload, file: &Path, rounds: usize) -> Result<Vec<Change>> {
    let um = UserManagement::builder().sqlite(file).open().await?;
    let mut other = Other::start(file)?;
    let mut random = fastrand::Rng::with_seed(1);
    let mut changes = Vec::new();
    for asks in Asks::ALL {
        let new = |is_given| Change {
            size: workload.size.name().to_owned(),
            asks: asks.name().to_owned(),
            is_given,
            seen_ms: Vec::new(),
            made_ms: Vec::new(),
        };
        let mut both = [new(true), new(false)];
        for edit in workload.edits.iter().take(rounds) {
            for change in &mut both {
                let (user, permission) = (UserId(edit.query.user_id), edit.query.permission_name.clone());
                other.watch(&Watch { user, permission, wanted: change.is_given, asks })?;
                tokio::time::sleep(Duration::from_millis(random.u64(0..POLL_MILLIS))).await;
                let begin = Instant::now();
                make(&um, edit, change.is_given).await?;
                change.made_ms.push(millis(begin.elapsed()));
                change.seen_ms.push(millis(other.said("seen")?.saturating_duration_since(begin)));
            }
        }
        changes.extend(both);
    }
    um.close().await?;
    Ok(changes)
}

async fn make(um: &UserManagement, edit: &Edit, is_given: bool) -> Result<()> {
    let (system, user) = (um.system(), UserId(edit.query.user_id));
    match is_given {
        true => system.roles().assign(AssignRole::new(user, edit.role_name.clone())).await.map(drop)?,
        false => system.roles().unassign(UnassignRole::new(user, edit.role_name.clone())).await?,
    }
    Ok(())
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

/// The other process, until it is dropped.
struct Other {
    child: Child,
    orders: ChildStdin,
    /// What it said, and when that arrived.
    said: Receiver<(String, Instant)>,
}

impl Other {
    fn start(file: &Path) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg("watch").arg(file).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = child.stdin.take().context("no way in")?;
        let out = child.stdout.take().context("no way out")?;
        let (send, said) = channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if send.send((line, Instant::now())).is_err() {
                    return;
                }
            }
        });
        let other = Self { child, orders, said };
        other.said("open")?;
        Ok(other)
    }

    /// Returns as soon as it asks.
    fn watch(&mut self, watch: &Watch) -> Result<()> {
        writeln!(self.orders, "{}", serde_json::to_string(watch)?)?;
        self.orders.flush()?;
        self.said("watching").map(drop)
    }

    fn said(&self, wanted: &str) -> Result<Instant> {
        let (line, at) = self.said.recv_timeout(PATIENCE).with_context(|| format!("waited for {wanted:?}"))?;
        ensure!(line == wanted, "{line}");
        Ok(at)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The other process: waits for what it is told to, one after the other.
pub async fn child(file: &Path) -> Result<()> {
    let um = UserManagement::builder().sqlite(file).open().await?;
    println!("open");
    let (send, mut orders) = tokio::sync::mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = orders.recv().await {
        let Watch { user, permission, wanted, asks } = serde_json::from_str(&line)?;
        if um.check(user, &permission, None).await? == wanted {
            bail!("seen before it is made: {line}");
        }
        let me = match asks {
            Asks::Can => Some(um.acting_as(user).await?),
            _ => None,
        };
        println!("watching");
        let begin = Instant::now();
        loop {
            let from_memory = match (asks, &me) {
                (Asks::CheckAsync, _) => None,
                (_, Some(me)) => known(me.can(&permission, None))?,
                (_, None) => known(um.check_cached(user, &permission, None))?,
            };
            let answer = match (from_memory, asks) {
                (Some(answer), _) => answer,
                (None, Asks::Can) => !wanted,
                (None, _) => {
                    um.refresh().await?;
                    um.check(user, &permission, None).await?
                }
            };
            if answer == wanted {
                break;
            }
            ensure!(begin.elapsed() < PATIENCE, "not seen: {line}");
            tokio::time::sleep(PAUSE).await;
        }
        println!("seen");
    }
    Ok(())
}

/// None: it refuses to answer by old rights, or is reading the new ones.
fn known(answer: rolekeep::Result<bool>) -> Result<Option<bool>> {
    match answer {
        Err(error) if [Reason::RightsStale, Reason::NotLoaded].contains(&error.reason()) => Ok(None),
        answer => Ok(Some(answer?)),
    }
}
