//! Runs the paths under valgrind and compares.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::paths::ALL;

const HEADER: &str = "\
# Instructions of one run of each path, by valgrind --tool=callgrind on x86_64.
# Written by `scripts/bench instructions --update`; `scripts/bench instructions` fails over 10 % more.
";

type Figures = BTreeMap<String, u64>;

/// Fails where a path takes so many percent more than is checked in: hash seeds differ from run to run,
/// compilers from machine to machine.
pub fn compare(file: &Path, tolerance: f64) -> Result<()> {
    let known: Figures = toml::from_str(&fs::read_to_string(file).context("no figures to compare with")?)?;
    let mut worse = Vec::new();
    for (name, count) in count_all()? {
        let before = known.get(&name).copied();
        let change = before.map(|before| (count as f64 / before as f64 - 1.0) * 100.0);
        let told = change.map_or("new".to_owned(), |change| format!("{change:+.1} %"));
        println!("{name:<26} {count:>12} {told:>10}");
        if change.is_none_or(|change| change > tolerance) {
            worse.push(name);
        }
    }
    if !worse.is_empty() {
        bail!("more instructions than {} says: {}", file.display(), worse.join(", "));
    }
    Ok(())
}

/// Writes the figures down.
pub fn update(file: &Path) -> Result<()> {
    let figures = count_all()?;
    figures.iter().for_each(|(name, count)| println!("{name:<26} {count:>12}"));
    Ok(fs::write(file, format!("{HEADER}{}", toml::to_string(&figures)?))?)
}

fn count_all() -> Result<Figures> {
    ALL.iter().map(|path| Ok((path.name.to_owned(), count(path.name)?))).collect()
}

fn count(path: &str) -> Result<u64> {
    let program = std::env::current_exe()?;
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*counted_path*"]);
    let output = valgrind.arg(program).args(["run", path]).output().context("valgrind is not there")?;
    let told = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{path}: {told}");
    }
    let collected =
        told.lines().find_map(|line| line.split_once("Collected : ")).context("valgrind counted nothing")?;
    let collected: u64 = collected.1.trim().parse()?;
    let runs: u64 = String::from_utf8_lossy(&output.stdout).trim().parse()?;
    Ok(collected / runs)
}
