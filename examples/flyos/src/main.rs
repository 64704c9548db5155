//! The main job: FlyOS on an SQLite file.
//!
//! Loads a policy file and a seed file, lets each account sign in and see what it may see, is
//! refused what it may not (with the explanation), moves a drone, suspends an operator, verifies
//! the audit log, and starts again as a new process on the same file.

mod passwords;
mod report;
mod story;
mod tables;

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use clap::Parser;
use rolekeep::{Code, Config, Error, Policy, Reason, Result, UserManagement};

use crate::{passwords::Passwords, report::Restart};

/// Runs the FlyOS scenario on an SQLite file.
#[derive(Parser)]
#[command(name = "flyos", version)]
struct Arguments {
    /// The SQLite file; without it a temporary one that is removed at the end.
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// The policy file (TOML or JSON).
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../core/policies/flyos.toml"))]
    policy: PathBuf,
    /// The seed file.
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/seed.json"))]
    seed: PathBuf,
    /// A JSON file with a password for each e-mail address; without it passwords are made and shown once.
    #[arg(long, value_name = "FILE")]
    passwords: Option<PathBuf>,
    /// Prints one JSON document instead of tables.
    #[arg(long)]
    json: bool,
    /// The second process: what is still there. Reads the passwords from standard input.
    #[arg(long, hide = true)]
    after_restart: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.json;
    match run(arguments).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            if json {
                println!("{}", serde_json::json!({ "error": error }));
            } else {
                eprintln!("{}: {error}", error.code());
            }
            ExitCode::from(2)
        }
    }
}

/// Whether everything came out as it must.
async fn run(arguments: Arguments) -> Result<bool> {
    let policy = read_policy(&arguments.policy)?;
    let seed = read(&arguments.seed)?;
    // Kept until the end of the run, so that the file is.
    let temporary = tempfile::tempdir().map_err(|problem| unreadable(Path::new("temporary folder"), &problem))?;
    let file = arguments.db.clone().unwrap_or_else(|| temporary.path().join("flyos.db"));
    let passwords = match (&arguments.passwords, arguments.after_restart) {
        (_, true) => Passwords::from_json(&standard_input()?)?,
        (Some(path), false) => Passwords::from_json(&read(path)?)?,
        (None, false) => Passwords::generate(&seed)?,
    };

    // Each run has sign-ins that are refused, and it is run again and again.
    let config = Config::new().sign_in_tries(100);
    let um = UserManagement::builder().policy(policy).sqlite(&file).config(config).open().await?;
    if arguments.after_restart {
        let restart = story::after_restart(&um, &seed, &passwords).await?;
        um.close().await?;
        println!("{}", serde_json::json!(restart));
        return Ok(true);
    }
    let mut report = story::tell(&um, &seed, &passwords).await.map_err(|error| {
        let were_made = arguments.passwords.is_none() && error.code() == Code::Unauthorized;
        let message = "this file was set up before, with other passwords: give them with --passwords FILE";
        if were_made { Error::new(Reason::InvalidCredentials, message) } else { error }
    })?;
    um.close().await?;
    if report.setup.users_created > 0 && arguments.passwords.is_none() {
        report.generated_passwords = Some(passwords.clone());
    }
    report.after_restart = Some(restart(&arguments, &file, &passwords)?);
    if arguments.json {
        println!("{}", serde_json::json!(report));
    } else {
        tables::print(&report, &file);
    }
    Ok(report.is_as_expected())
}

/// Runs this program again on the same file and reads what it found.
fn restart(arguments: &Arguments, file: &Path, passwords: &Passwords) -> Result<Restart> {
    let failed =
        |problem: &dyn std::fmt::Display| Error::new(Reason::Internal, format!("the second process: {problem}"));
    let program = std::env::current_exe().map_err(|problem| failed(&problem))?;
    let mut process = Command::new(program)
        .args(["--after-restart", "--json", "--db"])
        .arg(file)
        .arg("--policy")
        .arg(&arguments.policy)
        .arg("--seed")
        .arg(&arguments.seed)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|problem| failed(&problem))?;
    if let Some(mut input) = process.stdin.take() {
        input.write_all(passwords.to_json().as_bytes()).map_err(|problem| failed(&problem))?;
    }
    let output = process.wait_with_output().map_err(|problem| failed(&problem))?;
    serde_json::from_slice(&output.stdout)
        .map_err(|problem| failed(&format!("{problem}: {}", String::from_utf8_lossy(&output.stdout))))
}

fn read_policy(path: &Path) -> Result<Policy> {
    let text = read(path)?;
    if path.extension().is_some_and(|extension| extension == "json") {
        Policy::from_json(&text)
    } else {
        Policy::from_toml(&text)
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|problem| unreadable(path, &problem))
}

fn unreadable(path: &Path, problem: &std::io::Error) -> Error {
    Error::new(Reason::ConfigInvalid, format!("{}: {problem}", path.display()))
}

fn standard_input() -> Result<String> {
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.map_err(|problem| unreadable(Path::new("standard input"), &problem))?;
    Ok(text)
}
