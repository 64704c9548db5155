//! The paths, each in a function of its own that is all that valgrind counts.

use std::hint::black_box;

use anyhow::{Context, Result};
use rolekeep_lab::{
    Edit, Engine, Query, Size, Variant, Workload, floors,
    ours::{Handles, Named, Newest, Reader, ScopedHandles, ScopedNamed},
};

/// So many questions, each asked once.
const QUERIES: usize = 1_000;
/// So many changes, each made and taken back.
const EDITS: usize = 20;

/// A path: its name and how it is run, which gives how often.
pub struct Path {
    /// Its name.
    pub name: &'static str,
    run: fn() -> Result<u64>,
}

/// Every path.
pub const ALL: &[Path] = &[
    Path { name: "floor-ids-m", run: || checks::<floors::Ids>(Size::M, Variant::Plain) },
    Path { name: "floor-strings-m", run: || checks::<floors::Strings>(Size::M, Variant::Plain) },
    Path { name: "floor-strings-scoped-m", run: || checks::<floors::ScopedStrings>(Size::M, Variant::Scoped) },
    Path { name: "check-handles-s", run: || checks::<Handles>(Size::S, Variant::Plain) },
    Path { name: "check-handles-m", run: || checks::<Handles>(Size::M, Variant::Plain) },
    Path { name: "check-handles-newest-m", run: || checks::<Newest>(Size::M, Variant::Plain) },
    Path { name: "check-strings-m", run: || checks::<Named>(Size::M, Variant::Plain) },
    Path { name: "check-handles-denies-m", run: || checks::<Handles>(Size::M, Variant::Denies) },
    Path { name: "check-handles-windows-m", run: || checks::<Handles>(Size::M, Variant::Windows) },
    Path { name: "check-handles-roles-5-m", run: || checks::<Handles>(Size::M, Variant::Roles(5)) },
    Path { name: "check-strings-unknown-m", run: || checks::<Named>(Size::M, Variant::Unknown) },
    Path { name: "decide-scoped-handles-m", run: || checks::<ScopedHandles>(Size::M, Variant::Scoped) },
    Path { name: "decide-scoped-strings-m", run: || checks::<ScopedNamed>(Size::M, Variant::Scoped) },
    Path { name: "change-assignment-m", run: || changes(Handles::assign) },
    Path { name: "change-role-m", run: || changes(Handles::grant) },
    Path { name: "load-s", run: load },
    Path { name: "filter-1", run: || filter(1) },
    Path { name: "filter-64", run: || filter(64) },
];

/// Runs one and says how often.
pub fn run(name: &str) -> Result<()> {
    let path = ALL.iter().find(|path| path.name == name).context("there is no such path")?;
    println!("{}", (path.run)()?);
    Ok(())
}

/// All that is counted happens in here: its name is what valgrind is told.
#[inline(never)]
fn counted_path(mut run: impl FnMut()) {
    run();
}

fn checks<E: Engine>(size: Size, variant: Variant) -> Result<u64> {
    let workload = Workload::draw(size, variant, QUERIES);
    let mut engine = E::load(&workload)?;
    let asks: Vec<(E::Ask, &Query)> =
        workload.queries.iter().map(|query| Ok((engine.ask(&workload, query)?, query))).collect::<Result<_>>()?;
    for (ask, query) in &asks {
        anyhow::ensure!(engine.check(ask)? == query.answer, "{query:?}");
    }
    counted_path(|| {
        for (ask, _) in &asks {
            let _ = black_box(engine.check(black_box(ask)));
        }
    });
    Ok(asks.len() as u64)
}

fn changes(change: fn(&mut Handles, &Edit, bool) -> Result<()>) -> Result<u64> {
    let workload = Workload::draw(Size::M, Variant::Plain, 0);
    let mut engine = Handles::load(&workload)?;
    let edits = workload.edits.get(..EDITS).context("too few edits")?;
    let mut outcome = Ok(());
    counted_path(|| {
        for edit in edits {
            for on in [true, false] {
                if let Err(error) = change(&mut engine, edit, on) {
                    outcome = Err(error);
                }
            }
        }
    });
    outcome?;
    Ok(2 * edits.len() as u64)
}

fn load() -> Result<u64> {
    let workload = Workload::draw(Size::S, Variant::Plain, 0);
    let mut outcome = None;
    counted_path(|| outcome = Some(Handles::load(black_box(&workload))));
    outcome.context("nothing was loaded")??;
    Ok(1)
}

fn filter(regions: u32) -> Result<u64> {
    let reader = Reader::of(regions)?;
    let mut outcome = reader.filter();
    counted_path(|| outcome = reader.filter());
    outcome?;
    Ok(1)
}
