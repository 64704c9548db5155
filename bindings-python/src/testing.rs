//! What the package's tests ask, beside what programs do.

use pyo3::prelude::*;
use rolekeep::{
    describe::{Shape, TypeRef},
    ffi,
};

use crate::answer::{Answer, at_once};

/// Everything that a face must have: `operation users.create`, `parameter users.create email`,
/// `field User email`, `word UserStatus active`.
#[pyfunction]
fn catalogue() -> Vec<String> {
    let catalogue = ffi::catalogue();
    let mut lines = Vec::new();
    for area in &catalogue.areas {
        for operation in &area.operations {
            let name = format!("{}.{}", area.name, operation.name);
            if let TypeRef::Named(input) = &operation.input
                && let Some(Shape::Record(fields)) = catalogue.types.0.get(input).map(|input| &input.shape)
            {
                lines.extend(fields.iter().map(|field| format!("parameter {name} {}", field.name)));
            }
            lines.push(format!("operation {name}"));
        }
    }
    for (name, shape) in &catalogue.types.0 {
        match &shape.shape {
            Shape::Record(fields) => lines.extend(fields.iter().map(|field| format!("field {name} {}", field.name))),
            Shape::Words(words) => lines.extend(words.iter().map(|(word, _)| format!("word {name} {word}"))),
        }
    }
    lines
}

/// Panics where an operation would.
#[pyfunction]
#[allow(clippy::panic, reason = "to see what becomes of a panic")]
fn panic_later() -> Answer {
    Answer::new(false, async { if true { panic!("on purpose") } else { Ok(()) } })
}

/// Panics where a check would.
#[pyfunction]
#[allow(clippy::panic, reason = "to see what becomes of a panic")]
fn panic_at_once(py: Python<'_>) -> PyResult<()> {
    at_once(py, || panic!("on purpose"))
}

pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(catalogue, module)?)?;
    module.add_function(wrap_pyfunction!(panic_later, module)?)?;
    module.add_function(wrap_pyfunction!(panic_at_once, module)?)
}
