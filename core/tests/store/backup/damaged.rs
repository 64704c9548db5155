//! Backups that are not as they were written: each is refused, at its line.

use proptest::prelude::*;
use rolekeep::{Error, Result, storage::tables};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::*;

/// A small one, and its lines.
fn file() -> Vec<u8> {
    static FILE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let make = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { Stage::open(Builder::memory).await.backup().await.0 })
    };
    FILE.get_or_init(|| std::thread::spawn(make).join().unwrap()).clone()
}

fn lines(file: &[u8]) -> Vec<Vec<u8>> {
    file.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn verify(file: &[u8]) -> Result<BackupSummary> {
    backup::verify(file, Some(&KEY.into()))
}

fn line_of(error: &Error) -> usize {
    let [problem] = error.problems() else { panic!("{error:?}") };
    assert!(error.message().contains(&format!("line {}", problem.line)), "{error}");
    problem.line as usize
}

/// What is wrong, and where.
fn refused(file: &[u8]) -> (Reason, usize) {
    let error = verify(file).unwrap_err();
    assert!(!format!("{error:?}").contains("Lovelace"), "an error shows a row");
    (error.reason(), line_of(&error))
}

proptest! {
    #[test]
    fn a_byte_that_was_changed_is_found_at_its_line(at in any::<prop::sample::Index>(), change in 1..=255_u8) {
        let mut file = file();
        let at = at.index(file.len());
        let line = file[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        file[at] ^= change;
        let error = verify(&file).unwrap_err();
        // Of what says a newer version or schema nothing more is known.
        let reasons = [Reason::BackupInvalid, Reason::BackupKeyWrong, Reason::SchemaNewer, Reason::SchemaForeign];
        prop_assert!(reasons.contains(&error.reason()), "{error}");
        prop_assert_eq!(line_of(&error), line, "{}", error);
    }

    #[test]
    fn a_file_that_ends_early_is_none(at in any::<prop::sample::Index>()) {
        let file = file();
        let at = at.index(file.len());
        let (reason, line) = refused(&file[..at]);
        let whole = file[..at].iter().filter(|byte| **byte == b'\n').count();
        prop_assert_eq!((reason, line), (Reason::BackupInvalid, whole + 1));
    }
}

#[test]
fn no_line_is_missing_double_or_in_another_place() {
    let file = file();
    let lines = lines(&file);
    let joined = |lines: &[Vec<u8>]| lines.concat();
    for at in 0..lines.len() {
        let mut without = lines.clone();
        without.remove(at);
        let (reason, line) = refused(&joined(&without));
        assert_eq!((reason, line), (Reason::BackupInvalid, at + 1), "line {} is missing", at + 1);
        let mut double = lines.clone();
        double.insert(at, lines[at].clone());
        let (reason, line) = refused(&joined(&double));
        assert_eq!((reason, line), (Reason::BackupInvalid, at + 2), "line {} stands twice", at + 1);
        if at > 0 {
            let mut swapped = lines.clone();
            swapped.swap(at - 1, at);
            let (reason, line) = refused(&joined(&swapped));
            assert_eq!((reason, line), (Reason::BackupInvalid, at), "lines {at} and {} changed places", at + 1);
        }
    }
    let (reason, line) = refused(&[&file[..], b"\n"].concat());
    assert_eq!((reason, line), (Reason::BackupInvalid, lines.len() + 1));
}

/// The file up to a table, with these rows in it: as whoever replaces it can write them, who has not the key. And the first one's line.
fn forged(table: &str, rows: impl IntoIterator<Item = Vec<Json>>) -> (Vec<u8>, usize) {
    let lines = lines(&file());
    let begins = |line: &Vec<u8>| line.starts_with(format!("{{\"table\":\"{table}\"").as_bytes());
    let at = lines.iter().position(begins).unwrap() + 1;
    let (mut forged, mut hash) = (lines[..at].concat(), Sha256::new());
    for row in rows {
        let content = serde_json::to_string(&row).unwrap();
        hash.update(format!("{content}\n"));
        let check: String = hash.clone().finalize()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        forged.extend(format!("{},\"{check}\"]\n", &content[..content.len() - 1]).into_bytes());
    }
    (forged, at + 1)
}

/// The first row of a table, without its check.
fn first_row(table: &str) -> Vec<Json> {
    let (before, _) = forged(table, []);
    let mut row: Vec<Json> = serde_json::from_slice(&lines(&file()[before.len()..])[0]).unwrap();
    row.pop();
    row
}

#[test]
fn of_what_is_held_in_memory_there_is_no_more_than_a_store_has() {
    for table in ["audit_entries", "audit_heads"] {
        let table = tables().iter().find(|declared| declared.name == table).unwrap();
        let lane = table.position("lane").unwrap();
        let row = first_row(table.name);
        let rows = (0..70).map(|number: i64| {
            let mut row = row.clone();
            row[lane] = number.into();
            row
        });
        let (file, first) = forged(table.name, rows);
        assert_eq!(refused(&file), (Reason::BackupInvalid, first + 64), "{}", table.name);
    }
    let row = first_row("store_secrets");
    let rows = ["audit", "names", "names of others"].map(|name| [&[Json::from(name)], &row[1..]].concat());
    let (file, first) = forged("store_secrets", rows);
    assert_eq!(refused(&file), (Reason::BackupInvalid, first + 2));
}

#[test]
fn what_is_none_is_said_to_be_none() {
    for text in [
        "",
        "\n",
        "hello\n",
        "id,name\n1,2\n",
        "{}\n",
        "[1]\n",
        "{\"rolekeep_backup\":\"1\"}\n",
        "{\"rolekeep_backup\":1}\n",
    ] {
        assert_eq!(refused(text.as_bytes()), (Reason::BackupInvalid, 1), "{text:?}");
    }
    assert_eq!(refused(&[0xff, 0xfe, b'\n']), (Reason::BackupInvalid, 1));
    assert_eq!(refused(b"{\"rolekeep_backup\":2,\"whatever\":1}\n"), (Reason::SchemaNewer, 1));
}

/// What it says of its version is in errors and in the audit log, before anything was verified.
#[test]
fn a_version_that_is_none_is_not_repeated() {
    let text = String::from_utf8(lines(&file()).swap_remove(0)).unwrap();
    let (before, _) = text.rsplit_once("\"check\":").unwrap();
    let schema = verify(&file()).unwrap().schema;
    let of_schema_1 = before.replace(&format!("\"schema\":{schema},"), "\"schema\":1,");
    let own = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
    let forged = |version: &str| {
        let before = of_schema_1.replace(&own, &format!("\"version\":{}", Json::from(version)));
        let hash = Sha256::digest(format!("{before}\"check\":\"\"}}\n"));
        let check: String = hash[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        verify(format!("{before}\"check\":\"{check}\"}}\n").as_bytes()).unwrap_err()
    };
    let older = forged("1.2.3-rc.1+build");
    assert_eq!(older.reason(), Reason::SchemaForeign);
    assert!(older.message().contains("version 1.2.3-rc.1+build"), "{older}");
    for version in ["", "1.2, from evil.example", "1.2\u{1b}[2J", "1.2\n", &"1".repeat(65)] {
        let error = forged(version);
        assert_eq!((error.reason(), line_of(&error)), (Reason::BackupInvalid, 1), "{version:?}");
        assert!(version.is_empty() || !format!("{error} {error:?}").contains(version), "{error:?}");
    }
    let long = format!("{{\"rolekeep_backup\":2,\"whatever\":\"{}\"}}\n", "x".repeat(64 * 1024));
    assert_eq!(refused(long.as_bytes()), (Reason::BackupInvalid, 1));
}

#[test]
fn the_key_decides() {
    let sealed = file();
    let last = lines(&sealed).len();
    let known = backup::verify(&sealed[..], None).unwrap();
    assert!(known.is_sealed);
    let error = backup::verify(&sealed[..], Some(&"another".into())).unwrap_err();
    assert_eq!((error.reason(), line_of(&error)), (Reason::BackupKeyWrong, last));
    // Whoever takes the seal off has taken off what the key asks for.
    let text = String::from_utf8(sealed).unwrap();
    let (before, _) = text.rsplit_once(",\"hmac\"").unwrap();
    let bare = format!("{before}}}\n");
    assert!(!backup::verify(bare.as_bytes(), None).unwrap().is_sealed);
    let error = verify(bare.as_bytes()).unwrap_err();
    assert_eq!((error.reason(), line_of(&error)), (Reason::BackupKeyWrong, last));
}

#[tokio::test]
async fn what_is_damaged_is_not_restored_not_even_in_part() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let file = file();
    for at in [10, file.len() / 3, file.len() / 2, file.len() - 10] {
        let mut bad = file.clone();
        bad[at] ^= 1;
        let error = builder().sqlite(&path).restore(&bad[..], &RestoreOptions::new().key(KEY)).await.err().unwrap();
        assert!(error.problems()[0].line > 0, "{error}");
        let empty = sqlite(&path).await;
        assert!(empty.position().await.unwrap().lanes().is_empty());
        empty.close().await.unwrap();
    }
    let other = RestoreOptions::new().key("another");
    let error = builder().sqlite(&path).restore(&file[..], &other).await.err().unwrap();
    assert_eq!(error.reason(), Reason::BackupKeyWrong);
    builder().sqlite(&path).restore(&file[..], &keeping()).await.unwrap();
}
