//! Imports that are broken off, overtaken, fed twice, and fed with what no record is (USR-8, SEC-14 to 16).

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use proptest::{collection::vec, option, prelude::*, sample::select};
use rolekeep::{
    Caller, Code, ImportId, Policy, Reason, UserManagement,
    audit::ListAudit,
    imports::{
        AbortImport, BeginImport, FeedImport, FinishImport, ImportFormat, ImportItem, ImportLevel, ImportOutcome,
        ImportStatus, ListImportFailures, OnExisting,
    },
    internals::{import::ImportPiece, registry::Claim},
    roles::UnassignRole,
    storage::{SqliteOptions, sqlite::Durability},
    users::{CreateUser, ListUsers},
};

use serde_json::json;

use super::kit::{Interposed, all, caller, policy, store};
use crate::{cheap, common::this_test};

const FILE: &str = "ROLEKEEP_TEST_FILE";
const USERS: usize = 3_000;

fn begin() -> BeginImport {
    BeginImport::new("old", ImportFormat::JsonLines)
}

fn record(at: usize) -> String {
    format!("{{\"foreign_id\":\"{at}\",\"email\":\"user{at}@example.org\",\"full_name\":\"User {at}\"}}\n")
}

fn records(users: usize) -> String {
    (0..users).map(record).collect()
}

fn feed(id: ImportId, at: usize, data: impl AsRef<[u8]>) -> FeedImport {
    FeedImport::new(id, i64::try_from(at).unwrap(), BASE64_STANDARD.encode(data))
}

async fn count(um: &UserManagement) -> i64 {
    um.system().users().list(ListUsers::new().total_up_to(1_000_000)).await.unwrap().total.unwrap()
}

async fn open(file: &Path) -> UserManagement {
    let options = SqliteOptions::new(file).durability(Durability::Normal);
    cheap::builder().sqlite_with(options).open().await.unwrap()
}

/// Killed after each of its commits, and at other moments; whoever goes on makes nobody twice and forgets nobody.
#[test]
fn usr_8_an_import_whose_process_is_killed_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("imports.db");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let id = runtime.block_on(async {
        let um = open(&file).await;
        let id = um.system().imports().begin(begin()).await.unwrap().id;
        um.close().await.unwrap();
        id
    });
    let mut is_finished = false;
    for round in 0_u64..40 {
        let mut child = this_test("security::imports::goes_on");
        let mut child = child.env(FILE, &file).env("ID", id.to_string()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The first pieces are what was read before.
        let said = lines.by_ref().map_while(Result::ok).find(|line| line.contains("@new") || line.contains("@done"));
        is_finished = said.is_none_or(|line| line.contains("@done"));
        std::thread::sleep(std::time::Duration::from_micros(round * 977 % 9_000));
        let _ = child.kill();
        child.wait().unwrap();
        if is_finished {
            break;
        }
    }
    runtime.block_on(async {
        let um = open(&file).await;
        if !is_finished {
            let mut import = um.system().resume_import(id).await.unwrap();
            import.push(records(USERS).as_bytes()).await.unwrap();
            import.finish().await.unwrap();
        }
        let done = um.system().imports().get(rolekeep::imports::GetImport::new(id)).await.unwrap();
        assert_eq!((done.status, done.counts.created), (ImportStatus::Finished, USERS as i64), "{:?}", done.counts);
        assert_eq!((done.counts.skipped, done.counts.failed), (0, 0));
        assert_eq!(count(&um).await, USERS as i64);
        assert!(um.system().audit().verify(rolekeep::audit::VerifyAudit::new()).await.unwrap().is_whole);
        um.close().await.unwrap();
    });
}

#[tokio::test]
#[ignore = "started and killed by the test before"]
async fn goes_on() {
    let um = open(Path::new(&std::env::var_os(FILE).unwrap())).await;
    let id: ImportId = std::env::var("ID").unwrap().parse().unwrap();
    let mut import = um.system().resume_import(id).await.unwrap();
    for piece in records(USERS).as_bytes().chunks(10_000) {
        if !import.push(piece).await.unwrap().is_empty() {
            println!("@new");
        }
    }
    import.finish().await.unwrap();
    println!("@done");
}

