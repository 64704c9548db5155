//! What an error came of.

use std::{error::Error, sync::Arc};

/// An error of a driver, or of a host. Two errors that say the same are equal, whatever they came of.
#[derive(Clone)]
pub struct Cause(pub Arc<dyn Error + Send + Sync>);

impl PartialEq for Cause {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Cause {}
