//! Commits of what a store does for itself.

use rolekeep_macros::boxed_async;

use crate::{
    environment::{MaybeSend, MaybeSync},
    storage::{ChangeSet, CommitError, Committed},
};

/// Commits of which the caches of this instance hear before the answer. Past them nothing is written while a store is open: where nobody else
/// writes there is no feed that tells of it later.
#[boxed_async]
pub(crate) trait HeardCommits: MaybeSend + MaybeSync {
    /// Commits, to its end even if the caller goes away.
    async fn commit_heard(&self, change_set: ChangeSet) -> Result<Committed, CommitError>;
}
