//! The page.

use std::{fmt::Write as _, process::Command};

use rolekeep_lab::Variant;

use super::{Run, digits, ratio, stored, table::Table, targets, time};
use crate::{
    contenders::{ALL, Contender, Kind},
    results::Row,
};

const SIZES: [&str; 3] = ["S", "M", "L"];

const HEAD: &str = "\
# Benchmarks of the rule engine

<!-- Written by `scripts/bench rules`; do not edit. -->

What a check costs in Rolekeep, in other engines, and in what one would write by hand for exactly this case.
All of it was measured in one run on one machine:
";

const HOW: &str = "\
## What is measured

| size | users | roles | permissions | assignments | grants of a role |
|---|--:|--:|--:|--:|--:|
| S | 100 | 10 | 50 | 300 | 5 |
| M | 10,000 | 1,000 | 5,000 | 30,000 | 20 |
| L | 1,000,000 | 10,000 | 50,000 | 3,000,000 | 20 |

Roles stand on three levels: one in ten on the upper one, three in ten on the middle one; each inherits three of the next
level. Each user holds three roles: with their juniors about nine, with 186 grants at M and L. Everything is drawn
from a fixed seed (`benches/lab/src/workload.rs`), and so are the 10,000 questions: random users and permissions, half
of them allowed, half denied.

- **Compared first.** Before an engine is timed, its answers are compared with a naive reference
  (`benches/lab/src/reference.rs`); one that differs stops the run. Engines of milliseconds are compared, and then
  timed, on as many questions as fit into four seconds; the tables say how many.
- **In turns.** Each engine and size is a process of its own. All are loaded, then timed in turns, for a short while in
  each round, so that noise hits all alike. What counts is the processor's time of the process; a figure is the least of
  the rounds' means, since whatever else the machine does only adds to it (Chen and Revels, *Robust benchmarking in noisy
  environments*, 2016). **Read the ratios**: the nanoseconds are this machine's, on this day.
- **Memory** is how much the process' resident memory grew by loading, after the allocator gave back what it could.
- **Before each load at L**, 512 MiB are written and given back: a virtual machine gets each page from its host when it
  first writes it, which would be counted with whoever comes first.
- **A change until it is seen** is the time of one change of an assignment, or of one role's grants, and of a check that
  sees it.
- Engines get what a host would have at hand: strings where they take strings; for Cedar and regorus requests and inputs
  that were built before; gatehouse has no store, so it reads the host's tables by number. What an engine cannot do for
  itself is done for it: roles are flattened where it knows no hierarchy. Engines that do not load
  within 60 seconds or 8 GiB are marked.
- **The floors** are bit sets, hash maps and nothing else: no denies, no windows, no scopes, no conditions, no check of
  the input, no snapshot that other threads read while it is edited. Rolekeep's checks do all of that.
";

const READING: &str = "\
## How to read it

- *By handles* is for hosts that keep the user's handle and the permission's number; *newest* looks for the newest rights at
  each check instead of using a snapshot that was taken before, say at the beginning of a request; *by strings* takes the
  user's id and `resource:action` as text, as it comes from a token and from source code.
- Caches of decisions (Casbin's, role-system's) are shown at their best: every question is in the cache already. One
  change empties them, and the next question costs what the row without a cache says.
- An engine that is fast at S and slow at L walks through its policies; one whose figure stays the same looks them up.
- From M to L every engine pays for memory that no longer fits into the processor's caches: the floors show how much of
  the growth that is.
- A figure under 1.0× is less than what it is compared with.
";

const NOT: &str = "\
## Not measured, and why

- **OpenFGA, SpiceDB, OPA and other servers**: a check goes over the network, which costs more than everything here.
- **Storage of peers**: they have nothing like it; what one writes by hand stands beside.
- **More than four threads**: readers share an immutable snapshot and take no lock, so they do not wait for each other;
  a machine of two cores would say little.
- **Cedar and Casbin with scopes at L**: Cedar needs an entity for each role and permission in each region, which takes
  a gigabyte at M already; Casbin's check walks through all policies.
- **Memory in Python and Node**: engines share one process there, so it cannot be told apart.
- **Denies, windows and residency of peers**: few of them have any; the rows compare Rolekeep with itself.
";

