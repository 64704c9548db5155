//! The best that one writes by hand for exactly this workload, and nothing else: no deny, no window,
//! no explanation.

mod bits;
mod maps;
mod scoped;

pub use bits::{Ids, Strings};
pub use maps::Maps;
pub use scoped::{ScopedIds, ScopedStrings};
