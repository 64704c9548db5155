//! The main job as a user runs it: the program, its exit code, its output.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};

const ACCOUNTS: [&str; 5] =
    ["main@flyos.mil", "east@flyos.mil", "west@flyos.mil", "operator1@flyos.mil", "operator2@flyos.mil"];

fn flyos(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flyos")).current_dir(folder).args(arguments).output().unwrap()
}

fn on_file(folder: &Path) -> Value {
    let output = flyos(folder, &["--json", "--db", "flyos.db", "--passwords", "passwords.json"]);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn with_passwords() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let passwords = ACCOUNTS.map(|email| (email.to_owned(), format!("correct horse {}", email.len()))).into_iter();
    let passwords: serde_json::Map<String, Value> =
        passwords.map(|(email, password)| (email, json!(password))).collect();
    std::fs::write(folder.path().join("passwords.json"), Value::Object(passwords).to_string()).unwrap();
    folder
}

#[test]
fn twice_on_one_file() {
    let folder = with_passwords();
    let first = on_file(folder.path());
    assert_eq!(first["setup"], json!({"users_created": 5, "regions_created": 2, "drones_created": 5}));
    assert_eq!(first.get("generated_passwords"), None);
    let account = |report: &Value, at: usize| report["accounts"][at].clone();
    let main = account(&first, 0);
    assert_eq!(main["users"], json!(["east_commander", "main_admin", "operator1", "operator2", "west_commander"]));
    assert_eq!(main["regions"][0], json!({"code": "east", "users": 2, "drones": 2}));
    assert_eq!(main["drones"], json!(["drone-001", "drone-002", "drone-003", "drone-004", "drone-005"]));
    assert_eq!(account(&first, 1)["drones"], json!(["drone-001", "drone-003"]));
    assert_eq!(account(&first, 2)["users"], json!(["operator2", "west_commander"]));
    assert_eq!(account(&first, 3)["users"], json!(null));
    assert_eq!(account(&first, 3)["drones"], json!(["drone-001", "drone-005"]));
    assert_eq!(account(&first, 4)["drones"], json!(["drone-002"]));
    let refused: Vec<_> = first["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|account| account["refused"].as_array().unwrap())
        .collect();
    assert_eq!(refused.len(), 7);
    assert!(refused.iter().all(|refusal| refusal["code"] == refusal["expected"]));
    assert_eq!(refused.iter().filter(|refusal| refusal["explanation"].is_string()).count(), 5);

    let second = on_file(folder.path());
    assert_eq!(second["setup"], json!({"users_created": 0, "regions_created": 0, "drones_created": 0}));
    assert_eq!(account(&second, 3)["login"], "UNAUTHORIZED");
    assert_eq!(account(&second, 4)["drones"], json!(["drone-002", "drone-005"]));
    assert_eq!(second["after_restart"]["users"], 5);
    assert_eq!(second["audit"]["is_whole"], true);
}

#[test]
fn tables_and_passwords_shown_once() {
    let folder = tempfile::tempdir().unwrap();
    let output = flyos(folder.path(), &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("Passwords, shown this once") && text.trim_end().ends_with("All as it must be."), "{text}");
    // Nothing is left behind.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_was_set_up_before_asks_for_its_passwords() {
    let folder = with_passwords();
    on_file(folder.path());
    let output = flyos(folder.path(), &["--db", "flyos.db"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("--passwords"));
}

#[test]
fn bad_input_is_named() {
    let folder = with_passwords();
    let path = folder.path();
    std::fs::write(path.join("bad.toml"), "[roles.a]\nallow = [\"drone:fly\"]\n").unwrap();
    std::fs::write(path.join("bad.json"), "{\"users\": [{\"email\": \"x\"}]}").unwrap();
    std::fs::write(path.join("none.db"), "this is no database, but long enough to be looked at as one".repeat(20))
        .unwrap();
    let cases: [(&[&str], &str, &str); 6] = [
        (&["--policy", "bad.toml"], "VALIDATION_ERROR", "policy:2:10"),
        (&["--policy", "missing.toml"], "VALIDATION_ERROR", "missing.toml"),
        (&["--seed", "bad.json"], "VALIDATION_ERROR", "users[0].id"),
        (&["--db", "none.db"], "UNAVAILABLE", "database"),
        (&["--db", "nowhere/flyos.db"], "UNAVAILABLE", "folder"),
        (&["--passwords", "bad.toml"], "VALIDATION_ERROR", "passwords"),
    ];
    for (arguments, code, place) in cases {
        let output = flyos(path, arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.starts_with(code) && text.contains(place), "{arguments:?}: {text}");
        let output = flyos(path, &[arguments, &["--json"]].concat());
        let error: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(error["error"]["code"], code);
    }
}
