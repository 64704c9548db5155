//! Processors of their own for a server and its clients, as they have on machines of their own. On the same ones each process of the server
//! would weigh as much as all clients.

use std::{num::NonZero, process::Command};

use anyhow::{Context, Result, bail};

/// Processors as `taskset` takes them: those of the server, and those of its clients.
pub struct Halves(Option<[String; 2]>);

/// None of their own where there is one processor.
pub fn halves() -> Result<Halves> {
    let count = std::thread::available_parallelism().map_or(1, NonZero::get);
    let [half, last] = [count / 2, count - 1];
    let halves = Halves((count > 1).then(|| [format!("0-{}", half - 1), format!("{half}-{last}")]));
    halves.to_clients()?;
    Ok(halves)
}

impl Halves {
    /// From here on processes start where the server runs.
    pub fn to_server(&self) -> Result<()> {
        self.0.as_ref().map_or(Ok(()), |[server, _]| place(server))
    }

    /// This process runs on where clients do.
    pub fn to_clients(&self) -> Result<()> {
        self.0.as_ref().map_or(Ok(()), |[_, clients]| place(clients))
    }
}

fn place(processors: &str) -> Result<()> {
    let process = std::process::id().to_string();
    let mut taskset = Command::new("taskset");
    taskset.args(["--all-tasks", "--cpu-list", "--pid", processors, &process]);
    let mut failure = String::new();
    // A thread may end before taskset reaches it, which makes taskset fail.
    for _ in 0..10 {
        let placed = taskset.output().context("taskset, of util-linux")?;
        if placed.status.success() {
            return Ok(());
        }
        failure = String::from_utf8_lossy(&placed.stderr).into_owned();
    }
    bail!("{failure}")
}
