//! One engine with one workload in a process of its own, so that memory is its own: does what the parent
//! orders, line by line.

use std::{
    io::{BufRead, Write},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rolekeep_lab::{
    Edit, Engine, Workload,
    figures::{resident, spent},
};

use crate::results::{Order, Report};

/// So many checks between two looks at the clock, for engines that are fast enough.
const BLOCK: usize = 1_000;
/// At least so many answers are compared, however slow the engine is.
const COMPARED: usize = 5;

/// Serves until the parent closes its end.
pub fn serve<E: Engine>(workload: Workload) -> Result<()> {
    let mut serving = Serving::<E> { workload, engine: None, asks: Vec::new(), at: 0 };
    tell(&Report::Ready)?;
    for line in std::io::stdin().lock().lines() {
        let order = serde_json::from_str(&line?)?;
        let report = serving.obey(&order).unwrap_or_else(|error| Report::Failed(format!("{error:#}")));
        tell(&report)?;
    }
    // Giving a million principals back one by one would only take time.
    std::process::exit(0);
}

fn tell(report: &Report) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(report)?)?;
    Ok(out.flush()?)
}

struct Serving<E: Engine> {
    workload: Workload,
    engine: Option<E>,
    asks: Vec<E::Ask>,
    at: usize,
}

impl<E: Engine> Serving<E> {
    fn obey(&mut self, order: &Order) -> Result<Report> {
        match *order {
            Order::Load => self.load(),
            Order::Compare(millis) => self.compare(Duration::from_millis(millis)),
            Order::Round(millis) => self.round(Duration::from_millis(millis)),
            Order::Assign(millis) => self.change(Duration::from_millis(millis), E::assign),
            Order::Grant(millis) => self.change(Duration::from_millis(millis), E::grant),
        }
    }

    fn load(&mut self) -> Result<Report> {
        let before = resident("VmRSS")?;
        let begin = spent();
        self.engine = Some(E::load(&self.workload)?);
        let seconds = (spent() - begin).as_secs_f64();
        let peak = resident("VmHWM")? - before;
        Ok(Report::Loaded(seconds, resident("VmRSS")? - before, peak))
    }

    /// Only what was compared is timed: an engine that remembers decisions then remembers all of them.
    fn compare(&mut self, budget: Duration) -> Result<Report> {
        let engine = self.engine.as_mut().context("nothing is loaded")?;
        let begin = spent();
        for query in &self.workload.queries {
            let ask = engine.ask(&self.workload, query)?;
            if engine.check(&ask)? != query.answer {
                return Ok(Report::Wrong(format!("{query:?}")));
            }
            self.asks.push(ask);
            if self.asks.len() >= COMPARED && spent() - begin > budget {
                break;
            }
        }
        Ok(Report::Right(self.asks.len()))
    }

    fn round(&mut self, budget: Duration) -> Result<Report> {
        let engine = self.engine.as_mut().context("nothing is loaded")?;
        let (mut checks, mut allowed, mut block) = (0, 0, 1);
        let begin = spent();
        loop {
            let end = (self.at + block).min(self.asks.len());
            for ask in &self.asks[self.at..end] {
                allowed += usize::from(engine.check(ask)?);
            }
            checks += end - self.at;
            self.at = if end == self.asks.len() { 0 } else { end };
            let took = spent() - begin;
            if took >= budget {
                std::hint::black_box(allowed);
                return Ok(Report::Took(took.as_nanos() as f64 / checks as f64));
            }
            if took.as_micros() < 20 * checks as u128 {
                block = BLOCK;
            }
        }
    }

    /// Each edit is made, seen, taken back, and seen again.
    fn change(&mut self, budget: Duration, change: impl Fn(&mut E, &Edit, bool) -> Result<()>) -> Result<Report> {
        let engine = self.engine.as_mut().context("nothing is loaded")?;
        let edits = &self.workload.edits;
        let asks = edits.iter().map(|edit| engine.ask(&self.workload, &edit.query)).collect::<Result<Vec<_>>>()?;
        let mut edits = edits.iter().zip(&asks).cycle();
        let (begin, mut changes, mut block) = (spent(), 0, 1);
        loop {
            for (edit, ask) in edits.by_ref().take(block) {
                for on in [true, false] {
                    change(engine, edit, on)?;
                    if engine.check(ask)? != on {
                        bail!("a change is not seen: {on} {edit:?}");
                    }
                }
            }
            changes += 2 * block;
            let took = spent() - begin;
            if took >= budget {
                return Ok(Report::Took(took.as_nanos() as f64 / changes as f64));
            }
            if took.as_micros() < 100 * changes as u128 {
                block = 100;
            }
        }
    }
}
