//! Stores whose passwords are hashed at the least cost: for tests of all else, which would otherwise wait for little else.

use rolekeep::{Builder, Config, UserManagement};

/// Settings with that cost.
pub fn config() -> Config {
    Config::new().hashing_memory_kib(8).hashing_iterations(1)
}

/// The same for tests of what is in force, and not of how old it may be: on a busy machine nobody may look for a while.
pub fn patient() -> Config {
    config().rights_max_age_millis(60_000)
}

/// A store with these settings; `config` takes others.
pub fn builder() -> Builder {
    UserManagement::builder().config(config())
}
