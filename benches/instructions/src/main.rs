//! How many instructions each path of the rule engine takes, counted by valgrind: the same on a noisy
//! machine. `scripts/bench instructions` compares with the figures that are checked in.

mod count;
mod paths;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["run", path] => paths::run(path),
        ["compare", file, percent] => count::compare(file.as_ref(), percent.parse()?),
        ["update", file] => count::update(file.as_ref()),
        _ => bail!("usage: instructions run PATH | compare FILE PERCENT | update FILE"),
    }
}
