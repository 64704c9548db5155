//! What every measurement of the rule engine shares: the workload, the naive reference that all engines
//! must agree with, the floors (the best that one writes by hand) and ours.

pub mod engine;
pub mod figures;
pub mod floors;
pub mod ours;
pub mod reference;
pub mod stored;
pub mod workload;

pub use engine::{Edit, Engine, Query, Thing};
pub use workload::{Assignment, NOW, Role, Size, Variant, Window, Workload};
