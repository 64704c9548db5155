//! What a right storage does: the suite that every backend runs, a host's own included.
//!
//! ```
//! # use rolekeep::storage::{MemoryStorage, conformance};
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! conformance::run(async || Ok(MemoryStorage::for_conformance())).await.unwrap();
//! # });
//! ```

mod commits;
mod dice;
mod feed;
mod histories;
mod model;
mod queries;
mod records;
mod samples;
mod searches;
mod snapshots;
mod tables;

pub use dice::Dice;
pub use histories::History;
pub use model::model;
pub use records::{Item, Tie, audit, audit_keys, change_set, change_set_id, id, tables, time};
pub use samples::{expected, items, orders, predicates, ties};
pub use tables::{THING_USERS, THINGS};

use super::Storage;
use crate::model::error::{Error, Result};

/// What a storage did wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{case}: {problem}")]
pub struct Failure {
    /// The case of the suite.
    pub case: &'static str,
    /// What was expected, and what came.
    pub problem: String,
}

/// Runs every case on a storage of its own, which `open` gives: empty, with [`tables`].
///
/// # Errors
/// The first case that failed.
pub async fn run<S: Storage>(open: impl AsyncFn() -> Result<S>) -> Result<(), Failure> {
    macro_rules! cases {
        ($($module:ident::$case:ident),* $(,)?) => {$(
            let case = stringify!($case);
            let failure = |problem: Problem| Failure { case, problem: problem.0 };
            let storage = open().await.map_err(|error| failure(error.into()))?;
            $module::$case(&storage).await.map_err(failure)?;
            storage.close().await.map_err(|error| failure(error.into()))?;
        )*};
    }
    cases! {
        commits::a_new_storage_is_empty,
        commits::rows_come_back_as_they_were_written,
        commits::versions_decide,
        commits::checks_decide,
        commits::all_or_nothing,
        commits::a_change_set_is_written_once,
        commits::malformed_change_sets_are_refused,
        commits::a_key_of_another_kind_finds_nothing,
        commits::audit_entries_are_chained,
        commits::closing_is_final,
        snapshots::a_snapshot_is_of_one_moment,
        snapshots::what_is_loaded_is_there_at_once,
        snapshots::nobody_knows_the_feed_of_before,
        snapshots::only_an_empty_storage_is_loaded,
        feed::positions_count_commits,
        feed::a_lost_commit_is_noticed,
        feed::the_feed_names_what_was_touched,
        feed::the_feed_names_no_names,
        feed::the_feed_comes_in_parts,
        feed::a_part_is_as_long_as_asked_for,
        feed::outcomes_are_kept,
        feed::old_lines_are_pruned_and_missed,
        feed::pruning_comes_in_parts,
        queries::predicates_agree_with_the_evaluator,
        queries::orders_and_windows,
        queries::pages_add_up,
        queries::rows_in_the_order_of_another_table,
        queries::rows_without_their_secrets,
        queries::groups_are_counted,
        queries::batches_are_what_their_parts_are,
        queries::unfit_windows_are_refused,
        queries::big_sets,
        queries::many_alternatives,
        searches::searches_and_alternatives_agree_with_the_evaluator,
        searches::searches_follow_changes,
        searches::no_alternative_is_left_behind,
    }
    Ok(())
}

/// The seeds of a test: as many as this variable of the environment says, or the one that `ROLEKEEP_SEED` names.
pub fn seeds(variable: &str, otherwise: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    match number("ROLEKEEP_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number(variable).unwrap_or(otherwise),
    }
}

/// What went wrong in a case.
pub(crate) struct Problem(String);

impl Problem {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(format!("{error:?}"))
    }
}

impl From<super::CommitError> for Problem {
    fn from(error: super::CommitError) -> Self {
        Self(format!("a commit failed: {error:?}"))
    }
}

/// What a case answers.
type Outcome = Result<(), Problem>;

/// How many commits there were.
async fn commits_of(storage: &impl Storage) -> Result<u64, Problem> {
    Ok(storage.position().await?.lanes().iter().map(|lane| lane.number).sum())
}

/// Fails the case unless both are equal.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, wanted: T) -> Outcome {
    if got == wanted {
        return Ok(());
    }
    Err(Problem::new(format!("{what}: expected {wanted:?}, got {got:?}")))
}
