//! Rolekeep's rule engine beside its peers: `scripts/bench rules`.

mod child;
mod contenders;
mod export;
mod parent;
#[cfg(feature = "peers")]
mod peers;
mod report;
mod results;

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use rolekeep_lab::{Size, Variant, Workload};

use crate::contenders::Contender;

/// How many questions there are.
const QUERIES: usize = 10_000;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["child", key, size, variant] => {
            let workload = Workload::draw(size.parse::<Size>()?, variant.parse::<Variant>()?, QUERIES);
            (Contender::named(key)?.serve)(workload)
        }
        ["measure", out, only @ ..] => measure(Path::new(out), false, only),
        ["quick", out, only @ ..] => measure(Path::new(out), true, only),
        ["export", size, out] => export::export(size.parse()?, QUERIES, Path::new(out)),
        ["report", results, docs] => report::report(Path::new(results), Path::new(docs)),
        _ => bail!("usage: rules measure|quick OUT [ENGINE…] | export SIZE OUT | report RESULTS DOCS"),
    }
}

fn measure(out: &Path, is_quick: bool, only: &[&str]) -> Result<()> {
    let only: Vec<String> = only.iter().map(|key| (*key).to_owned()).collect();
    let results = parent::measure(is_quick, &only)?;
    fs::write(out, serde_json::to_string_pretty(&results)?).with_context(|| out.display().to_string())
}
