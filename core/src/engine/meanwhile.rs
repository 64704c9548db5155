//! What is read while it is looked for what others wrote.

use std::{
    future::Future,
    sync::{Arc, atomic::Ordering},
};

use futures_util::future::try_join;

use super::Engine;
use crate::{
    environment::MaybeSend,
    model::error::{Error, Result},
};

impl Engine {
    /// Keeps up ([`Engine::keep_up`]) while something is read under the rights that are in memory, so that a caller waits for the longer
    /// of both instead of one after the other. Nothing is written meanwhile, and nothing told.
    ///
    /// None where others had written, or may have: what was read until then says nothing, and is to be read anew under what is in memory
    /// from then on.
    pub(super) async fn keep_up_while<T>(
        self: &Arc<Self>,
        read: impl Future<Output = T> + MaybeSend,
    ) -> Result<Option<T>> {
        // What is not known is found out without the feed.
        if self.is_in_doubt() {
            return self.keep_up().await.map(|()| None);
        }
        let before = self.times_heard.load(Ordering::Acquire);
        let kept_up = async {
            self.keep_up().await.map_err(Moved::Failed)?;
            // Else nothing was heard since before the first question: what was in memory is what it is now.
            if self.times_heard.load(Ordering::Acquire) == before { Ok(()) } else { Err(Moved::Heard) }
        };
        match try_join(kept_up, async { Ok(read.await) }).await {
            Ok(((), read)) => Ok(Some(read)),
            Err(Moved::Heard) => Ok(None),
            Err(Moved::Failed(error)) => Err(error),
        }
    }
}

/// Why what was read counts for nothing.
enum Moved {
    /// The caches heard of what others wrote.
    Heard,
    /// Nobody knows whether others wrote.
    Failed(Error),
}
