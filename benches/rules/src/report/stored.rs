//! What storage adds: loading from a file, changes seen by another process, the SQL of list filters.

use std::fmt::Write as _;

use rolekeep_lab::{
    figures::median,
    stored::{Change, Condition, Load, Loading, Side, Stored},
};

use super::{digits, ratio, table::Table, time};

const LOADING: &str = "\
The file holds the workload as the product's own rows: users with their guards and claims, assignments, roles, permissions,
what the host gave. A process opens it and answers a first check; **users not seen cost nothing until then**, so that is what
loading means, and then it answers checks of 1,000 users who were not asked about before, one after the other, each read from
the file. Beside it stands the string floor, which reads all users and assignments by the same driver and then has everybody
in memory. *Policy given*: the host gives its policy again, as it does at each start; it is read from a file before, not timed.
A process for each round, in turns, the file in the system's cache; medians. Time is the clock's, and the processor's beside;
memory is by how much the process grew, with all that SQLite keeps.
";

const CHANGES: &str = "\
Two processes have opened one file. One gives a user a role or takes it away, at any moment between two looks of the other at
what changed, every 200 ms; the other one asks each millisecond, and says when the answer is the new one. The time is from
before the change was asked for until that was heard. *`can`*: of a caller whom the process keeps, from memory.
*`check`*: from memory; a user who changed and whom nobody keeps is not there any more, and `check_async` reads it anew.
*`check_async`*: looks for changes at each call.
";

const CONDITIONS: &str = "\
A host's table of 100,000 things in 1,000 regions, with indexes on region, owner and whether it is public, and
`SELECT count(*) + sum(size) FROM things WHERE …`, so that every row is read and none has to be handed over. Both sides give the
same rows, compared before; then they are asked in turns. Medians, by the clock, of prepared queries on a connection at hand.
";

/// The chapter.
pub fn chapter(stored: &Stored) -> String {
    let mut chapter = String::from("## Storage\n\n");
    if stored.loads.is_empty() {
        chapter.push_str("Not measured in this run.\n");
        return chapter;
    }
    let _ = writeln!(chapter, "### Loading from SQLite\n\n{LOADING}\n{}", loads(stored));
    let _ = writeln!(chapter, "### One change until another process sees it\n\n{CHANGES}\n{}", changes(stored));
    let _ = writeln!(chapter, "### The SQL of a list filter\n\n{CONDITIONS}\n{}", conditions(stored));
    let _ = writeln!(chapter, "{}", texts(stored));
    for missing in &stored.missing {
        let _ = writeln!(chapter, "Not measured: {missing}.\n");
    }
    chapter.truncate(chapter.trim_end().len());
    chapter.push('\n');
    chapter
}

/// The median of a figure of each round.
pub fn middle(load: &Load, figure: impl Fn(&Loading) -> f64) -> Option<f64> {
    median(&load.rounds.iter().map(figure).collect::<Vec<_>>())
}

/// The load of an engine.
pub fn load<'s>(stored: &'s Stored, engine: &str, size: &str) -> Option<&'s Load> {
    stored.loads.iter().find(|load| load.engine == engine && load.size == size)
}

/// The longest of all rounds of one way to ask, given and taken away, in nanoseconds.
pub fn longest(stored: &Stored, size: &str, asks: &str) -> Option<f64> {
    let changes = stored.changes.iter().filter(|change| change.size == size && change.asks == asks);
    changes.flat_map(|change| &change.seen_ms).copied().max_by(f64::total_cmp).map(|longest| longest * 1e6)
}

/// The median of a side in nanoseconds.
pub fn query_ns(side: &Side) -> Option<f64> {
    median(&side.micros).map(|micros| micros * 1e3)
}

fn loads(stored: &Stored) -> Table {
    let mut table = Table::new(&[
        "",
        "size",
        "file",
        "open",
        "first answer",
        "processor",
        "memory",
        "at most",
        "one user",
        "memory after all",
    ]);
    for load in &stored.loads {
        let label = match load.engine.as_str() {
            "ours" => "**Rolekeep**",
            "ours-given" => "**Rolekeep, policy given**",
            _ => "floor: bit sets by strings",
        };
        let cell =
            |figure: fn(&Loading) -> f64, tell: fn(f64) -> String| middle(load, figure).map_or("–".to_owned(), tell);
        let seconds = |seconds: f64| time(seconds * 1e9);
        table.row(vec![
            label.to_owned(),
            load.size.clone(),
            mib(load.file_mib),
            cell(|round| round.open_s, seconds),
            cell(|round| round.answer_s, seconds),
            cell(|round| round.answer_cpu_s, seconds),
            cell(|round| round.answer_mib, mib),
            cell(|round| round.peak_mib, mib),
            cell(|round| round.user_us, |micros| time(micros * 1e3)),
            cell(|round| round.users_mib, mib),
        ]);
    }
    table
}

fn mib(mib: f64) -> String {
    format!("{} MiB", digits(mib))
}

