//! What browsers load when it is first needed.

use std::{pin::Pin, sync::OnceLock};

use super::error::{Error, Reason, Result};

const NOT_LOADED: &str = "this needs a part of the package that is loaded on demand: await `preload()` before";

/// Whether this is the wasm of web pages: what only servers do is left out of it.
pub(crate) const IS_PAGE: bool = cfg!(all(feature = "deferred", target_arch = "wasm32"));

/// Work that is done later.
#[cfg(not(target_arch = "wasm32"))]
pub type Work<'w, T> = Pin<Box<dyn Future<Output = T> + Send + 'w>>;
/// The same where there are no threads.
#[cfg(target_arch = "wasm32")]
pub type Work<'w, T> = Pin<Box<dyn Future<Output = T> + 'w>>;

/// Does what pages have no use for; in a page this comes of it instead. Behind a box, so that it is left out of their wasm: of an
/// asynchronous function that returns early all states stay.
pub(crate) async fn unless_page<'w, T>(instead: T, work: impl FnOnce() -> Work<'w, T>) -> T {
    if IS_PAGE { instead } else { work().await }
}

/// A function that is there from the start or, in wasm with the feature `deferred`, once it was loaded.
///
/// With that feature who calls it refers to this slot alone, so that the function, and what only it needs, can be left
/// to a file of its own; see `scripts/wasm`.
pub(crate) struct Deferred<F> {
    from_the_start: Option<F>,
    loaded: OnceLock<F>,
}

impl<F: Copy> Deferred<F> {
    pub(crate) const fn new(function: F) -> Self {
        let from_the_start = if IS_PAGE { None } else { Some(function) };
        Self { from_the_start, loaded: OnceLock::new() }
    }

    /// Puts it in its place.
    #[cfg(feature = "bindings")]
    pub(crate) fn load(&self, function: F) {
        self.loaded.get_or_init(|| function);
    }

    /// The function; [`Reason::DeferredNotLoaded`] where it was not loaded.
    pub(crate) fn get(&self) -> Result<F> {
        let function = self.from_the_start.or_else(|| self.loaded.get().copied());
        function.ok_or_else(|| Error::new(Reason::DeferredNotLoaded, NOT_LOADED))
    }
}
