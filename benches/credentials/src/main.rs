//! What credentials cost, beside what nobody could do without: sign-ins beside bare Argon2id, tokens beside bare signatures, and the
//! memory of a crowd. `scripts/bench credentials` runs it.

mod crowd;
mod report;
mod sign_ins;
mod tokens;

use std::path::Path;

use anyhow::{Result, bail};

/// How much to measure.
struct Plan {
    /// How often each is measured, in turns.
    rounds: usize,
    /// How many sign-ins a round has.
    sign_ins: usize,
    /// How many tokens a round verifies.
    tokens: usize,
    /// How many sign in at once.
    crowd: usize,
}

const WHOLE: Plan = Plan { rounds: 41, sign_ins: 64, tokens: 20_000, crowd: 10_000 };
const QUICK: Plan = Plan { rounds: 9, sign_ins: 64, tokens: 2_000, crowd: 10_000 };

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (plan, page) = match arguments.as_slice() {
        ["measure", page] => (&WHOLE, Path::new(page)),
        ["quick", page] => (&QUICK, Path::new(page)),
        ["crowd", count] => return crowd::child(count.parse()?),
        ["thousand"] => return crowd::thousand(),
        _ => bail!("usage: credentials measure|quick PAGE"),
    };
    let sign_ins = sign_ins::measure(plan)?;
    let tokens = tokens::measure(plan)?;
    let crowd = crowd::measure(plan.crowd)?;
    report::write(page, plan, &sign_ins, &tokens, &crowd)
}
