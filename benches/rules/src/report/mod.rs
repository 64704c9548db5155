//! `docs/benchmarks.md` and its plots, from the results of one run.

mod plots;
mod stored;
mod table;
mod targets;
mod text;

use std::{fs, path::Path};

use anyhow::{Context, Result};
use rolekeep_lab::stored::Stored;
use serde::de::DeserializeOwned;

use crate::results::{Results, Row};

/// All languages of one run.
pub struct Run {
    rust: Results,
    python: Results,
    node: Results,
    stored: Stored,
}

impl Run {
    fn read(folder: &Path) -> Result<Self> {
        let (rust, python) = (read(&folder.join("rust.json"))?, read(&folder.join("python.json"))?);
        Ok(Self { rust, python, node: read(&folder.join("node.json"))?, stored: read(&folder.join("storage.json"))? })
    }

    /// The row of an engine.
    fn row(&self, engine: &str, size: &str, variant: &str) -> Option<&Row> {
        let all = self.rust.rows.iter().chain(&self.python.rows).chain(&self.node.rows);
        all.into_iter().find(|row| row.engine == engine && row.size == size && row.variant == variant)
    }

    /// Nanoseconds of its check.
    fn check(&self, engine: &str, size: &str, variant: &str) -> Option<f64> {
        self.row(engine, size, variant)?.check_ns()
    }
}

/// What a step measured; nothing where it did not run.
fn read<T: Default + DeserializeOwned>(path: &Path) -> Result<T> {
    if !path.exists() {
        return Ok(T::default());
    }
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// Writes the page and the plots into a folder.
pub fn report(results: &Path, docs: &Path) -> Result<()> {
    let run = Run::read(results)?;
    let plots = docs.join("benchmarks");
    fs::create_dir_all(&plots)?;
    plots::draw(&run, &plots)?;
    Ok(fs::write(docs.join("benchmarks.md"), text::page(&run))?)
}

/// A time with three digits, in the unit that suits it.
fn time(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{} ns", digits(ns)),
        ns if ns < 1e6 => format!("{} µs", digits(ns / 1e3)),
        ns if ns < 1e9 => format!("{} ms", digits(ns / 1e6)),
        ns => format!("{} s", digits(ns / 1e9)),
    }
}

fn digits(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

/// How many times as much.
fn ratio(value: f64, floor: f64) -> String {
    match value / floor {
        ratio if ratio < 0.1 => format!("{ratio:.3}×"),
        ratio if ratio < 1.0 => format!("{ratio:.2}×"),
        ratio if ratio < 10.0 => format!("{ratio:.1}×"),
        ratio => format!("{}×", grouped(ratio)),
    }
}

fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::{ratio, time};

    #[test]
    fn figures_read_well() {
        let times = [(7.04, "7.04 ns"), (140.0, "140 ns"), (4_812.0, "4.81 µs"), (8.8e6, "8.80 ms"), (2.3e9, "2.30 s")];
        times.iter().for_each(|(ns, text)| assert_eq!(time(*ns), *text));
        assert_eq!([ratio(14.0, 10.0), ratio(1.0, 20.0)], ["1.4×", "0.050×"]);
        assert_eq!(ratio(1_234_567.0, 1.0), "1,234,567×");
    }
}
