//! The page.

use std::{fmt::Write, path::Path};

use anyhow::Result;

use crate::{Plan, crowd::Crowd, sign_ins, tokens::Tokens};

/// Writes it.
pub fn write(page: &Path, plan: &Plan, sign_ins: &[sign_ins::Row], tokens: &Tokens, crowd: &Crowd) -> Result<()> {
    let mut text = String::from(
        "# What credentials cost\n\n\
         <!-- Written by `scripts/bench credentials`; do not edit. -->\n\n\
         Beside what nobody can do without, measured in turns on one machine. **Read the ratios**: the rest is this machine's, on this day.\n\n\
         ## Targets\n\n\
         | what | measured | target | met |\n|---|--:|--:|--:|\n",
    );
    let mut target = |what: &str, measured: String, wanted: &str, is_met: bool| {
        writeln!(text, "| {what} | {measured} | {wanted} | {} |", if is_met { "yes" } else { "**no**" })
    };
    for row in sign_ins {
        let what = format!("sign-ins, {} at once, to bare Argon2id in as many places", row.at_once);
        target(&what, format!("{:.0} %", row.ratios[0] * 100.0), "≥ 95 %", row.ratios[0] >= 0.95)?;
    }
    for row in &tokens.rows {
        if row.name == "HS256" {
            let rate = 1e9 / row.ours;
            target("HS256, tokens verified in a second by a core", thousands(rate), "≥ 100,000", rate >= 100_000.0)?;
        } else {
            let ratio = row.ours / row.bare;
            let what = format!("{}, a token to its signature alone", row.name);
            target(&what, format!("{ratio:.2}×"), "≤ 1.2×", ratio <= 1.2)?;
        }
    }
    let what = format!("{} sign-ins at once, resident at most", thousands(crowd.count as f64));
    target(&what, format!("{:.0} MiB", crowd.most), "≤ 400 MiB", crowd.most <= 400.0)?;
    let (before, after) = crowd.settled;
    let grown = after - before;
    target("resident after 1,000 more sign-ins than ten", format!("{grown:+.0} MiB"), "≤ 40 MiB", grown <= 40.0)?;

    writeln!(
        text,
        "\n## Sign-ins\n\n\
         Whole sign-ins by e-mail address and password: look-up, limits, one Argon2id (19 MiB, 2 passes), and the commit of the session. {} hashes \
         run at a time, as by default; bare ones have as many threads, and memory that they keep. {} accounts sign in, one after the other. Medians of {} rounds of {}, and of the ratios within each.\n\n\
         After each hash its memory is wiped, as by Argon2's reference implementation, so that nobody who reads it guesses faster; where others \
         wait, a sign-in leaves that to the next hash, which overwrites it. Ratios are to bare hashes that are wiped. The last columns are bare \
         hashes that leave what they worked with in memory, and the ratio of sign-ins in memory to them: where nobody waits, a sign-in cannot \
         be faster than the wiped ones.\n\n\
         | at once | bare Argon2id, wiped | sign-ins, in memory | | sign-ins, SQLite | | bare, not wiped | |\n|--:|--:|--:|--:|--:|--:|--:|--:|",
        sign_ins::PLACES,
        sign_ins::USERS,
        plan.rounds,
        plan.sign_ins,
    )?;
    for row in sign_ins {
        let [memory, sqlite] = row.ours;
        let [of_memory, of_sqlite] = row.ratios.map(|ratio| ratio * 100.0);
        let [bare, unwiped] = row.bare;
        let to_unwiped = row.to_unwiped * 100.0;
        writeln!(
            text,
            "| {} | {bare:.1}/s | {memory:.1}/s | {of_memory:.0} % | {sqlite:.1}/s | {of_sqlite:.0} % | {unwiped:.1}/s | {to_unwiped:.0} % |",
            row.at_once
        )?;
    }
    writeln!(
        text,
        "\n## Tokens\n\n\
         A processor's time to verify an access token that was not seen before: its header, signature, claims and times. Bare is the signature alone by \
         the same library; `jsonwebtoken` 11 (its feature `rust_crypto`) is asked for the same issuer, audience and times.\n\n\
         | algorithm | signature alone | Rolekeep | | `jsonwebtoken` | |\n|---|--:|--:|--:|--:|--:|"
    )?;
    for row in &tokens.rows {
        let [bare, ours, peer] = [row.bare, row.ours, row.peer].map(|nanos| nanos / 1000.0);
        let (to_bare, peers) = (ours / bare, peer / bare);
        writeln!(text, "| {} | {bare:.1} µs | {ours:.1} µs | {to_bare:.2}× | {peer:.1} µs | {peers:.2}× |", row.name)?;
    }
    let calls = thousands(1e9 / tokens.authenticate);
    writeln!(
        text,
        "\n`authenticate`, which also finds the session and the user's rights in memory and makes a caller of them, takes {:.1} µs: {calls} calls in a second by a core.\n\n\
         ## A crowd\n\n\
         {} sign in at once; one in a hundred sends a password of 5 MB.\n\n\
         | let in | told to come back, as the queue is full | refused as wrong, as too long | resident at most |\n|--:|--:|--:|--:|\n\
         | {} | {} | {} | {:.0} MiB |\n\n\
         After ten sign-ins {before:.0} MiB are resident, after 1,000 more {after:.0} MiB.",
        tokens.authenticate / 1000.0,
        thousands(crowd.count as f64),
        thousands(crowd.let_in as f64),
        thousands(crowd.full as f64),
        crowd.too_long,
        crowd.most,
    )?;
    std::fs::write(page, text)?;
    Ok(())
}

/// `12,345`
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
