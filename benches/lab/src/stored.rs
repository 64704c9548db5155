//! What storage adds to the rules, as it is handed from its measurement to the report.

use serde::{Deserialize, Serialize};

/// Everything of one run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stored {
    /// Loading a workload from an SQLite file.
    pub loads: Vec<Load>,
    /// A change of one process until another one sees it.
    pub changes: Vec<Change>,
    /// Conditions of list filters beside those by hand.
    pub conditions: Vec<Condition>,
    /// What was not measured, and why.
    pub missing: Vec<String>,
}

/// Loading by one engine, a process for each round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Load {
    /// `ours`, `ours-given` (the host's policy is given again, unchanged) or `floor-strings`.
    pub engine: String,
    /// The workload's size.
    pub size: String,
    /// The file's size in MiB.
    pub file_mib: f64,
    /// What each round took.
    pub rounds: Vec<Loading>,
}

/// One process that loads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Loading {
    /// Seconds until it is open.
    pub open_s: f64,
    /// Seconds until its first answer, opening included.
    pub answer_s: f64,
    /// The processor's seconds of that.
    pub answer_cpu_s: f64,
    /// MiB that the process has grown by then.
    pub answer_mib: f64,
    /// MiB that it has grown at most until then.
    pub peak_mib: f64,
    /// Users asked about afterwards, each for the first time.
    pub users: usize,
    /// Microseconds of each of their answers.
    pub user_us: f64,
    /// MiB that the process has grown after them.
    pub users_mib: f64,
}

/// Rounds of one change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Change {
    /// The workload's size.
    pub size: String,
    /// How the other process asks: `check` or `check_async`.
    pub asks: String,
    /// Whether the role is given; else taken away.
    pub is_given: bool,
    /// Milliseconds from before the change is asked for until the other process sees it.
    pub seen_ms: Vec<f64>,
    /// Milliseconds of these until the change returned.
    pub made_ms: Vec<f64>,
}

/// One condition in one database.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Condition {
    /// `SQLite` or `PostgreSQL`, with its version.
    pub database: String,
    /// What is listed.
    pub name: String,
    /// How many rows pass.
    pub rows: i64,
    /// The list filter's.
    pub ours: Side,
    /// What one writes by hand.
    pub hand: Side,
}

/// One way to say a condition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Side {
    /// Its text.
    pub sql: String,
    /// The indexes by which the database finds the rows; none: it reads the table.
    pub indexes: Vec<String>,
    /// Microseconds of each query.
    pub micros: Vec<f64>,
}