/// However a source is cut, the same becomes of its records.
#[tokio::test]
async fn usr_8_pieces_of_any_size_are_one_source() {
    let csv = "\u{feff}foreign_id,email,bio\n1,a@example.org,\"one\ntwo, \"\"three\"\"\"\n\n2,not an address,x\r\n3,c@example.org,é\n3,d@example.org\n";
    let lines = "{\"email\":\"a@example.org\"}\n\n{\"email\":\"a@example.org\",\"bio\":\"\\\"}\\n\"}\n[]\n{\"email\":\"c@example.org\"}";
    let json = r#"{"x":{"users":[1]},"users":[{"email":"a@example.org","bio":"]}"},{"email":"b@example.org"} , 7,{"email":"c@example.org"}],"y":[]}"#;
    for (format, source) in [(ImportFormat::Csv, csv), (ImportFormat::JsonLines, lines), (ImportFormat::Json, json)] {
        let mut wanted = None;
        for size in [source.len(), 1, 2, 3, 5, 7, 11, 30] {
            let um = store(policy()).await;
            let import = um.system().imports().begin(BeginImport::new("old", format)).await.unwrap();
            let (mut items, mut at, mut end) = (Vec::new(), 0, 0);
            while at < source.len() || end < source.len() {
                end = (end + size).min(source.len());
                let fed = feed(import.id, at, &source.as_bytes()[at..end]).is_last(end == source.len());
                let fed = um.system().imports().feed(fed).await.unwrap();
                at = usize::try_from(fed.import.position).unwrap();
                items.extend(
                    fed.items.into_iter().map(|item| (item.number, item.outcome, item.foreign_id, item.errors)),
                );
            }
            let done = um.system().imports().finish(FinishImport::new(import.id)).await.unwrap();
            assert_eq!(done.counts.read as usize, items.len());
            assert!(items.iter().any(|(_, outcome, ..)| *outcome == ImportOutcome::Failed) && done.counts.created >= 2);
            let all = (items, done.counts);
            assert_eq!(wanted.get_or_insert_with(|| all.clone()), &all, "{format:?} in pieces of {size}");
        }
    }
}

/// A name that somebody takes between plan and commit is a matter of its record alone.
#[tokio::test]
async fn sec_16_a_name_that_is_taken_meanwhile_fails_its_record_alone() {
    let (um, storage) = Interposed::open(policy()).await;
    let import = um.system().imports().begin(begin()).await.unwrap();
    let rival = um.clone();
    storage.before_next_commit(async move {
        rival.system().users().create(CreateUser::new("user1@example.org")).await.unwrap();
    });
    let fed = um.system().imports().feed(feed(import.id, 0, records(3))).await.unwrap();
    let outcomes: Vec<_> = fed.items.iter().map(|item| item.outcome).collect();
    assert_eq!(outcomes, [ImportOutcome::Created, ImportOutcome::Failed, ImportOutcome::Created]);
    assert_eq!(fed.items[1].code, Some(Code::Duplicate));
    assert_eq!(count(&um).await, 3);
}

/// The same piece, fed by two at once, is imported once.
#[tokio::test]
async fn sec_16_a_piece_is_imported_once() {
    let (um, storage) = Interposed::open(policy()).await;
    let import = um.system().imports().begin(begin()).await.unwrap();
    let (rival, id) = (um.clone(), import.id);
    storage.before_next_commit(async move {
        rival.system().imports().feed(feed(id, 0, records(2))).await.unwrap();
    });
    let late = um.system().imports().feed(feed(id, 0, records(2))).await.unwrap_err();
    assert_eq!(
        (late.reason(), late.message()),
        (Reason::VersionStale, &*format!("byte {} is due, not 0", records(2).len()))
    );
    assert_eq!(count(&um).await, 2);
}

