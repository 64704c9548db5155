//! What is measured, as it is handed from child to parent and from the measurement to the report.

use std::collections::BTreeMap;

use rolekeep_lab::figures::{least, median};
use serde::{Deserialize, Serialize};

/// Everything of one run in one language.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// Whether it was a quick run.
    #[serde(default)]
    pub is_quick: bool,
    /// How many processes wanted a core, on average over a minute, before and after.
    #[serde(default)]
    pub load_average: [f64; 2],
    /// The version of each crate.
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
    /// One entry for each engine, size and variant.
    pub rows: Vec<Row>,
    /// Making a list filter: scopes and nanoseconds.
    #[serde(default)]
    pub filters: Vec<(usize, f64)>,
    /// Checks by handle at M in several threads: how the rights are come by, threads, and nanoseconds of a processor.
    #[serde(default)]
    pub threads: Vec<(String, usize, f64)>,
}

/// One engine with one workload.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Row {
    /// The engine's key.
    pub engine: String,
    /// `S`, `M`, `L`.
    pub size: String,
    /// The workload's variant.
    pub variant: String,
    /// Why there are no figures, or fewer.
    #[serde(default)]
    pub note: Option<String>,
    /// The version of a peer, where the measurement knows it.
    #[serde(default)]
    pub version: Option<String>,
    /// Seconds to take the workload in.
    #[serde(default)]
    pub load_s: Option<f64>,
    /// What stays resident of it, in MiB.
    #[serde(default)]
    pub memory_mib: Option<f64>,
    /// At most resident while loading, in MiB.
    #[serde(default)]
    pub peak_mib: Option<f64>,
    /// Answers compared with the reference; the same questions are timed.
    #[serde(default)]
    pub compared: usize,
    /// Nanoseconds of a check, the mean of each round.
    #[serde(default)]
    pub rounds_ns: Vec<f64>,
    /// Nanoseconds from an assignment's change until a check has seen it.
    #[serde(default)]
    pub assign_ns: Option<f64>,
    /// Nanoseconds from a role's change until a check has seen it.
    #[serde(default)]
    pub grant_ns: Option<f64>,
}

impl Row {
    /// The least of the rounds: what else the machine does can only add.
    pub fn check_ns(&self) -> Option<f64> {
        least(&self.rounds_ns)
    }

    /// The median of the rounds: what a check took while others had their share of the cache.
    pub fn usual_ns(&self) -> Option<f64> {
        median(&self.rounds_ns)
    }
}

/// What the parent asks a child.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// Take the workload in.
    Load,
    /// Compare answers with the reference, for at most so many milliseconds.
    Compare(u64),
    /// Check for so many milliseconds.
    Round(u64),
    /// Change assignments for so many milliseconds.
    Assign(u64),
    /// Change roles for so many milliseconds.
    Grant(u64),
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Report {
    /// The workload is drawn.
    Ready,
    /// It is taken in: seconds, MiB that stay, MiB at most.
    Loaded(f64, f64, f64),
    /// So many answers are right.
    Right(usize),
    /// An answer differs: the question.
    Wrong(String),
    /// Nanoseconds of a check or of a change.
    Took(f64),
    /// It cannot.
    Failed(String),
}
