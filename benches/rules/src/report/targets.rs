//! The targets that the rule engine has set itself, beside what was measured.

use rolekeep_lab::{Variant, stored::Stored};

use super::{Run, digits, ratio, stored, table::Table, time};

/// Every target that this run can judge.
pub fn table(run: &Run) -> Table {
    let mut judged = Judged { table: Table::new(&["what", "measured", "target", "met"]) };
    let check = |engine: &str, size: &str| run.check(engine, size, "plain");
    for size in ["S", "M", "L"] {
        judged.at_most(
            &format!("by handles, to the id floor, {size}"),
            check("ours-handles", size),
            check("floor-ids", size),
            2.0,
        );
    }
    for size in ["S", "M", "L"] {
        judged.at_most(
            &format!("by strings, to the string floor, {size}"),
            check("ours-strings", size),
            check("floor-strings", size),
            2.0,
        );
        judged.at_most(
            &format!("by strings, to hand-written hash maps, {size}"),
            check("ours-strings", size),
            check("floor-maps", size),
            1.0,
        );
    }
    for size in ["S", "M", "L"] {
        let scoped = |engine: &str| run.check(engine, size, "scoped");
        judged.at_most(
            &format!("scope and condition by strings, to the string floor without either, {size}"),
            scoped("ours-strings-scoped"),
            check("floor-strings", size),
            4.0,
        );
    }
    for variant in Variant::SHAPES {
        let shape = |engine: &str, size: &str| run.check(engine, size, variant.name());
        for size in ["M", "L"] {
            let name = variant.name();
            judged.at_most(
                &format!("{name}: by handles, to the id floor, {size}"),
                shape("ours-handles", size),
                shape("floor-ids", size),
                2.0,
            );
            judged.at_most(
                &format!("{name}: by strings, to the string floor, {size}"),
                shape("ours-strings", size),
                shape("floor-strings", size),
                2.0,
            );
        }
    }
    let peers = [
        ("rust-rbac", "ours-strings", 2.0),
        ("gatehouse", "ours-handles", 2.0),
        ("role-system", "ours-strings", 2.0),
        ("role-system-cached", "ours-strings", 2.0),
        ("casbin-cached", "ours-strings", 2.0),
        ("cedar-role-sets", "ours-strings", 40.0),
        ("oso", "ours-strings", 1_000.0),
        ("casbin", "ours-strings", 10_000.0),
    ];
    for (peer, ours, wanted) in peers {
        let name = ours.trim_start_matches("ours-");
        judged.at_least(&format!("{peer}, to Rolekeep by {name}, M"), check(peer, "M"), check(ours, "M"), wanted);
    }
    judged.at_most(
        "Python `check`, to dict and set, M",
        check("python-rolekeep-check", "M"),
        check("python-sets", "M"),
        1.0,
    );
    judged.at_most(
        "Python `caller.can`, to dict and set, M",
        check("python-rolekeep-can", "M"),
        check("python-sets", "M"),
        1.0,
    );
    judged.at_most("Node `check`, to Map and Set, M", check("node-rolekeep-check", "M"), check("node-sets", "M"), 1.0);
    judged.at_most(
        "Node `caller.can`, to Map and Set, M",
        check("node-rolekeep-can", "M"),
        check("node-sets", "M"),
        1.0,
    );
    let growth = |engine: &str| Some(check(engine, "L")? / check(engine, "M")?);
    judged.at_most(
        "growth from M to L by strings, to the string floor's",
        growth("ours-strings"),
        growth("floor-strings"),
        1.0,
    );
    let row = |engine: &str, size: &str| run.row(engine, size, "plain");
    judged.below("load L from memory", row("ours-handles", "L").and_then(|row| row.load_s).map(|load| load * 1e9), 1e9);
    judged.mib("memory at L", row("ours-handles", "L").and_then(|row| row.memory_mib), 250.0);
    for size in ["M", "L"] {
        judged.below(
            &format!("one assignment until it is seen, {size}"),
            row("ours-handles", size).and_then(|row| row.assign_ns),
            5e3,
        );
    }
    judged.below("one role until it is seen, M", row("ours-handles", "M").and_then(|row| row.grant_ns), 1e6);
    for (scopes, ns) in run.rust.filters.iter().filter(|(scopes, _)| [1, 64].contains(scopes)) {
        judged.below(&format!("making a list filter of {scopes} scopes"), Some(*ns), 2e3);
    }
    storage(&mut judged, &run.stored);
    judged.table
}

fn storage(judged: &mut Judged, run: &Stored) {
    for (engine, how) in [("ours", ""), ("ours-given", ", policy given")] {
        let load = stored::load(run, engine, "L");
        let seconds = load.and_then(|load| stored::middle(load, |round| round.answer_s));
        judged.below(&format!("load L from SQLite, to the first answer{how}"), seconds.map(|load| load * 1e9), 5e9);
        let mib = load.and_then(|load| stored::middle(load, |round| round.users_mib));
        judged.mib(&format!("memory of that, 1,000 users later{how}"), mib, 250.0);
    }
    for size in ["M", "L"] {
        for asks in ["can", "check", "check_async"] {
            let what = format!("one assignment until another process sees it by `{asks}`, at most, {size}");
            judged.below(&what, stored::longest(run, size, asks), 1e9);
        }
    }
    for one in &run.conditions {
        let what = format!("SQL of a list filter, to by hand: {}, {}", one.name, one.database);
        judged.at_most(&what, stored::query_ns(&one.ours), stored::query_ns(&one.hand), 1.2);
    }
}

struct Judged {
    table: Table,
}

impl Judged {
    fn row(&mut self, what: &str, measured: String, target: String, met: bool) {
        let met = if met { "yes" } else { "**no**" };
        self.table.row(vec![what.to_owned(), measured, target, met.to_owned()]);
    }

    fn at_most(&mut self, what: &str, value: Option<f64>, floor: Option<f64>, wanted: f64) {
        if let (Some(value), Some(floor)) = (value, floor) {
            self.row(what, ratio(value, floor), format!("≤ {wanted}×"), value / floor <= wanted);
        }
    }

    fn at_least(&mut self, what: &str, value: Option<f64>, ours: Option<f64>, wanted: f64) {
        if let (Some(value), Some(ours)) = (value, ours) {
            self.row(what, ratio(value, ours), format!("≥ {wanted}×"), value / ours >= wanted);
        }
    }

    fn below(&mut self, what: &str, ns: Option<f64>, wanted: f64) {
        if let Some(ns) = ns {
            self.row(what, time(ns), format!("< {}", time(wanted)), ns < wanted);
        }
    }

    fn mib(&mut self, what: &str, mib: Option<f64>, wanted: f64) {
        if let Some(mib) = mib {
            self.row(what, format!("{} MiB", digits(mib)), format!("< {wanted} MiB"), mib < wanted);
        }
    }
}
