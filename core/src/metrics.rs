//! Metrics, through the facade of the crate `metrics`: whoever installs a recorder gets them. Names as Prometheus has them; labels are
//! words of a fixed list, never ids.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// What a metric is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A metric: its name, what it is, its labels, and what it tells.
pub(crate) type Metric = (&'static str, Kind, &'static [&'static str], &'static str);

const OPERATIONS: &str = "rolekeep_operations_total";
const OPERATION_DURATION: &str = "rolekeep_operation_duration_seconds";
const COMMITS: &str = "rolekeep_commits_total";
const COMMIT_DURATION: &str = "rolekeep_commit_duration_seconds";
const STORAGE_CALL_DURATION: &str = "rolekeep_storage_call_duration_seconds";
const CACHE_HITS: &str = "rolekeep_cache_hits_total";
const CACHE_MISSES: &str = "rolekeep_cache_misses_total";
const CACHE_ENTRIES: &str = "rolekeep_cache_entries";
const RIGHTS_AGE: &str = "rolekeep_rights_age_seconds";
const POOL_IN_USE: &str = "rolekeep_pool_connections_in_use";
const POOL_WAITING: &str = "rolekeep_pool_callers_waiting";
const POOL_MOST: &str = "rolekeep_pool_connections_max";
const REPLICA_LISTS: &str = "rolekeep_replica_lists_total";
const HASHING_DEPTH: &str = "rolekeep_hashing_queue_depth";
const NOTICES_SENT: &str = "rolekeep_notices_sent_total";
const NOTICES_FAILED: &str = "rolekeep_notices_failed_total";
const NOTICES_PENDING: &str = "rolekeep_notices_pending";
const UPKEEP_RUNS: &str = "rolekeep_upkeep_runs_total";
const POLICY_VERSION: &str = "rolekeep_policy_version";
const DEPENDENCY_UP: &str = "rolekeep_dependency_up";

/// All of them; the guide has the same table.
pub(crate) const ALL: [Metric; 20] = [
    (OPERATIONS, Kind::Counter, &["operation", "outcome"], "Operations that ended, by their error's code or `OK`"),
    (OPERATION_DURATION, Kind::Histogram, &["operation"], "How long they took, including waiting"),
    (
        COMMITS,
        Kind::Counter,
        &["outcome"],
        "Commits, by `done`, `stale` (another was first: the operation is planned again), `unknown` or the reason",
    ),
    (COMMIT_DURATION, Kind::Histogram, &[], "How long commits took"),
    (
        STORAGE_CALL_DURATION,
        Kind::Histogram,
        &["call"],
        "How long each call of the storage took, including waiting for a connection",
    ),
    (
        CACHE_HITS,
        Kind::Counter,
        &["cache"],
        "How often operations found what they asked for in memory; synchronous checks are not counted",
    ),
    (CACHE_MISSES, Kind::Counter, &["cache"], "How often it had to be read"),
    (CACHE_ENTRIES, Kind::Gauge, &["cache"], "What is in memory"),
    (RIGHTS_AGE, Kind::Gauge, &[], "How long ago it was certain that nothing of other instances was unheard"),
    (POOL_IN_USE, Kind::Gauge, &["pool"], "Connections in use"),
    (POOL_WAITING, Kind::Gauge, &["pool"], "Callers that wait for one"),
    (POOL_MOST, Kind::Gauge, &["pool"], "Connections that there may be"),
    (
        REPLICA_LISTS,
        Kind::Counter,
        &["outcome"],
        "Lists that a replica was asked for: `answered`, `behind` the database, or `failed`; the database gave the others",
    ),
    (HASHING_DEPTH, Kind::Gauge, &[], "Passwords that are hashed or wait for it"),
    (NOTICES_SENT, Kind::Counter, &[], "Notices that the notifier sent, or said it never will"),
    (NOTICES_FAILED, Kind::Counter, &[], "Times that it failed or asked to be told later"),
    (NOTICES_PENDING, Kind::Gauge, &[], "Notices that wait to be sent, up to 1,000, when `health` was asked last"),
    (
        UPKEEP_RUNS,
        Kind::Counter,
        &["outcome"],
        "How often this instance tidied by itself, by the code of the first error or `OK`",
    ),
    (POLICY_VERSION, Kind::Gauge, &[], "How often the policy was changed that decides here"),
    (
        DEPENDENCY_UP,
        Kind::Gauge,
        &["dependency"],
        "1 or 0, when `health` was asked last, for `storage`, `feed`, `hashing`, `notices`",
    ),
];

/// Tells the recorder, if there is one, what the metrics are.
pub(crate) fn describe() {
    for (name, kind, _, about) in ALL {
        let is_time = name.ends_with("_seconds");
        match (kind, is_time) {
            (Kind::Counter, _) => describe_counter!(name, about),
            (Kind::Gauge, true) => describe_gauge!(name, Unit::Seconds, about),
            (Kind::Gauge, false) => describe_gauge!(name, about),
            (Kind::Histogram, _) => describe_histogram!(name, Unit::Seconds, about),
        }
    }
}

/// An operation ended.
pub(crate) fn operation(operation: &'static str, outcome: &'static str, took: Duration) {
    counter!(OPERATIONS, "operation" => operation, "outcome" => outcome).increment(1);
    histogram!(OPERATION_DURATION, "operation" => operation).record(took.as_secs_f64());
}

/// A call of the storage ended.
pub(crate) fn storage_call(call: &'static str, took: Duration, outcome: &'static str) {
    histogram!(STORAGE_CALL_DURATION, "call" => call).record(took.as_secs_f64());
    if call == "commit" {
        counter!(COMMITS, "outcome" => outcome).increment(1);
        histogram!(COMMIT_DURATION).record(took.as_secs_f64());
    }
}

/// The notifier has answered, or has not.
pub(crate) fn notice(is_sent: bool) {
    counter!(if is_sent { NOTICES_SENT } else { NOTICES_FAILED }).increment(1);
}

/// This instance has tidied.
pub(crate) fn upkeep(outcome: &'static str) {
    counter!(UPKEEP_RUNS, "outcome" => outcome).increment(1);
}

/// A cache was so often found to have something and so often not, since it was told last.
pub(crate) fn cache(cache: &'static str, count: f64, (hits, misses): (u64, u64)) {
    counter!(CACHE_HITS, "cache" => cache).increment(hits);
    counter!(CACHE_MISSES, "cache" => cache).increment(misses);
    gauge!(CACHE_ENTRIES, "cache" => cache).set(count);
}

/// Connections that are alike.
pub(crate) fn pool(pool: &str, in_use: i64, waiting: i64, most: i64) {
    for (name, value) in [(POOL_IN_USE, in_use), (POOL_WAITING, waiting), (POOL_MOST, most)] {
        gauge!(name, "pool" => pool.to_owned()).set(value as f64);
    }
}

/// What has come of asking a replica so far.
pub(crate) fn replica(outcomes: [(&'static str, u64); 3]) {
    for (outcome, count) in outcomes {
        counter!(REPLICA_LISTS, "outcome" => outcome).absolute(count);
    }
}

/// How old rights may be, how many passwords wait, and which policy decides.
pub(crate) fn instance(rights_age_millis: Option<i64>, hashing: usize, policy_version: i64) {
    if let Some(millis) = rights_age_millis {
        gauge!(RIGHTS_AGE).set(millis as f64 / 1000.0);
    }
    gauge!(HASHING_DEPTH).set(hashing as f64);
    gauge!(POLICY_VERSION).set(policy_version as f64);
}

/// What `health` has found.
pub(crate) fn health(dependencies: [(&'static str, bool); 4], notices: Option<i64>) {
    for (dependency, is_up) in dependencies {
        gauge!(DEPENDENCY_UP, "dependency" => dependency).set(f64::from(u8::from(is_up)));
    }
    if let Some(notices) = notices {
        gauge!(NOTICES_PENDING).set(notices as f64);
    }
}
