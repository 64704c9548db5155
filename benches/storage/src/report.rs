//! The page.

use std::{collections::BTreeSet, fmt::Write, path::Path};

use anyhow::{Context, Result, anyhow};
use plotters::prelude::*;
use serde::de::DeserializeOwned;

use crate::{
    commits::Outcome,
    idle::Idle,
    imports::Imported,
    lists::{BySize, Listed},
    network::{LATE, Travelled},
    scale::Scaled,
};

/// What costs so much more than by hand is no matter, in milliseconds: a question to the index, the statements of a transaction.
const SMALL: f64 = 1.0;

struct All {
    commits: Vec<Outcome>,
    by_size: BySize,
    imported: Imported,
    idle: Idle,
    network: Vec<Travelled>,
}

fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<T> {
    let file = folder.join(name);
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    Ok(serde_json::from_str(&text)?)
}

/// Writes the page of what was measured, and its plots beside it.
pub fn write(results: &Path, folder: &Path) -> Result<()> {
    let all = All {
        commits: read(results, "commits.json")?,
        by_size: read(results, "lists.json")?,
        imported: read(results, "imports.json")?,
        idle: read(results, "idle.json")?,
        network: read(results, "network.json")?,
    };
    let parts = [all.targets()?, all.commits()?, all.network()?, all.lists()?, all.scale()?, all.others()?];
    let text = parts.concat();
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("storage.md"), text)?;
    for storage in all.storages() {
        all.plot(&storage, &folder.join(format!("lists-{}.svg", storage.to_lowercase())))?;
    }
    Ok(())
}

/// A ratio beside what it may be, with as many digits as tell them apart.
fn times(ratio: f64, limit: f64) -> String {
    let digits = if format!("{ratio:.2}") == format!("{limit:.2}") { 3 } else { 2 };
    format!("{ratio:.digits$}×")
}

/// Whether a list takes no more than it may, beside the same by hand.
fn is_close(ours: f64, by_hand: f64) -> bool {
    ours <= 3.0 * by_hand || ours - by_hand <= SMALL
}

fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

impl All {
    fn storages(&self) -> Vec<String> {
        let names: BTreeSet<&String> = self.by_size.lists.iter().map(|list| &list.storage).collect();
        names.into_iter().rev().cloned().collect()
    }

    fn sizes(&self) -> Vec<u64> {
        let sizes: BTreeSet<u64> = self.by_size.lists.iter().map(|list| list.users).collect();
        sizes.into_iter().collect()
    }

    fn list(&self, storage: &str, list: &str, users: u64) -> Option<&Listed> {
        self.by_size.lists.iter().find(|one| one.storage == storage && one.list == list && one.users == users)
    }

    fn scaled(&self, storage: &str, operation: &str, users: u64) -> Option<&Scaled> {
        self.by_size
            .scaled
            .iter()
            .find(|one| one.storage == storage && one.operation == operation && one.users == users)
    }

