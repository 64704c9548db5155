//! What storage costs (`scripts/bench storage`), and what it adds to the rules (a step of `scripts/bench rules`).

mod changes;
mod commits;
mod conditions;
mod file;
mod floor;
mod idle;
mod imports;
mod lists;
mod load;
mod network;
mod report;
mod scale;

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use rolekeep_lab::{Size, Variant, Workload, stored::Stored};
use serde::Serialize;

/// How many questions are drawn.
const QUERIES: usize = 5_000;

/// How much to measure.
struct Plan {
    sizes: &'static [Size],
    load_rounds: usize,
    change_rounds: usize,
    /// Queries of each condition, ours and by hand.
    queries: usize,
}

const WHOLE: Plan = Plan { sizes: &[Size::M, Size::L], load_rounds: 5, change_rounds: 30, queries: 300 };
const QUICK: Plan = Plan { sizes: &[Size::M], load_rounds: 3, change_rounds: 10, queries: 100 };

/// How much of what `scripts/bench storage` measures.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    /// To see that it runs.
    Quick,
}

impl Extent {
    fn of(word: &str) -> Result<Self> {
        match word {
            "measure" => Ok(Self::Whole),
            "quick" => Ok(Self::Quick),
            _ => bail!("{word} is neither `measure` nor `quick`"),
        }
    }

    /// How often what is compared takes turns.
    fn rounds(self) -> usize {
        if self == Self::Whole { 5 } else { 1 }
    }

    fn a_round(self) -> Duration {
        Duration::from_millis(if self == Self::Whole { 3_000 } else { 300 })
    }
}

fn written(out: &str, what: &impl Serialize) -> Result<()> {
    std::fs::write(out, serde_json::to_string_pretty(what)?).with_context(|| out.to_owned())
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["measure", out, files] => measure(&WHOLE, Path::new(out), Path::new(files)).await,
        ["quick", out, files] => measure(&QUICK, Path::new(out), Path::new(files)).await,
        ["load", engine, file, asked, policy] => {
            load::child(engine, Path::new(file), Path::new(asked), Path::new(policy)).await
        }
        ["lists", folder, out, sizes @ ..] => {
            written(out, &lists::measure(Path::new(folder), &lists::sizes(sizes)?).await?)
        }
        ["imports", folder, out, users] => written(out, &imports::measure(Path::new(folder), users.parse()?).await?),
        ["idle", out, how] => written(out, &idle::measure(Extent::of(how)?).await?),
        ["network", out, how] => written(out, &network::measure(Extent::of(how)?).await?),
        ["report", results, folder] => report::write(Path::new(results), Path::new(folder)),
        ["commits", out, how] => written(out, &commits::measure(Extent::of(how)?).await?),
        ["watch", file] => changes::child(Path::new(file)).await,
        _ => bail!(
            "usage: storage measure|quick OUT FOLDER, commits OUT measure|quick, lists FOLDER OUT USERS…, imports FOLDER OUT USERS, idle|network OUT \
             measure|quick, or report RESULTS FOLDER; in FOLDER databases of up to 8 GB are made"
        ),
    }
}

async fn measure(plan: &Plan, out: &Path, files: &Path) -> Result<()> {
    let mut stored = Stored::default();
    std::fs::create_dir_all(files)?;
    for size in plan.sizes {
        let workload = Workload::draw(*size, Variant::Plain, QUERIES);
        let file = files.join(format!("{}.db", size.name()));
        file::make(&workload, &file).await?;
        stored.loads.extend(load::measure(&workload, &file, plan.load_rounds)?);
        stored.changes.extend(changes::measure(&workload, &file, plan.change_rounds).await?);
    }
    let (conditions, missing) = conditions::measure(plan.queries).await?;
    (stored.conditions, stored.missing) = (conditions, missing);
    std::fs::write(out, serde_json::to_string_pretty(&stored)?).with_context(|| out.display().to_string())
}
