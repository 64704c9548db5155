//! The policy as data that is managed while the store is open (RBC-1, RBC-2, RBC-14).

pub mod edit;
pub mod open;
pub mod state;