    fn names<'a>(&'a self, storage: &str, of: impl Iterator<Item = (&'a String, &'a String)>) -> Vec<&'a String> {
        let mut names: Vec<&String> = Vec::new();
        for (_, name) in of.filter(|(of, _)| *of == storage) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    fn list_names(&self, storage: &str) -> Vec<&String> {
        self.names(storage, self.by_size.lists.iter().map(|one| (&one.storage, &one.list)))
    }

    fn operation_names(&self, storage: &str) -> Vec<&String> {
        self.names(storage, self.by_size.scaled.iter().map(|one| (&one.storage, &one.operation)))
    }

    fn targets(&self) -> Result<String> {
        let mut text = String::from(
            "# What storage costs\n\n\
             <!-- Written by `scripts/bench storage`; do not edit. -->\n\n\
             Beside bare sqlx and SQL by hand on the same tables and indexes, measured in turns on one machine. **Read the ratios**: the rest is this \
             machine's, on this day.\n\n\
             ## Targets\n\n\
             | what | measured | target | met |\n|---|--:|--:|--:|\n",
        );
        let mut target = |what: &str, measured: String, wanted: &str, is_met: bool| {
            writeln!(text, "| {what} | {measured} | {wanted} | {} |", if is_met { "yes" } else { "**no**" })
        };
        for one in &self.commits {
            if one.late > 0 {
                continue;
            }
            let least = if one.storage == "PostgreSQL" && one.clients == 32 { 0.7 } else { 0.5 };
            let what = format!("{}, {} clients: commits, to bare sqlx", one.storage, one.clients);
            target(&what, times(one.commits, least), &format!("≥ {least}×"), one.commits >= least)?;
            let what = format!("{}, {} clients: a read beside commits, to bare sqlx", one.storage, one.clients);
            target(&what, times(one.paced, 1.5), "≤ 1.5×", one.paced <= 1.5)?;
            let what = format!("{}, {} clients: a read beside reads, to bare sqlx", one.storage, one.clients);
            target(&what, times(one.alone, 1.5), "≤ 1.5×", one.alone <= 1.5)?;
            if one.clients == 64 {
                let what =
                    format!("{}, {} clients: 99 of 100 commits, to bare sqlx in turns", one.storage, one.clients);
                target(&what, format!("{:.2}×", one.slowest), "≤ 2×", one.slowest <= 2.0)?;
            }
        }
        for storage in self.storages() {
            for users in self.sizes() {
                let lists: Vec<&Listed> =
                    self.by_size.lists.iter().filter(|one| one.storage == storage && one.users == users).collect();
                let close = lists.iter().filter(|one| is_close(one.ours.0, one.by_hand.0)).count();
                let what =
                    format!("{storage}, {} users: lists within 3× of SQL by hand, or {SMALL} ms", thousands(users));
                target(&what, format!("{close} of {}", lists.len()), "all", close == lists.len())?;
            }
        }
        let (import, users) = (&self.imported, thousands(self.imported.users as u64));
        let ratio = import.seconds / import.by_hand;
        target(
            &format!("import of {users} users into SQLite, to inserts of the same rows"),
            format!("{ratio:.2}×"),
            "≤ 3×",
            ratio <= 3.0,
        )?;
        target(
            "the same, over an open store",
            format!("{:.0} MiB", import.memory),
            "≤ 100 MiB",
            import.memory <= 100.0,
        )?;
        for held in &self.by_size.held {
            let what = format!(
                "{}, {} users: resident after all of it, more than when it was opened",
                held.storage,
                thousands(held.users)
            );
            let more = held.after - held.before;
            target(&what, format!("{more:+.0} MiB"), "≤ 20 MiB", more <= 20.0)?;
        }
        Ok(text)
    }

    fn commits(&self) -> Result<String> {
        let mut text = String::from(
            "\n## Commits and reads\n\n\
             Each client reads a row, changes it, adds a row and an entry of the audit log, again and again; bare sqlx writes the line of the feed, the \
             place in its lane and the end of the log as well, as a program would that keeps such. What is ours besides: to compare all that was \
             relied on, and to seal the log. As many connections for both, to PostgreSQL the ten of a store by default; SQLite with `synchronous = FULL`, PostgreSQL with `fsync`, \
             the server on one half of the processors and its clients on the other. Over a network with latency, one statement instead of eight is what \
             counts. Medians of the rounds, and of the ratios within each.\n\n\
             A read is measured in three ways. *Beside commits*, turns come at the same pace for both, half of what the slower of the two can do, so that \
             a read finds the same going on. *Beside reads*, clients only read, as fast as they can. *At the limit*, they read and commit as fast as they can: \
             then several clients of PostgreSQL share the wait for a server that is busy among all statements of a turn, nine of bare sqlx and two of ours, and a read of ours waits longer \
             because a commit waits less often.\n\n\
             | storage | network | clients | bare, commits/s | ours | | a read beside commits, bare | ours | | a read beside reads, bare | ours | | a read at the limit, bare | ours | | 99 of 100 turns, bare | ours | |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        for one in &self.commits {
            writeln!(
                text,
                "| {} | {} | {} | {:.0} | {:.0} | {:.2}× | {:.0} µs | {:.0} µs | {:.2}× | {:.0} µs | {:.0} µs | {:.2}× | {:.0} µs | {:.0} µs | {:.2}× | {:.1} ms | {:.1} ms | {:.2}× |",
                one.storage,
                if one.late == 0 { String::new() } else { format!("{} ms a round trip", one.late) },
                one.clients,
                one.bare.commits,
                one.ours.commits,
                one.commits,
                one.bare.paced,
                one.ours.paced,
                one.paced,
                one.bare.alone,
                one.ours.alone,
                one.alone,
                one.bare.read,
                one.ours.read,
                one.read,
                one.bare.slowest,
                one.ours.slowest,
                one.slowest
            )?;
        }
        Ok(text)
    }

    /// What the network adds to an operation, in round trips of a single statement.
    fn network(&self) -> Result<String> {
        let mut text = format!(
            "\n## Over a network\n\n\
             Whole operations on PostgreSQL, of a store that a listener tells of news, by round trips as a proxy counts them; and what they take \
             where the proxy gives each answer {LATE} ms later (a timer of the system's comes later yet), in milliseconds and by what it adds to one \
             statement of bare sqlx: the same numbers. Medians.\n\n\
             | operation | round trips | ms | over the network | more than without, to one statement |\n|---|--:|--:|--:|--:|\n"
        );
        let one = self.network.first().map_or(f64::NAN, |one| one.far - one.near);
        for Travelled { operation, trips, near, far } in &self.network {
            writeln!(text, "| {operation} | {trips} | {near:.2} | {far:.2} | {:.2} |", (far - near) / one)?;
        }
        Ok(text)
    }

    /// A table of sizes, each with ours, by hand, and their ratio.
    fn table<'a>(
        &self,
        first: &str,
        names: &[&'a String],
        of: impl Fn(&'a str, u64) -> Option<(f64, Option<f64>)>,
    ) -> Result<String> {
        let sizes = self.sizes();
        let mut text = format!("| {first} |");
        for users in &sizes {
            write!(text, " {}: ours | by hand | |", thousands(*users))?;
        }
        writeln!(text, "\n|---|{}", "--:|".repeat(3 * sizes.len()))?;
        for name in names {
            write!(text, "| {name} |")?;
            for users in &sizes {
                match of(name, *users) {
                    Some((ours, Some(by_hand))) => {
                        write!(text, " {ours:.2} | {by_hand:.2} | {:.1}× |", ours / by_hand)?
                    }
                    Some((ours, None)) => write!(text, " {ours:.2} | | |")?,
                    None => text.push_str(" | | |"),
                }
            }
            text.push('\n');
        }
        Ok(text)
    }

    fn lists(&self) -> Result<String> {
        let mut text = String::from(
            "\n## Lists\n\n\
             21 rows of users, with up to 1,000 counted, but by cursor; the least of 31 rounds, in milliseconds. By hand is the quickest SQL for exactly \
             this case that we know, on a connection of its own. Of a hundred regions each has one user in a hundred, `example` nine in ten, `quartz` one in a hundred. \
             All walk an index or are looked up in that of trigrams (`sto_5` in the tests); the last names a column without one.\n",
        );
        for storage in self.storages() {
            writeln!(text, "\n![Lists in {storage}](lists-{}.svg)\n", storage.to_lowercase())?;
            let of = |list: &str, users| self.list(&storage, list, users).map(|one| (one.ours.0, Some(one.by_hand.0)));
            text += &self.table(&format!("{storage}, ms"), &self.list_names(&storage), of)?;
        }
        Ok(text)
    }

    fn scale(&self) -> Result<String> {
        let mut text = format!(
            "\n## By how much there is\n\n\
             With {} entries of the audit log for each user: lists of the log, the least of 31 rounds beside SQL by hand; and whole operations, the median of 200, \
             SQLite with `durability` `normal`. Milliseconds.\n",
            crate::scale::ENTRIES
        );
        for storage in self.storages() {
            let of = |name: &str, users| {
                let one = self.scaled(&storage, name, users)?;
                let ours = if one.by_hand.is_some() { one.ours.0 } else { one.ours.1 };
                Some((ours, one.by_hand.map(|hand| hand.0)))
            };
            text.push('\n');
            text += &self.table(&format!("{storage}, ms"), &self.operation_names(&storage), of)?;
        }
        text.push_str("\n| resident, MiB | users | when opened | after all of it |\n|---|--:|--:|--:|\n");
        for held in &self.by_size.held {
            writeln!(
                text,
                "| {} | {} | {:.0} | {:.0} |",
                held.storage,
                thousands(held.users),
                held.before,
                held.after
            )?;
        }
        Ok(text)
    }

    fn others(&self) -> Result<String> {
        let (import, idle) = (&self.imported, &self.idle);
        let mut text = String::new();
        writeln!(
            text,
            "\n## An import\n\n\
             {} users with hashes of bcrypt from JSON Lines into SQLite, {:.1} rows a user, beside a program that inserts the same rows by prepared \
             statements in commits of the same size, both on one processor, as what a hop between two costs changes from day to day: {:.1} s and {:.1} s, {:.0} and {:.0} users a second.\n\n\
             ## At rest\n\n\
             An instance on PostgreSQL that nobody has asked for anything for a minute, in {:.0} s: {} transactions, which look for news of others, beside the listener's `SELECT 1` every 500 ms, which the server does not count as it touches no table, and {:.0} ms of the processor's time.",
            thousands(import.users as u64),
            import.rows as f64 / import.users as f64,
            import.seconds,
            import.by_hand,
            import.users as f64 / import.seconds,
            import.users as f64 / import.by_hand,
            idle.seconds,
            idle.transactions,
            idle.spent,
        )?;
        Ok(text)
    }

    /// All lists of a storage by the number of users, ours and by hand.
    fn plot(&self, storage: &str, file: &Path) -> Result<()> {
        const BY_HAND: RGBColor = RGBColor(140, 140, 140);
        const OURS: RGBColor = RGBColor(0, 110, 190);
        let drawing = |problem: DrawingAreaErrorKind<_>| anyhow!("{problem}");
        let sizes = self.sizes();
        let (Some(least), Some(most)) = (sizes.first().copied(), sizes.last().copied()) else { return Ok(()) };
        let times: Vec<f64> = self
            .by_size
            .lists
            .iter()
            .filter(|one| one.storage == storage)
            .flat_map(|one| [one.ours.0, one.by_hand.0])
            .collect();
        let low = times.iter().copied().fold(f64::MAX, f64::min) / 1.5;
        let high = times.iter().copied().fold(0.0, f64::max) * 1.5;
        let area = SVGBackend::new(file, (900, 520)).into_drawing_area();
        area.fill(&WHITE).map_err(drawing)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(
                format!("Lists in {storage}, ms by the number of users: ours blue, by hand grey"),
                ("sans-serif", 16),
            )
            .margin(12)
            .x_label_area_size(30)
            .y_label_area_size(56)
            .build_cartesian_2d((least as f64..most as f64 * 1.1).log_scale(), (low..high).log_scale())
            .map_err(drawing)?;
        chart
            .configure_mesh()
            .x_label_formatter(&|users| thousands(users.round() as u64))
            .light_line_style(TRANSPARENT)
            .draw()
            .map_err(drawing)?;
        for name in self.list_names(storage) {
            for (of, colour) in [(false, BY_HAND), (true, OURS)] {
                let time = |one: &Listed| if of { one.ours.0 } else { one.by_hand.0 };
                let points: Vec<(f64, f64)> = sizes
                    .iter()
                    .filter_map(|users| Some((*users as f64, time(self.list(storage, name, *users)?))))
                    .collect();
                chart.draw_series(LineSeries::new(points, colour.mix(0.7).stroke_width(2))).map_err(drawing)?;
            }
        }
        area.present().map_err(drawing)
    }
}