/// The whole page.
pub fn page(run: &Run) -> String {
    let mut page = String::from(HEAD);
    let _ = writeln!(page, "\n{}", machine(run));
    page.push_str(HOW);
    let _ = writeln!(page, "\n## Targets\n\n{}", targets::table(run));
    let _ = writeln!(page, "## A check\n\n![A check at M](benchmarks/check.svg)\n\n{}", checks(run));
    let _ = writeln!(page, "![A check from S to L](benchmarks/growth.svg)\n\n{}", compared(run));
    let _ = writeln!(page, "## Loading\n\n{}", loading(run));
    let _ = writeln!(
        page,
        "## One change until it is seen\n\n![One change of a role](benchmarks/role-change.svg)\n\n{}",
        changes(run)
    );
    let _ = writeln!(
        page,
        "## With a scope and a condition\n\nEvery assignment is limited to one of 50 regions, every grant says \
         `resource.status == \"active\" and resource.level <= principal.level`. In brackets: the median of the rounds. At L \
         the questions with their resources and users take some 10 MiB, about what a shared machine leaves of its cache, \
         so what a check takes there depends on the neighbours more than elsewhere.\n\n{}",
        scoped(run)
    );
    let _ = writeln!(
        page,
        "## With denies, with windows, with few users in memory\n\nOne grant in ten is a deny; half of the assignments \
         have a window, and one in four does not hold now; one user in a hundred is in memory, and only those are \
         asked about. In brackets: to the same without.\n\n{}",
        variants(run)
    );
    let _ = writeln!(
        page,
        "## Other shapes\n\nOne, five, 16 and 64 roles for each user; all questions about one user; 20,000 roles and 60,000 \
         permissions; half of the users and permissions asked about unknown. Beside what the floors take for the same.\n\n{}\n\
         Several threads, at M by handles; the time of a processor.\n\n{}",
        shapes(run),
        threads(run)
    );
    let _ =
        writeln!(page, "## Making a list filter\n\nFor a user who may read in so many regions.\n\n{}", filters(run));
    let _ = writeln!(page, "{}", stored::chapter(&run.stored));
    for (title, prefix, floor) in [("Python", "python-", "python-sets"), ("Node", "node-", "node-sets")] {
        let _ = writeln!(page, "## {title}, at M\n\nStrings in, a boolean out.\n\n{}", language(run, prefix, floor));
    }
    let _ = writeln!(page, "## Who takes part\n\n{}", about(run));
    page.push_str(READING);
    page.push('\n');
    page.push_str(NOT);
    page
}