fn changes(stored: &Stored) -> Table {
    let mut table = Table::new(&["", "size", "rounds", "the change itself", "seen after", "at most"]);
    for change in &stored.changes {
        let Change { size, asks, is_given, seen_ms, made_ms } = change;
        let what = if *is_given { "a role is given" } else { "a role is taken away" };
        let longest = seen_ms.iter().copied().max_by(f64::total_cmp);
        let tell = |millis: Option<f64>| millis.map_or("–".to_owned(), |millis| time(millis * 1e6));
        table.row(vec![
            format!("{what}, `{asks}`"),
            size.clone(),
            seen_ms.len().to_string(),
            tell(median(made_ms)),
            tell(median(seen_ms)),
            tell(longest),
        ]);
    }
    table
}

fn conditions(stored: &Stored) -> Table {
    let mut table = Table::new(&["", "database", "rows", "list filter", "by hand", "to by hand", "index", "by hand"]);
    for Condition { database, name, rows, ours, hand } in &stored.conditions {
        let (Some(our_ns), Some(hand_ns)) = (query_ns(ours), query_ns(hand)) else { continue };
        let indexes = |side: &Side| match side.indexes.is_empty() {
            true => "none".to_owned(),
            false => side.indexes.join(", "),
        };
        table.row(vec![
            name.clone(),
            database.clone(),
            rows.to_string(),
            time(our_ns),
            time(hand_ns),
            ratio(our_ns, hand_ns),
            indexes(ours),
            indexes(hand),
        ]);
    }
    table
}

/// What the sides say, each once.
fn texts(stored: &Stored) -> String {
    let mut list = String::new();
    for Condition { database, name, ours, hand, .. } in &stored.conditions {
        let short = |sql: &str| match sql.split_once(", $3, ").zip(sql.rsplit_once(", ")) {
            Some(((start, _), (_, end))) => format!("{start}, …, {end}"),
            None => sql.to_owned(),
        };
        let _ = writeln!(list, "- {name}, {database}: `{}`; by hand `{}`", ours.sql, short(&hand.sql));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(sql: &str, micros: &[f64]) -> Side {
        Side { sql: sql.to_owned(), indexes: vec!["by_region".to_owned()], micros: micros.to_vec() }
    }

    fn stored() -> Stored {
        let round = |answer_s| Loading {
            open_s: 1.0,
            answer_s,
            answer_cpu_s: 0.5,
            answer_mib: 100.0,
            peak_mib: 120.0,
            users: 1_000,
            user_us: 50.0,
            users_mib: 101.0,
        };
        let rounds = vec![round(3.0), round(2.0), round(9.0)];
        let load = Load { engine: "ours".into(), size: "L".into(), file_mib: 1_500.0, rounds };
        let change = |asks: &str, is_given, seen_ms: &[f64]| Change {
            size: "M".into(),
            asks: asks.into(),
            is_given,
            seen_ms: seen_ms.to_vec(),
            made_ms: vec![1.0],
        };
        Stored {
            loads: vec![load],
            changes: vec![
                change("can", true, &[5.0, 180.0]),
                change("can", false, &[210.0]),
                change("check", true, &[900.0]),
            ],
            conditions: vec![Condition {
                database: "SQLite 3".into(),
                name: "64 scopes".into(),
                rows: 6_400,
                ours: side("a", &[13.0, 12.0, 99.0]),
                hand: side("region_id IN ($1, $2, $3, $4, $64)", &[10.0]),
            }],
            missing: vec!["PostgreSQL: it is not installed".into()],
        }
    }

    #[test]
    fn figures_are_medians_and_the_longest() {
        let stored = stored();
        assert_eq!(load(&stored, "ours", "L").and_then(|load| middle(load, |round| round.answer_s)), Some(3.0));
        assert!(load(&stored, "ours", "M").is_none());
        assert_eq!(longest(&stored, "M", "can"), Some(210e6));
        assert_eq!(longest(&stored, "L", "can"), None);
    }

    #[test]
    fn the_chapter_tells_all() {
        let chapter = chapter(&stored());
        let lines = [
            "| **Rolekeep** | L | 1500 MiB | 1.00 s | 3.00 s | 500 ms | 100 MiB | 120 MiB | 50.0 µs | 101 MiB |",
            "| a role is given, `can` | M | 2 | 1.00 ms | 92.5 ms | 180 ms |",
            "| 64 scopes | SQLite 3 | 6400 | 13.0 µs | 10.0 µs | 1.3× | by_region | by_region |",
            "- 64 scopes, SQLite 3: `a`; by hand `region_id IN ($1, $2, …, $64)`",
            "Not measured: PostgreSQL: it is not installed.",
        ];
        lines.iter().for_each(|line| assert!(chapter.contains(line), "{line}\n{chapter}"));
        assert!(super::chapter(&Stored::default()).contains("Not measured in this run"));
    }
}
