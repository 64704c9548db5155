//! Following the change feed: what others wrote leaves the caches.

use std::sync::{Arc, Weak, atomic::Ordering};

use super::Engine;
use crate::{
    environment::Clock,
    model::{
        error::{Error, Reason, Result},
        id::{SessionId, UserId, parse_uuid},
        record::{Key, Record},
        registry::Guard,
        session::{Session, SessionActivity},
        user::User,
        value::Value,
    },
    operations::policy::state::PolicyState,
    storage::Touched,
};

/// How often others' changes are looked for when no operation does, in milliseconds.
const POLL_MILLIS: u64 = 200;
/// How often who waits for a position looks for it, in milliseconds.
const WAIT_MILLIS: u64 = 25;

impl Engine {
    /// Catches up with the feed; costs next to nothing where nobody else wrote.
    pub(crate) async fn follow(&self) -> Result<()> {
        let storage = &self.services.storage;
        if !storage.is_shared() {
            return Ok(());
        }
        let asked_at = self.services.now().as_microsecond();
        let newest = storage.position().await?;
        let mut known = self.position.load(Ordering::Acquire);
        // The feed comes in pages.
        while known < newest {
            let changes = storage.changes(known).await?;
            if changes.position == known {
                break;
            }
            self.hear(changes.touched.iter()).await?;
            // Another task may have gone further meanwhile.
            known = self.position.fetch_max(changes.position, Ordering::AcqRel).max(changes.position);
        }
        self.confirmed_at.fetch_max(asked_at, Ordering::AcqRel);
        Ok(())
    }

    /// Catches up with the feed to this position at least; waits for it as long as rights may be old.
    pub(crate) async fn follow_to(&self, at_least: u64) -> Result<()> {
        self.require_open()?;
        let mut left = self.services.config.rights_max_age_millis;
        loop {
            self.follow().await?;
            if left <= 0 || self.require_heard(at_least).is_ok() {
                return self.require_heard(at_least);
            }
            self.services.env.sleep(WAIT_MILLIS).await;
            left -= WAIT_MILLIS.cast_signed();
        }
    }

    /// Refuses where a position is asked for that the caches do not hold yet.
    pub(crate) fn require_heard(&self, at_least: u64) -> Result<()> {
        // Nobody else writes to a storage of our own, and each commit is heard of before it returns.
        let heard = if self.services.storage.is_shared() { &self.position } else { &self.committed };
        if at_least <= heard.load(Ordering::Acquire) {
            return Ok(());
        }
        let message = "this instance has not heard of that position yet; ask again, or ask one that has";
        Err(Error::new(Reason::RightsStale, message))
    }

    /// The newest commit that this instance has made or heard of.
    pub(crate) fn newest(&self) -> u64 {
        self.position.load(Ordering::Acquire).max(self.committed.load(Ordering::Acquire))
    }

    /// Starts at the end of the feed: nothing is cached yet.
    pub(crate) async fn start(&self) -> Result<()> {
        let position = self.services.storage.position().await?;
        self.position.store(position, Ordering::Release);
        self.committed.store(position, Ordering::Release);
        // The policy was read before; what was edited in between is no news to the feed any more.
        self.renew_policy().await?;
        self.confirmed_at.store(self.services.now().as_microsecond(), Ordering::Release);
        Ok(())
    }

    /// Follows the feed until the store is closed or nobody holds it any more.
    pub(crate) async fn poll(engine: Weak<Self>) {
        loop {
            let Some(sleep) = engine.upgrade().map(|engine| engine.services.env.sleep(POLL_MILLIS)) else { return };
            sleep.await;
            let Some(engine) = engine.upgrade() else { return };
            if engine.require_open().is_err() {
                return;
            }
            // What fails now is tried again; meanwhile checks turn `RIGHTS_STALE` by themselves.
            let _ = engine.follow().await;
        }
    }

    /// Our own commit is no news, if nobody else's came between.
    pub(super) fn advance(&self, position: u64) {
        self.committed.fetch_max(position, Ordering::AcqRel);
        let before = position.saturating_sub(1);
        let _ = self.position.compare_exchange(before, position, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Goes on with another policy: whoever holds rights under the one before gets them anew before this returns.
    pub(super) async fn go_on_with(&self, next: Arc<PolicyState>) {
        if !self.services.replace_policy(next) {
            return;
        }
        let pinned = self.directory.replace_rules(|| self.services.rules());
        for user in pinned {
            // What cannot be read is not known, which is safe; and it was let go already.
            let _ = self.load_user(UserId(user)).await;
        }
    }

    /// Reads the policy, if it is not the one that is known.
    pub(super) async fn renew_policy(&self) -> Result<()> {
        let _renewing = self.renewing.lock().await;
        let known = self.services.policy();
        if self.services.reads().guard(Guard::POLICY).await? <= Some(known.version) {
            return Ok(());
        }
        if let Some(next) = PolicyState::load(&*self.services.storage, &known).await? {
            self.go_on_with(Arc::new(next)).await;
        }
        Ok(())
    }

    /// Rows were written: whoever holds what depends on them gets it anew before this returns.
    ///
    /// # Errors
    /// Where the policy cannot be read: nothing may be decided by an old one.
    pub(super) async fn hear(&self, touched: impl Iterator<Item = &Touched> + Clone) -> Result<()> {
        if touched.clone().any(|row| is_policy(&row.table, &row.key)) {
            self.renew_policy().await?;
        }
        for row in touched {
            if let Some(user) = user_of(row)
                && self.directory.invalidate(user.0)
                && self.load_user(user).await.is_err()
            {
                // Not known is safe; old is not.
                self.directory.remove(user.0);
            }
            if let Some(session) = session_of(row)
                && let Some(slot) = self.sessions.invalidate(session)
                && self.load_session(session, &slot).await.is_err()
            {
                slot.empty();
            }
        }
        Ok(())
    }

    /// A synchronous check must not use rights of which nobody knows whether they still hold.
    pub(crate) fn require_fresh(&self, clock: &Clock<'_>) -> Result<()> {
        if !self.services.storage.is_shared() {
            return Ok(());
        }
        let age = clock.now().as_microsecond() - self.confirmed_at.load(Ordering::Acquire);
        if age <= self.services.config.rights_max_age_millis.saturating_mul(1000) {
            return Ok(());
        }
        Err(Error::new(Reason::RightsStale, "the change feed could not be read lately, so rights may be old"))
    }

    /// Starts following in the background.
    pub(crate) fn spawn_poll(self: &Arc<Self>) {
        if self.services.storage.is_shared() {
            self.services.env.spawn(Box::pin(Self::poll(Arc::downgrade(self))));
        }
    }
}

/// Whether this is the row that every edit of the policy moves.
pub(super) fn is_policy(table: &str, key: &Key) -> bool {
    table == Guard::TABLE.name && key.0.first().and_then(Value::as_text) == Some(Guard::POLICY)
}

fn user_of(touched: &Touched) -> Option<UserId> {
    let first = touched.key.0.first()?;
    if touched.table == User::TABLE.name {
        return first.as_id().map(UserId);
    }
    if touched.table == Guard::TABLE.name {
        let id = first.as_text()?.strip_prefix("user:")?;
        return parse_uuid(id).map(UserId);
    }
    None
}

fn session_of(touched: &Touched) -> Option<SessionId> {
    let is_session = touched.table == Session::TABLE.name || touched.table == SessionActivity::TABLE.name;
    match touched.key.0.first() {
        Some(Value::Id(id)) if is_session => Some(SessionId(*id)),
        _ => None,
    }
}
