//! Letting go of what nobody asks for any more, and of deleted users whose time is over.

use std::sync::{Arc, atomic::Ordering};

use super::{Engine, Who, WhoKind};
use crate::{
    model::{
        deferred::{IS_PAGE, unless_page},
        erasure::Erasure,
        error::{Reason, Result},
        predicate::{Comparison, Predicate},
        record::Record,
        user::User,
        value::Value,
    },
    operations::{
        erasures::{self, Forgotten},
        upkeep::{self, Tidied},
        users::PurgeUser,
    },
    storage::{ChangeSet, Direction, Order, Query, Window, Write},
};

/// Once in so many commits of anybody.
const TIDY_EVERY: u64 = 1_000;

/// So many users are purged at a time.
const USERS: u64 = 100;

impl Engine {
    /// Lets go of all that in the background, once in so many commits of anybody: so an idle store wakes nobody up.
    pub(super) fn tidy_now_and_then(self: &Arc<Self>, position: u64) {
        // Two at a time would be in each other's way: where much is left over, that takes as many commits.
        if !position.is_multiple_of(TIDY_EVERY) || self.is_tidying.swap(true, Ordering::AcqRel) {
            return;
        }
        let tidying = Tidying(self.clone());
        self.services.env.spawn(Box::pin(async move {
            // What fails now is tried again after as many commits.
            while tidying.0.tidy().await.is_ok_and(|tidied| tidied.has_more) {}
        }));
    }

    /// Goes on with what is being erased, in the background.
    pub(crate) fn erase_soon(self: &Arc<Self>) {
        let engine = self.clone();
        self.services.env.spawn(Box::pin(async move {
            // What fails now is tried again when the store is tidied next.
            while erasures::run(&engine.services).await.is_ok_and(|forgotten| forgotten.has_more) {}
        }));
    }

    /// Whether a commit begins to erase somebody.
    pub(super) fn is_erasure(change_set: &ChangeSet) -> bool {
        let begins = |write: &Write| write.table.name == Erasure::TABLE.name && write.expected.is_none();
        !IS_PAGE && change_set.writes.iter().any(begins)
    }

    /// Lets go of a part of it; several instances may do so at the same time.
    pub(crate) async fn tidy(self: &Arc<Self>) -> Result<Tidied> {
        let tidied = upkeep::run(&self.services, self.services.now()).await?;
        // In a page there may be a part of a store alone.
        let users = unless_page(Ok(0), || Box::pin(self.purge_due())).await?;
        let forgotten = unless_page(Ok(Forgotten::default()), || Box::pin(erasures::run(&self.services))).await?;
        let has_more = tidied.has_more || users > 0 || forgotten.has_more;
        Ok(Tidied { users, entries: forgotten.entries, has_more, ..tidied })
    }

    /// Purges users who were deleted so long ago that they are not restored any more; how many.
    async fn purge_due(self: &Arc<Self>) -> Result<usize> {
        let keep = self.services.config.keep_deleted_users_seconds;
        let before = Value::Time(self.services.now().plus_seconds(-keep).as_microsecond());
        let query = Query {
            order: vec![Order { column: "deleted_at".into(), direction: Direction::Ascending }],
            window: Window { limit: Some(USERS), ..Window::default() },
            ..Query::of(User::TABLE, Predicate::Compare("deleted_at".into(), Comparison::Less, before))
        };
        let host = Who { kind: WhoKind::System, request: Arc::default() };
        let mut purged = 0;
        for user in self.services.reads().query::<User>(&query).await? {
            let purge = PurgeUser { id: user.id, expected_version: Some(user.version) };
            match self.run(&host, purge).await {
                Ok(()) => purged += 1,
                // Another instance was first, or somebody restored it.
                Err(error)
                    if matches!(error.reason(), Reason::NotFound | Reason::VersionStale | Reason::WrongStatus) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(purged)
    }
}

/// That this instance tidies, until it is dropped.
struct Tidying(Arc<Engine>);

impl Drop for Tidying {
    fn drop(&mut self) {
        self.0.is_tidying.store(false, Ordering::Release);
    }
}