fn machine(run: &Run) -> Table {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok();
        output.map_or("?".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let line = |file: &str, start: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let found = text.lines().find_map(|line| line.strip_prefix(start)?.split_once(':'));
        found.map_or("?".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let [before, after] = run.rust.load_average;
    let mut table = Table::new(&["", ""]);
    let memory: f64 = line("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or_default();
    let rows = [
        ("command", if run.rust.is_quick { "scripts/bench rules --quick" } else { "scripts/bench rules" }.to_owned()),
        ("date", said("date", &["-u", "+%Y-%m-%d"])),
        (
            "machine",
            format!("{}, {cores} cores, {:.0} GiB", line("/proc/cpuinfo", "model name"), memory / 1024.0 / 1024.0),
        ),
        ("system", said("uname", &["-sr"])),
        ("processes that wanted a core, before and after", format!("{before:.1}, {after:.1}")),
        ("Rust", format!("{}, Cargo's release profile", said("rustc", &["--version"]))),
        ("Python", said("python3", &["--version"])),
        ("Node", said("node", &["--version"])),
    ];
    rows.into_iter().for_each(|(name, value)| table.row(vec![name.to_owned(), value]));
    table
}

/// The engines of a workload, and their rows.
fn rows<'r>(run: &'r Run, variant: &'r str) -> impl Iterator<Item = (&'static Contender, [Option<&'r Row>; 3])> + 'r {
    ALL.iter()
        .map(move |one| (one, SIZES.map(|size| run.row(one.key, size, variant))))
        .filter(|(_, rows)| rows.iter().any(Option::is_some))
}

/// A figure, or why there is none.
fn cell(row: Option<&Row>, value: impl Fn(&Row) -> Option<String>) -> String {
    let Some(row) = row else { return "–".to_owned() };
    value(row).or_else(|| row.note.clone()).unwrap_or_else(|| "–".to_owned())
}

fn checks(run: &Run) -> Table {
    let mut table =
        Table::new(&["", "S", "M", "L", "to ids, M", "to strings, M", "to Rolekeep by handles, M", "by strings, M"]);
    let at_m = |engine: &str| run.check(engine, "M", "plain");
    for (one, rows) in rows(run, "plain") {
        let mut cells = vec![one.label.to_owned()];
        cells.extend(rows.map(|row| cell(row, |row| row.check_ns().map(time))));
        for floor in ["floor-ids", "floor-strings", "ours-handles", "ours-strings"] {
            let found = at_m(one.key).zip(at_m(floor));
            cells.push(found.map_or("–".to_owned(), |(value, floor)| ratio(value, floor)));
        }
        table.row(cells);
    }
    table
}

fn compared(run: &Run) -> String {
    let all = run.rust.rows.iter().filter(|row| (1..10_000).contains(&row.compared));
    let few: Vec<String> =
        all.map(|row| format!("{} at {}{}: {}", row.engine, row.size, variant(row), row.compared)).collect();
    match few.is_empty() {
        true => "All of them on 10,000 questions.\n".to_owned(),
        false => format!("On 10,000 questions, but these on fewer: {}.\n", few.join("; ")),
    }
}

fn variant(row: &Row) -> &str {
    if row.variant == "plain" { "" } else { " (scoped)" }
}

fn loading(run: &Run) -> Table {
    let mut table = Table::new(&["", "S", "M", "L", "memory S", "memory M", "memory L"]);
    for (one, rows) in rows(run, "plain") {
        let mut cells = vec![one.label.to_owned()];
        cells.extend(rows.map(|row| cell(row, |row| row.load_s.map(|seconds| time(seconds * 1e9)))));
        cells.extend(rows.map(|row| cell(row, |row| Some(format!("{} MiB", digits(row.memory_mib?))))));
        table.row(cells);
    }
    table
}

fn changes(run: &Run) -> Table {
    let mut table = Table::new(&["", "assignment S", "assignment M", "assignment L", "role S", "role M", "role L"]);
    for (one, rows) in rows(run, "plain") {
        let mut cells = vec![one.label.to_owned()];
        cells.extend(rows.map(|row| cell(row, |row| row.assign_ns.map(time))));
        cells.extend(rows.map(|row| cell(row, |row| row.grant_ns.map(time))));
        table.row(cells);
    }
    table
}

fn scoped(run: &Run) -> Table {
    let mut table = Table::new(&["", "S", "M", "L", "to the string floor, M"]);
    let both = |row: &Row| Some(format!("{} ({})", time(row.check_ns()?), time(row.usual_ns()?)));
    for (one, rows) in rows(run, "scoped") {
        let mut cells = vec![one.label.to_owned()];
        cells.extend(rows.map(|row| cell(row, both)));
        let floor = run.check("floor-strings-scoped", "M", "scoped");
        let found = run.check(one.key, "M", "scoped").zip(floor);
        cells.push(found.map_or("–".to_owned(), |(value, floor)| ratio(value, floor)));
        table.row(cells);
    }
    table
}

fn variants(run: &Run) -> Table {
    let mut table = Table::new(&["", "S", "M", "L"]);
    for variant in ["denies", "windows", "resident"] {
        for (one, rows) in rows(run, variant) {
            let mut cells = vec![format!("{}: {variant}", one.label)];
            cells.extend(rows.map(|row| {
                cell(row, |row| {
                    let ns = row.check_ns()?;
                    let plain = run.check(one.key, &row.size, "plain");
                    let to = plain.map_or(String::new(), |plain| format!(" ({})", ratio(ns, plain)));
                    Some(format!("{}{to}", time(ns)))
                })
            }));
            table.row(cells);
        }
    }
    table
}

/// How much dearer each shape is than the floor's own, to judge cliffs by.
fn shapes(run: &Run) -> Table {
    let mut table =
        Table::new(&["", "", "by handles", "to the id floor's", "by strings", "to the string floor's", "memory"]);
    for variant in [Variant::Plain].iter().chain(Variant::SHAPES) {
        for size in ["M", "L"] {
            let check = |engine: &str| run.check(engine, size, variant.name());
            let Some(strings) = check("ours-strings") else { continue };
            let handles = check("ours-handles");
            let to = |ours: Option<f64>, floor: Option<f64>| {
                ours.zip(floor).map_or("–".to_owned(), |(ours, floor)| ratio(ours, floor))
            };
            let memory = run.row("ours-strings", size, variant.name()).and_then(|row| row.memory_mib);
            table.row(vec![
                variant.name().to_owned(),
                size.to_owned(),
                handles.map_or("–".to_owned(), time),
                to(handles, check("floor-ids")),
                time(strings),
                to(Some(strings), check("floor-strings")),
                memory.map_or("–".to_owned(), |mib| format!("{} MiB", digits(mib))),
            ]);
        }
    }
    table
}

fn threads(run: &Run) -> Table {
    let mut table = Table::new(&["", "1 thread", "4 threads"]);
    for way in ["rights", "with_rights"] {
        let ns = |count: usize| {
            let found = run.rust.threads.iter().find(|(name, threads, _)| name == way && *threads == count);
            found.map_or("–".to_owned(), |(_, _, ns)| time(*ns))
        };
        table.row(vec![format!("`PrincipalCache::{way}` for each check"), ns(1), ns(4)]);
    }
    table
}

fn filters(run: &Run) -> Table {
    let mut table = Table::new(&["regions", "time", "of each"]);
    for (scopes, ns) in &run.rust.filters {
        table.row(vec![scopes.to_string(), time(*ns), time(ns / *scopes as f64)]);
    }
    table
}

const LANGUAGES: &[(&str, &str, &str)] = &[
    ("python-sets", "hand-written dict and set", "users' sets of permissions, closures flattened"),
    ("python-rolekeep-check", "**Rolekeep, `um.check_cached(user, permission)`**", "any user by id, as text"),
    ("python-rolekeep-can", "**Rolekeep, `caller.can(permission)`**", "a caller at hand"),
    ("python-cedar", "cedarpy", "one policy, an entity for each permission; parsed before"),
    ("python-oso", "oso", "a fact per grant; users and flattened roles are the host's"),
    ("python-casbin-fast", "casbin, FastEnforcer", "finds policies by resource and action"),
    ("python-casbin", "casbin", "its own hierarchy"),
    ("node-sets", "hand-written Map and Set", "users' sets of permissions, closures flattened"),
    ("node-rolekeep-check", "**Rolekeep, `um.checkCached(user, permission)`**", "any user by id"),
    ("node-rolekeep-can", "**Rolekeep, `caller.can(permission)`**", "a caller at hand"),
    ("node-casl", "@casl/ability", "an ability for each user, built before, closures flattened"),
    ("node-accesscontrol", "accesscontrol", "its own hierarchy; users are the host's"),
    ("node-cedar", "@cedar-policy/cedar-wasm", "one policy, parsed before; is given the entities at each call"),
    ("node-casbin-cached", "casbin, cached", "every decision in the cache; asynchronous"),
    ("node-casbin", "casbin", "its own hierarchy; `enforceSync`"),
];

fn language(run: &Run, prefix: &str, floor: &str) -> String {
    if run.check(floor, "M", "plain").is_none() {
        return "Not measured in this run.\n".to_owned();
    }
    let mut table = Table::new(&["", "check", "to the floor", "loading", "questions", "version", "how"]);
    let floor = run.check(floor, "M", "plain");
    for (key, label, about) in LANGUAGES.iter().filter(|(key, ..)| key.starts_with(prefix)) {
        let Some(row) = run.row(key, "M", "plain") else { continue };
        let to = row.check_ns().zip(floor).map_or("–".to_owned(), |(value, floor)| ratio(value, floor));
        table.row(vec![
            (*label).to_owned(),
            cell(Some(row), |row| row.check_ns().map(time)),
            to,
            cell(Some(row), |row| row.load_s.map(|seconds| time(seconds * 1e9))),
            row.compared.to_string(),
            row.version.clone().unwrap_or_else(|| "–".to_owned()),
            (*about).to_owned(),
        ]);
    }
    table.to_string()
}

fn about(run: &Run) -> String {
    let mut list = String::new();
    for one in ALL {
        let kind = match one.kind {
            Kind::Floor => "by hand".to_owned(),
            Kind::Ours | Kind::Peer => {
                let version = run.rust.versions.get(one.package.unwrap_or_default());
                version.map_or("?".to_owned(), |version| format!("{} {version}", one.package.unwrap_or_default()))
            }
        };
        let scoped = if one.plain { "" } else { ", with scopes" };
        let _ = writeln!(list, "- {}{scoped} ({kind}): {}", one.label, one.about);
    }
    list
}
