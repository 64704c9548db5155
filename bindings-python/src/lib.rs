//! The native part of the Python package `rolekeep`: names and JSON in, JSON out. What programs see is in `python/rolekeep`.

mod answer;
mod backup;
mod breached;
mod errors;
mod host;
mod logs;
mod mapping;
mod notifier;
mod persister;
mod process;
mod rules;
mod store;
#[cfg(feature = "testing")]
mod testing;

use pyo3::prelude::*;

#[pymodule]
fn _rolekeep(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<answer::Answer>()?;
    module.add_class::<store::Store>()?;
    module.add_class::<store::Caller>()?;
    module.add_class::<rules::Rules>()?;
    module.add_class::<rules::Principal>()?;
    module.add_function(wrap_pyfunction!(main, module)?)?;
    module.add_function(wrap_pyfunction!(migrate, module)?)?;
    module.add_function(wrap_pyfunction!(backup::verify_backup, module)?)?;
    module.add_function(wrap_pyfunction!(logs::metrics, module)?)?;
    #[cfg(feature = "testing")]
    testing::add(module)?;
    Ok(())
}

/// The command `python -m rolekeep`: its exit code.
#[pyfunction]
fn main(arguments: Vec<String>) -> u8 {
    rolekeep::command::main(&arguments)
}

/// What is to be done to the schema of a database that settings name; answers with JSON.
#[pyfunction]
fn migrate(config: &str, places: Option<&str>, word: String) -> answer::Answer {
    let config = rolekeep::ffi::config(config, places);
    answer::Answer::new(false, async move { rolekeep::ffi::migrate(&config?, &word).await })
}
