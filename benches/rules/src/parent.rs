//! The measurement: a process for each engine, loaded one after the other, then timed in turns, so that
//! what else the machine does hits all alike.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use rolekeep_lab::{
    Size, Variant, Workload,
    figures::{least, spent},
    ours::{Crowd, Reader},
};

use crate::{
    contenders::{ALL, Contender},
    results::{Order, Report, Results, Row},
};

/// Who is not loaded by then is not measured.
const LOADING: Duration = Duration::from_secs(60);
/// Nor who takes more than so many MiB.
const MEMORY: f64 = 8_192.0;
/// One order of any other kind.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much time to spend.
struct Plan {
    sizes: &'static [Size],
    rounds: usize,
    round_ms: u64,
    compare_ms: u64,
    compare_all_ms: u64,
    change_ms: u64,
}

const WHOLE: Plan =
    Plan { sizes: &Size::ALL, rounds: 40, round_ms: 60, compare_ms: 4_000, compare_all_ms: 120_000, change_ms: 300 };
const QUICK: Plan = Plan {
    sizes: &[Size::S, Size::M],
    rounds: 5,
    round_ms: 40,
    compare_ms: 1_000,
    compare_all_ms: 1_000,
    change_ms: 50,
};

/// Measures everything; `only` names engines for a closer look.
pub fn measure(is_quick: bool, only: &[String]) -> Result<Results> {
    let plan = if is_quick { QUICK } else { WHOLE };
    let mut results = Results { is_quick, versions: versions()?, ..Results::default() };
    results.load_average[0] = load_average();
    for size in plan.sizes {
        let groups: [&[Variant]; 3] =
            [&[Variant::Plain], &[Variant::Scoped], &[Variant::Denies, Variant::Windows, Variant::Resident]];
        for variants in groups {
            results.rows.extend(group(&plan, *size, variants, only)?);
        }
        // One after the other, as a million users with many roles take much memory.
        for variant in Variant::SHAPES {
            results.rows.extend(group(&plan, *size, &[*variant], only)?);
        }
    }
    results.filters = filters(&plan)?;
    results.threads = threads(&plan)?;
    results.load_average[1] = load_average();
    Ok(results)
}

/// Of list filters for so many regions: the least of the rounds.
fn filters(plan: &Plan) -> Result<Vec<(usize, f64)>> {
    let readers = (0..=10).map(|power| Ok((1_u32 << power, Reader::of(1 << power)?))).collect::<Result<Vec<_>>>()?;
    let mut rounds = vec![Vec::new(); readers.len()];
    for _ in 0..plan.rounds {
        for ((_, reader), rounds) in readers.iter().zip(&mut rounds) {
            let (begin, mut made) = (spent(), 0);
            while spent() - begin < Duration::from_millis(plan.round_ms / 2) {
                for _ in 0..20 {
                    std::hint::black_box(reader.filter()?);
                }
                made += 20;
            }
            rounds.push((spent() - begin).as_nanos() as f64 / f64::from(made));
        }
    }
    let found = readers.iter().zip(&rounds);
    Ok(found.filter_map(|((regions, _), rounds)| Some((*regions as usize, least(rounds)?))).collect())
}

/// Of checks in so many threads at once: the least of the rounds. What threads do to each other shows as time of the
/// processor, too.
fn threads(plan: &Plan) -> Result<Vec<(String, usize, f64)>> {
    type Ask = fn(&Crowd) -> Result<usize>;
    let crowd = Crowd::of(&Workload::draw(Size::M, Variant::Plain, 1_000))?;
    let ways: [(&str, Ask); 2] = [("rights", Crowd::take), ("with_rights", Crowd::look)];
    let mut found = Vec::new();
    for (name, ask) in ways {
        for count in [1, 4] {
            let mut rounds = Vec::new();
            for _ in 0..plan.rounds {
                let until = Instant::now() + Duration::from_millis(plan.round_ms);
                let work = || -> Result<usize> {
                    let mut asked = 0;
                    while Instant::now() < until {
                        asked += ask(&crowd)?;
                    }
                    Ok(asked)
                };
                let begin = spent();
                let asked: usize = thread::scope(|scope| {
                    let running: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
                    running
                        .into_iter()
                        .map(|one| one.join().map_err(|_| anyhow!("a thread panicked"))?)
                        .sum::<Result<usize>>()
                })?;
                rounds.push((spent() - begin).as_nanos() as f64 / asked as f64);
            }
            found.extend(least(&rounds).map(|ns| (name.to_owned(), count, ns)));
        }
    }
    for (name, count, ns) in &found {
        eprintln!("{count} threads, {name}: {ns:.1} ns");
    }
    Ok(found)
}

fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or_default()
}

/// What the lock file says.
fn versions() -> Result<BTreeMap<String, String>> {
    let lock = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock"))?;
    let lines: Vec<&str> = lock.lines().collect();
    let quoted = |line: &str, name: &str| Some(line.strip_prefix(name)?.trim_matches('"').to_owned());
    let pairs = lines.windows(2).filter_map(|pair| Some((quoted(pair[0], "name = ")?, quoted(pair[1], "version = ")?)));
    Ok(pairs.filter(|(name, _)| ALL.iter().any(|one| one.package == Some(name))).collect())
}

/// Who is measured in turns.
fn group(plan: &Plan, size: Size, variants: &[Variant], only: &[String]) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    let mut running = Vec::new();
    for variant in variants {
        for contender in ALL.iter().filter(|one| one.takes(size, *variant)) {
            if !only.is_empty() && !only.iter().any(|key| key == contender.key) {
                continue;
            }
            let failed = |after: &str| rows.iter().any(|row| row.engine == after && row.load_s.is_none());
            let (row, process) = match contender.after {
                Some(after) if failed(after) => (unloaded(contender, size, *variant, "loads as the row above"), None),
                _ => start(plan, contender, size, *variant)?,
            };
            if let Some(process) = process {
                running.push((rows.len(), process));
            }
            eprintln!("{}", told(&row));
            rows.push(row);
        }
    }
    for _ in 0..plan.rounds {
        for (row, process) in &mut running {
            if let Report::Took(ns) = process.obey(&Order::Round(plan.round_ms), PATIENCE)? {
                rows[*row].rounds_ns.push(ns);
            }
        }
    }
    if variants.contains(&Variant::Plain) {
        for (row, process) in &mut running {
            changes(plan, &mut rows[*row], process)?;
        }
    }
    for row in &rows {
        eprintln!("{}", told(row));
    }
    Ok(rows)
}

fn changes(plan: &Plan, row: &mut Row, process: &mut Process) -> Result<()> {
    for (order, name) in [(Order::Assign(plan.change_ms), "assignment"), (Order::Grant(plan.change_ms), "role")] {
        let note = match process.obey(&order, PATIENCE)? {
            Report::Took(ns) if name == "role" => {
                row.grant_ns = Some(ns);
                continue;
            }
            Report::Took(ns) => {
                row.assign_ns = Some(ns);
                continue;
            }
            Report::Failed(why) => format!("change of one {name}: {why}"),
            other => bail!("{}: {other:?}", row.engine),
        };
        eprintln!("{} {}: {note}", row.engine, row.size);
        row.note = Some(note);
        if !process.is_alive {
            break;
        }
    }
    Ok(())
}

fn unloaded(contender: &Contender, size: Size, variant: Variant, why: &str) -> Row {
    Row {
        engine: contender.key.to_owned(),
        size: size.name().to_owned(),
        variant: variant.name().to_owned(),
        note: Some(why.to_owned()),
        ..Row::default()
    }
}

/// What is written before a load, and given back: more than Rolekeep and the floors take.
const TOUCHED: usize = 512 << 20;

/// Has the machine hand out memory that the next process can have. A virtual one gets a page from its host when it
/// first writes it: whoever came first would pay for that, and it takes as long as the load itself.
fn touch_memory() {
    let mut memory = vec![0_u8; TOUCHED];
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    std::hint::black_box(memory);
}

