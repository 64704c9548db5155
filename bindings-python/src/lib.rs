//! The native part of the Python package `rolekeep`: a door. What programs see is in `python/rolekeep`.

mod answer;
mod errors;
mod persister;
mod process;
mod store;
#[cfg(feature = "testing")]
mod testing;
mod tools;

use pyo3::prelude::*;

#[pymodule]
fn _rolekeep(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<answer::Answer>()?;
    module.add_class::<store::Store>()?;
    module.add_class::<store::Caller>()?;
    tools::add(module)?;
    #[cfg(feature = "testing")]
    testing::add(module)?;
    Ok(())
}
