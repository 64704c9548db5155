//! What is read while it is looked for what others wrote.

use std::{
    future::Future,
    sync::{Arc, atomic::Ordering},
};

use futures_util::future::try_join;

use super::Engine;
use crate::{environment::MaybeSend, model::error::Result};

impl Engine {
    /// Keeps up ([`Engine::keep_up`]) while something is read under the rights that are in memory, so that a caller waits for the longer
    /// of both instead of one after the other. Nothing is written meanwhile, and nothing told.
    ///
    /// None where others had written, or may have: what was read says nothing, and is to be read anew, under what is in memory now.
    pub(super) async fn keep_up_while<T>(
        self: &Arc<Self>,
        read: impl Future<Output = T> + MaybeSend,
    ) -> Result<Option<T>> {
        // What is not known is found out without the feed.
        if self.is_in_doubt() {
            return self.keep_up().await.map(|()| None);
        }
        let before = self.times_heard.load(Ordering::Acquire);
        let ((), read) = try_join(self.keep_up(), async { Ok(read.await) }).await?;
        // Else there was nothing to hear since before the first question: what was in memory is what it would be now.
        let is_unmoved = self.times_heard.load(Ordering::Acquire) == before;
        Ok(is_unmoved.then_some(read))
    }
}