/// Loads it and compares its answers; without a process where it could not.
fn start(plan: &Plan, contender: &Contender, size: Size, variant: Variant) -> Result<(Row, Option<Process>)> {
    let mut process = Process::start(contender.key, size, variant)?;
    if size == Size::L {
        touch_memory();
    }
    let mut row = unloaded(contender, size, variant, "");
    row.note = None;
    let Report::Loaded(seconds, resident, peak) = (match process.obey(&Order::Load, LOADING)? {
        Report::Failed(why) => return Ok((unloaded(contender, size, variant, &format!("not loaded: {why}")), None)),
        report => report,
    }) else {
        bail!("{}: does not load", contender.key)
    };
    (row.load_s, row.memory_mib, row.peak_mib) = (Some(seconds), Some(resident), Some(peak));
    let budget = if contender.all { plan.compare_all_ms } else { plan.compare_ms };
    match process.obey(&Order::Compare(budget), PATIENCE + Duration::from_millis(budget))? {
        Report::Right(compared) => row.compared = compared,
        Report::Failed(why) => {
            row.note = Some(why);
            return Ok((row, None));
        }
        other => bail!("{} at {} {}: {other:?}", contender.key, size.name(), variant.name()),
    }
    Ok((row, Some(process)))
}

fn told(row: &Row) -> String {
    let unit = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
    format!(
        "{} {:<9} {:<22} load {} s, {} MiB, check {} ns ({} compared), assignment {} ns, role {} ns {}",
        row.size,
        row.variant,
        row.engine,
        row.load_s.map_or("-".to_owned(), |value| format!("{value:.3}")),
        unit(row.memory_mib),
        unit(row.check_ns()),
        row.compared,
        unit(row.assign_ns),
        unit(row.grant_ns),
        row.note.as_deref().unwrap_or_default(),
    )
}

/// A child, until it is dropped.
struct Process {
    child: Child,
    orders: ChildStdin,
    reports: Receiver<Report>,
    is_alive: bool,
}

impl Process {
    fn start(key: &str, size: Size, variant: Variant) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["child", key, size.name(), variant.name()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = child.stdin.take().context("no way in")?;
        let out = child.stdout.take().context("no way out")?;
        let (send, reports) = channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                // What a library prints for itself is no report.
                let Ok(report) = serde_json::from_str(&line) else { continue };
                if send.send(report).is_err() {
                    return;
                }
            }
        });
        let mut process = Self { child, orders, reports, is_alive: true };
        match process.report(LOADING) {
            Report::Ready => Ok(process),
            other => bail!("{key}: {other:?}"),
        }
    }

    fn obey(&mut self, order: &Order, patience: Duration) -> Result<Report> {
        if !self.is_alive {
            return Ok(Report::Failed("ended before".to_owned()));
        }
        writeln!(self.orders, "{}", serde_json::to_string(order)?)?;
        self.orders.flush()?;
        Ok(self.report(patience))
    }

    /// What it answers; ended where it uses more of the processor than `patience`.
    fn report(&mut self, patience: Duration) -> Report {
        let begin = self.spent();
        loop {
            match self.reports.recv_timeout(Duration::from_millis(200)) {
                Ok(report) => return report,
                Err(RecvTimeoutError::Disconnected) => return self.end("it crashed".to_owned()),
                Err(RecvTimeoutError::Timeout) if self.spent() - begin > patience => {
                    return self.end(format!("over {} s", patience.as_secs()));
                }
                Err(RecvTimeoutError::Timeout) if self.resident() > MEMORY => {
                    return self.end(format!("over {} GiB", MEMORY / 1024.0));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// The processor's time that it had so far, of which Linux tells hundredths of a second.
    fn spent(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // The name in brackets may hold anything; after it, times are the 12th and 13th.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(10 * ticks)
    }

    fn resident(&self) -> f64 {
        let pages = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).ok();
        let pages = pages.and_then(|text| text.split_whitespace().nth(1)?.parse::<f64>().ok());
        pages.unwrap_or_default() * 4.0 / 1024.0
    }

    fn end(&mut self, why: String) -> Report {
        self.is_alive = false;
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        Report::Failed(why)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_alive {
            self.end(String::new());
        }
    }
}