/// Who loses the right in the middle does not go on, and what was begun by one is nobody else's.
#[tokio::test]
async fn sec_6_rights_are_asked_for_each_piece() {
    let text = "[permissions]\n[roles.admin]\nallow = [\"admin:all\"]\n[roles.importer]\nallow = [\"user:import\", \"user:create\"]";
    let um = store(Policy::from_toml(text).unwrap()).await;
    let (first, id) = caller(&um, "first", &["importer"]).await;
    let (second, of_second) = caller(&um, "second", &["importer"]).await;
    let import = first.imports().begin(begin()).await.unwrap();
    first.imports().feed(feed(import.id, 0, record(0))).await.unwrap();
    let at = record(0).len();
    let refused =
        |caller: Caller| async move { caller.imports().feed(feed(import.id, at, record(1))).await.unwrap_err().code() };
    assert_eq!(refused(second.clone()).await, Code::NotFound);
    assert_eq!(second.imports().abort(AbortImport::new(import.id)).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(second.resume_import(import.id).await.err().map(|error| error.code()), Some(Code::NotFound));
    um.system().roles().unassign(UnassignRole::new(id, "importer")).await.unwrap();
    // The log of refused operations knows who asked for what is somebody else's.
    let denied = async || {
        let of_second = ListAudit::new().action("access.denied").actor(of_second.to_string());
        um.system().audit().list(of_second).await.unwrap().items
    };
    for _ in 0..2_000 {
        if denied().await.len() >= 3 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let said: BTreeSet<String> = denied().await.into_iter().filter_map(|entry| entry.detail).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert_eq!(refused(first).await, Code::Forbidden);
}

/// A field of 30 MB takes no more memory than its pieces, and what lies in it is no record.
#[tokio::test]
async fn sec_15_a_record_without_end_is_skipped() {
    let um = store(policy()).await;
    let import = um.system().imports().begin(BeginImport::new("old", ImportFormat::Csv)).await.unwrap();
    let mut at = 0;
    let mut send = async |data: &str| {
        let fed = um.system().imports().feed(feed(import.id, at, data)).await.unwrap();
        at = usize::try_from(fed.import.position).unwrap();
        fed.items
    };
    assert!(send("email,bio\na@example.org,x\nb@example.org,\"").await.len() == 1);
    let smuggled = "x\nevil@example.org,y\n".repeat(50_000);
    let first = send(&format!("b@example.org,\"{}", &smuggled[..900_000])).await;
    assert!(first.is_empty());
    for _ in 0..30 {
        assert!(send(&smuggled[..1_000_000]).await.is_empty());
    }
    let after = send("\"\nc@example.org,z\n").await;
    let told: Vec<_> = after.iter().map(|item| (item.number, item.outcome)).collect();
    assert_eq!(told, [(2, ImportOutcome::Failed), (3, ImportOutcome::Created)]);
    assert_eq!(count(&um).await, 2);
}

/// Who feeds nothing but faults is stopped, and what failed can be read.
#[tokio::test]
async fn sec_15_an_import_stops_when_too_many_records_have_failed() {
    let um = store(policy()).await;
    let mut import = um.system().import_users(begin()).await.unwrap();
    let id = import.import().id;
    for _ in 0..11 {
        import.push("{}\n".repeat(1_000).as_bytes()).await.unwrap();
    }
    let done = import.finish().await.unwrap().import;
    assert_eq!((done.status, done.counts.failed), (ImportStatus::Stopped, 10_000));
    let failures = um.system().imports().failures(ListImportFailures::new(id).total_up_to(20_000)).await.unwrap();
    assert_eq!(failures.total, Some(10_000));
    let closed = um.system().imports().finish(FinishImport::new(id)).await.unwrap_err();
    assert_eq!(closed.reason(), Reason::WrongStatus);
}

/// Neither claims nor what fails keep anything of a source's secrets.
#[tokio::test]
async fn sec_13_what_is_kept_of_an_import_has_no_secrets() {
    let (um, storage) = Interposed::open(policy()).await;
    let source = "{\"email\":\"a@example.org\",\"password\":\"planted secret\"}\n{\"email\":\"b@example.org\",\"password_hash\":\"planted hash\"}\n";
    let mut import = um.system().import_users(begin()).await.unwrap();
    import.push(source.as_bytes()).await.unwrap();
    let id = import.import().id;
    let done = import.finish().await.unwrap();
    assert_eq!(done.import.counts.failed, 2);
    assert!(!format!("{done:?}").contains("planted"));
    let failures = um.system().imports().failures(ListImportFailures::new(id)).await.unwrap();
    assert!(!format!("{failures:?}").contains("planted"));
    let import: Vec<rolekeep::internals::import::Import> = all(&*storage).await;
    assert_eq!(import[0].digest.expose(), "", "an import that is over keeps no bytes of its source");
    assert!(all::<Claim>(&*storage).await.iter().all(|claim| !claim.name.contains("planted")));
}

/// A key that stands twice is no record of one account, and no key is echoed at any length, nor begins a line of a log.
#[tokio::test]
async fn sec_14_records_say_everything_once_and_begin_no_line_of_a_log() {
    let um = store(policy()).await;
    let key = format!("x\n\u{2028}2026-01-01 admin logged in{}", "x".repeat(10_000));
    let hostile = serde_json::json!({"email": "d@example.org", key: 1});
    let source = [
        r#"{"email":"a@example.org","email":"b@example.org"}"#,
        r#"{"email":"c@example.org","attributes":{"floor":1,"floor":2}}"#,
        r#"{"email":"c@example.org","attributes":"{\"floor\":1,\"floor\":2}"}"#,
        &hostile.to_string(),
    ];
    let mut import = um.system().import_users(begin()).await.unwrap();
    import.push(source.join("\n").as_bytes()).await.unwrap();
    let id = import.import().id;
    let done = import.finish().await.unwrap();
    assert_eq!((done.import.counts.failed, count(&um).await), (4, 0));
    let failures = um.system().imports().failures(ListImportFailures::new(id)).await.unwrap();
    for error in done.items.iter().chain(&failures.items).flat_map(|item| &item.errors) {
        assert!(error.field.len() < 200, "a key of {} bytes is echoed", error.field.len());
        assert!(!error.field.contains(['\n', '\u{2028}']), "{:?}", error.field);
    }
}

/// However many records a piece has, its end is the source's, and what is missing there is told.
#[tokio::test]
async fn usr_8_the_end_of_a_source_counts_behind_the_last_record_of_a_piece() {
    let list = |users: usize| {
        (0..users).map(|at| format!("{{\"email\":\"u{at}@example.org\"}}")).collect::<Vec<_>>().join(",")
    };
    for users in [499, 500, 501] {
        for (end, failed) in [("]\n", 0), ("", 1)] {
            let um = store(policy()).await;
            let mut import = um.system().import_users(BeginImport::new("old", ImportFormat::Json)).await.unwrap();
            import.push(format!("[{}{end}", list(users)).as_bytes()).await.unwrap();
            let counts = import.finish().await.unwrap().import.counts;
            assert_eq!((counts.created, counts.failed), (users as i64, failed), "{users} {end:?}");
        }
    }
    let um = store(policy()).await;
    let whole = BeginImport::new("old", ImportFormat::Json).atomic(true);
    let mut import = um.system().import_users(whole).await.unwrap();
    import.push(format!("[{}]", list(10_000)).as_bytes()).await.unwrap();
    assert_eq!(import.finish().await.unwrap().import.counts.created, 10_000);
}

/// A source that has grown since it ended is another one, and one that was broken off is told of as it would have been.
#[tokio::test]
async fn usr_8_a_resumed_import_ends_as_it_would_have() {
    let um = store(policy()).await;
    let system = um.system();
    let import = system.imports().begin(begin()).await.unwrap();
    system.imports().feed(feed(import.id, 0, record(0)).is_last(true)).await.unwrap();
    let mut again = system.resume_import(import.id).await.unwrap();
    again.push(records(2).as_bytes()).await.unwrap();
    let grown = again.finish().await.unwrap_err();
    assert_eq!(
        (grown.reason(), grown.message()),
        (Reason::VersionStale, "the source has ended before, and has more now")
    );

    let source = "[{\"email\":\"a@example.org\"}";
    let import = system.imports().begin(BeginImport::new("old", ImportFormat::Json)).await.unwrap();
    system.imports().feed(feed(import.id, 0, source)).await.unwrap();
    let mut again = system.resume_import(import.id).await.unwrap();
    again.push(source.as_bytes()).await.unwrap();
    let counts = again.finish().await.unwrap().import.counts;
    assert_eq!((counts.created, counts.failed), (1, 1), "its end is missing");
}

/// Costs of hashes count together, whether they come in one piece or in many.
#[tokio::test]
async fn sec_15_one_piece_brings_no_more_costs_than_there_is_room_for() {
    let um = store(policy()).await;
    let record = |at: usize| {
        let cost = format!("$argon2id$v=19$m={},t=1,p=1", 64 + at);
        let hash = format!("{cost}$c2FsdHlzYWx0MTIzNDU2Nw$s6py7ZSFhtHy5N9Q/VE3uQJw9crYZA1cUlrHzY0EriA");
        format!("{{\"email\":\"u{at}@example.org\",\"password_hash\":\"{hash}\"}}\n")
    };
    let source: String = (0..40).map(record).collect();
    let mut counts = Vec::new();
    for size in [source.len(), 200] {
        let um = if counts.is_empty() { um.clone() } else { store(policy()).await };
        let id = um.system().imports().begin(begin()).await.unwrap().id;
        let mut at = 0;
        while at < source.len() {
            let end = (at + size).min(source.len());
            let fed =
                um.system().imports().feed(feed(id, at, &source[at..end]).is_last(end == source.len())).await.unwrap();
            at = usize::try_from(fed.import.position).unwrap();
            if end == source.len() {
                counts.push((fed.import.counts.created, fed.import.counts.failed));
            }
        }
    }
    assert_eq!(counts[0], counts.last().copied().unwrap());
    assert!(counts[0].1 > 0, "{counts:?}");
}

/// A record of few words, so that most records are of an account that another one is of, too.
#[derive(Clone, Debug)]
struct Drawn {
    foreign_id: Option<u8>,
    email: u8,
    username: Option<u8>,
    full_name: Option<u8>,
    is_verified: bool,
    is_wrong: bool,
}

impl Drawn {
    fn any() -> impl Strategy<Value = Self> {
        let ids = (option::of(0..4_u8), 0..6_u8, option::weighted(0.4, 0..3_u8), option::of(0..2_u8));
        (ids, any::<bool>(), proptest::bool::weighted(0.05)).prop_map(|(of, is_verified, is_wrong)| {
            let (foreign_id, email, username, full_name) = of;
            Self { foreign_id, email, username, full_name, is_verified, is_wrong }
        })
    }

    fn line(&self) -> String {
        let address =
            ["a@example.org", "A@example.org", "b@example.org", "proved@example.org", "there@example.org", "c@x.org"];
        let mut record = json!({"email": address[usize::from(self.email)], "email_verified": self.is_verified});
        self.foreign_id.iter().for_each(|id| record["foreign_id"] = format!("{id}").into());
        self.username.iter().for_each(|name| record["username"] = ["ada", "ADA", "taken"][usize::from(*name)].into());
        self.full_name.iter().for_each(|name| record["full_name"] = format!("Name {name}").into());
        if self.is_wrong {
            record["phone"] = "no number".into();
        }
        format!("{record}\n")
    }
}

/// A store with accounts that records may be of, and what becomes of the records there, by an import that does not end.
async fn told(options: BeginImport, pieces: &[Vec<Drawn>]) -> (UserManagement, Vec<ImportItem>) {
    let um = store(policy()).await;
    let system = um.system();
    let earlier = "{\"foreign_id\":\"0\",\"email\":\"proved@example.org\",\"email_verified\":true}\n\
                   {\"foreign_id\":\"3\",\"email\":\"gone@example.org\"}\n";
    let first = system.imports().begin(begin().trust_verified_emails(true)).await.unwrap();
    let made = system.imports().feed(feed(first.id, 0, earlier).is_last(true)).await.unwrap();
    system.users().delete(made.items[1].user_id.unwrap()).await.unwrap();
    system.users().create(CreateUser::new("there@example.org").username("taken")).await.unwrap();
    let import = system.imports().begin(options).await.unwrap();
    let (mut items, mut at) = (Vec::new(), 0);
    for piece in pieces {
        let lines: String = piece.iter().map(Drawn::line).collect();
        let fed = system.imports().feed(feed(import.id, at, &lines)).await.unwrap();
        at += lines.len();
        items.extend(fed.items);
    }
    (um, items)
}

/// A check tells of each record what a strict import makes of it, however the source is cut, and writes nothing.
#[test]
fn usr_8_a_check_tells_what_becomes_of_records() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sources = vec(vec(Drawn::any(), 1..4), 1..6);
    let choices = select(vec![OnExisting::Skip, OnExisting::Update, OnExisting::Fail]);
    let counts = RefCell::new(BTreeMap::<String, usize>::new());
    // Fewer do not draw each outcome.
    let mut config = crate::kit::config(60);
    config.cases = config.cases.max(60);
    proptest!(config, |(pieces in sources, existing in choices, by_mail in any::<bool>())| {
        runtime.block_on(async {
            let options = begin().on_existing(existing).match_email(by_mail).trust_verified_emails(true);
            let (_, made) = told(options.clone(), &pieces).await;
            let (um, told) = told(options.level(ImportLevel::Check), &pieces).await;
            let seen = |item: &ImportItem| {
                let ImportItem { number, foreign_id, outcome, code, message, errors, .. } = item.clone();
                (number, foreign_id, outcome, code, message, errors)
            };
            for (made, told) in made.iter().zip(&told) {
                prop_assert_eq!(seen(made), seen(told), "{:?}", pieces);
                *counts.borrow_mut().entry(format!("{:?}", told.outcome)).or_default() += 1;
                if let Some(id) = told.user_id {
                    prop_assert!(um.system().users().get(id).await.is_ok(), "{:?}", told);
                }
            }
            prop_assert_eq!(made.len(), told.len());
            prop_assert_eq!(count(&um).await, 2);
            Ok::<(), TestCaseError>(())
        })?;
    });
    println!("{:?}", counts.borrow());
    for outcome in ["Created", "Updated", "Skipped", "Differs", "Gone", "Failed"] {
        assert!(counts.borrow().contains_key(outcome), "{outcome}: {:?}", counts.borrow());
    }
}

/// What a check keeps for later records is gone once it has ended, however it ends.
#[tokio::test]
async fn usr_8_nothing_is_left_of_a_check() {
    for is_finished in [true, false] {
        let (um, storage) = Interposed::open(policy()).await;
        let import = um.system().imports().begin(begin().level(ImportLevel::Check)).await.unwrap();
        um.system().imports().feed(feed(import.id, 0, records(3)).is_last(true)).await.unwrap();
        assert!(!all::<ImportPiece>(&*storage).await.is_empty());
        match is_finished {
            true => drop(um.system().imports().finish(FinishImport::new(import.id)).await.unwrap()),
            false => drop(um.system().imports().abort(AbortImport::new(import.id)).await.unwrap()),
        }
        assert!(all::<ImportPiece>(&*storage).await.is_empty());
        assert!(all::<Claim>(&*storage).await.is_empty());
        assert_eq!(count(&um).await, 0);
    }
}

/// Nor of one that stops as too much of it is wrong.
#[tokio::test]
async fn usr_8_nothing_is_left_of_a_check_that_stopped() {
    let (um, storage) = Interposed::open(policy()).await;
    let import = um.system().imports().begin(begin().level(ImportLevel::Check)).await.unwrap();
    let source = records(3) + &"{}\n".repeat(10_100);
    let mut at = 0;
    loop {
        let fed = um.system().imports().feed(feed(import.id, at, &source.as_bytes()[at..])).await.unwrap();
        if fed.import.status == ImportStatus::Stopped {
            break;
        }
        at = usize::try_from(fed.import.position).unwrap();
        assert!(at < source.len());
    }
    assert!(all::<ImportPiece>(&*storage).await.is_empty());
}

/// Who may not see an account hears of it what it hears who creates it once more.
#[tokio::test]
async fn sec_9_imports_tell_nothing_of_hidden_accounts() {
    let text = "[roles.admin]\nallow = ['admin:all']\n[roles.importer]\nallow = ['user:import', 'user:create']\n";
    let um = store(Policy::from_toml(text).unwrap()).await;
    let system = um.system();
    let mut import = system.import_users(begin()).await.unwrap();
    import.push(records(3).as_bytes()).await.unwrap();
    import.finish().await.unwrap();
    let ids: Vec<_> = system.users().list(ListUsers::new()).await.unwrap().items;
    let deleted = ids.iter().find(|user| user.email.as_deref() == Some("user2@example.org")).unwrap().id;
    system.users().delete(rolekeep::users::DeleteUser::new(deleted)).await.unwrap();
    let (me, _) = caller(&um, "ann", &["importer"]).await;
    let import = me.imports().begin(begin()).await.unwrap();
    let moved = "{\"foreign_id\":\"1\",\"email\":\"other@example.org\"}\n";
    let source = format!("{}{moved}{}", record(0), record(2));
    let items = me.imports().feed(feed(import.id, 0, source).is_last(true)).await.unwrap().items;
    for item in items {
        assert_eq!((item.outcome, item.code, item.user_id), (ImportOutcome::Failed, Some(Code::Duplicate), None));
    }
}
