//! `rolekeep migrate`: the schema of a database, from a terminal.

use serde_json::{Map, json};

use super::{Output, USAGE, waited};
use crate::{
    config::Layers,
    migrations::{Checksum, Migrations, Status, Step},
    model::error::Result,
};

/// The word that begins it.
pub(super) const WORD: &str = "migrate";

/// Runs it with the arguments behind the word.
pub(super) fn run(arguments: &[&str]) -> Output {
    let Some((word, layers, given)) = asked(arguments) else {
        return Output { code: 2, out: String::new(), err: USAGE.to_owned() };
    };
    if arguments.windows(2).any(|pair| matches!(pair, ["--postgres", url] if has_password(url))) {
        let message =
            "a password is no argument, as every process sees those: give the URL in the variable ROLEKEEP_POSTGRES\n";
        return Output { code: 2, out: String::new(), err: message.to_owned() };
    }
    waited(answer(word, &layers, &given))
}

/// What is to be done, and the settings of the environment, of a file and of the arguments.
fn asked<'a>(arguments: &[&'a str]) -> Option<(&'a str, Layers, String)> {
    let (word, options) = arguments.split_first()?;
    let (mut layers, mut given) = (Layers::of_process(), Map::new());
    for option in options.chunks(2) {
        let [name, value] = option else { return None };
        match *name {
            "--sqlite" => given.insert("sqlite".to_owned(), json!(value)),
            "--postgres" => given.insert("postgres".to_owned(), json!(value)),
            "--schema" => given.insert("postgres_schema".to_owned(), json!(value)),
            "--config" => {
                layers = layers.file(value);
                None
            }
            _ => return None,
        };
    }
    ["status", "plan", "apply", "down", "grants"]
        .contains(word)
        .then(|| (*word, layers, serde_json::Value::Object(given).to_string()))
}

/// Whether a URL has a password, also one that is no URL because of what is in it.
fn has_password(url: &str) -> bool {
    let (_, place) = url.split_once("://").unwrap_or(("", url));
    let is_before_host = place.rsplit_once('@').is_some_and(|(account, _)| account.contains(':'));
    is_before_host || place.split(['?', '&']).skip(1).any(|said| said.starts_with("password="))
}

async fn answer(word: &str, layers: &Layers, given: &str) -> Result<String> {
    let migrations = Migrations::of(&layers.config(given)?)?;
    match word {
        "plan" => migrations.plan().await,
        "grants" => migrations.grants(),
        "apply" => Ok(migrations.apply().await?.iter().map(|step| line("applied", step)).collect()),
        "down" => Ok(migrations.down().await?.iter().map(|step| line("taken back", step)).collect()),
        _ => Ok(page(&migrations.status().await?)),
    }
}

fn line(what: &str, step: &Step) -> String {
    format!("{what} {:04} {}\n", step.version, step.name)
}

/// A line for each step.
fn page(status: &Status) -> String {
    let mut page = format!("schema {}, newest known {}\n", status.version, status.newest);
    for applied in &status.history {
        let at = applied.applied_at.map(|at| at.to_string()).unwrap_or_default();
        let name = applied.name.as_deref().unwrap_or("?");
        let differs = if applied.checksum == Checksum::Differs { " (another script)" } else { "" };
        page.push_str(&format!("applied {:04} {name} {at}{differs}\n", applied.version));
    }
    page.extend(status.pending.iter().map(|step| line("pending", step)));
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_no_argument() {
        for url in [
            "postgres://ada:hunter2@localhost/app",
            "postgres://ada:hunter2%40@localhost:5432/app?sslmode=require",
            "postgresql://ada:hunter2/@localhost/app",
            "ada:hunter2@localhost",
            "postgres://ada@localhost/app?sslmode=require&password=hunter2",
        ] {
            let refused = run(&["grants", "--schema", "x", "--postgres", url]);
            assert_eq!((refused.code, refused.out.as_str()), (2, ""), "{url}");
            assert!(refused.err.contains("ROLEKEEP_POSTGRES") && !refused.err.contains("hunter2"), "{}", refused.err);
        }
        for url in ["postgres://ada@localhost:5432/app", "postgres:///app?host=/run/postgresql"] {
            assert!(!has_password(url), "{url}");
        }
    }
}
