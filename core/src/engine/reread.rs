//! What is in memory grows no older than five minutes (OPS-3).

use std::sync::{Arc, atomic::Ordering};

use super::Engine;
use crate::operations::services::History;

/// How long users, sessions and keys are kept in memory at most where others write, in milliseconds: what somebody changes past the library is in no
/// feed.
const MAX_KEPT_MILLIS: i64 = 300_000;

impl Engine {
    /// Reads anew what has been in memory for long: what callers hold, and the others are let go. Beside the feed, which is followed meanwhile.
    pub(super) fn reread_now_and_then(self: &Arc<Self>) {
        if self.reread.is_within(MAX_KEPT_MILLIS, &self.services.env.clock())
            || self.is_rereading.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let rereading = Rereading(self.clone());
        self.services.env.spawn(Box::pin(async move {
            let engine = &rereading.0;
            let now = engine.moment();
            // What fails is tried again at the next look.
            if engine.read_all_anew(History::Same).await.is_ok() {
                engine.reread.confirm(now);
            }
        }));
    }
}

/// That this instance reads all anew, until it is dropped.
struct Rereading(Arc<Engine>);

impl Drop for Rereading {
    fn drop(&mut self) {
        self.0.is_rereading.store(false, Ordering::Release);
    }
}
