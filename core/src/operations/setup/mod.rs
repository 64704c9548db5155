//! First steps of a store: the data it starts with (FLT-6).

mod seed;

pub use seed::{Seed, SeedDrone, SeedRegion, SeedResult, SeedUser};
