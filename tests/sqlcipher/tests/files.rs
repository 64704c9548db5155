//! STO-6: a whole file under a key, with `SqliteOptions::key`.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::Path};

use rolekeep::{
    Config, Error, Reason, RequestContext, Result, UserManagement, audit::VerifyAudit, storage::SqliteOptions,
    users::CreateUser,
};

const KEY: &str = "it's a passphrase";
const PASSWORD: &str = "correct horse battery staple";
/// What a file of SQLite has in plain: its first bytes, its tables, and what is in them.
const PLAIN: [&str; 6] =
    ["SQLite format 3", "CREATE TABLE", "credentials", "ada@example.org", "far_harbour", "$argon2"];

async fn open(options: SqliteOptions) -> Result<UserManagement> {
    let config = Config::new().hashing_memory_kib(7168).hashing_iterations(5);
    UserManagement::builder().config(config).sqlite_with(options).open().await
}

async fn refused(options: SqliteOptions) -> Error {
    open(options).await.map(|_| ()).unwrap_err()
}

async fn fill(um: &UserManagement) {
    let ada = CreateUser::new("ada@example.org").username("far_harbour").password(PASSWORD);
    um.system().users().create(ada).await.unwrap();
    use_it(um).await;
}

async fn use_it(um: &UserManagement) {
    let tokens = um.login("ada@example.org", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    um.authenticate(tokens.access_token.expose(), RequestContext::default()).await.unwrap();
    assert!(um.system().audit().verify(VerifyAudit::new()).await.unwrap().is_whole);
}

/// What of [`PLAIN`] is in the file, its log and what else is beside it.
fn plain(folder: &Path) -> Vec<&'static str> {
    let all: Vec<Vec<u8>> = fs::read_dir(folder).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    let has = |word: &&str| all.iter().any(|bytes| bytes.windows(word.len()).any(|part| part == word.as_bytes()));
    PLAIN.into_iter().filter(|word| has(&word)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sto_6_a_file_under_a_key_has_nothing_in_plain_and_is_read_with_its_key_alone() {
    for exclusive in [false, true] {
        for key in [KEY, "x'2DD29CA851E7B56E4697B0E1F08507293D761A05CE4D1B628663F411A8086D99'"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("app.db");
            let options = || SqliteOptions::new(&path).exclusive(exclusive);
            let um = open(options().key(key)).await.unwrap();
            fill(&um).await;
            assert!(fs::read_dir(folder.path()).unwrap().count() > 1, "the log is looked at, too");
            assert_eq!(plain(folder.path()), Vec::<&str>::new());
            um.close().await.unwrap();
            assert_eq!(plain(folder.path()), Vec::<&str>::new());

            let before = fs::read(&path).unwrap();
            let wrong = refused(options().key("another passphrase")).await;
            assert_eq!(wrong.reason(), Reason::EncryptionKeyWrong);
            assert!(wrong.message().contains("under another key, or not encrypted"), "{wrong}");
            assert_eq!(refused(options()).await.reason(), Reason::StorageMissing);
            for refused in [key, "another passphrase"] {
                assert!(!wrong.to_string().contains(refused), "{wrong}");
            }
            assert_eq!(fs::read(&path).unwrap(), before);

            let um = open(options().key(key)).await.unwrap();
            use_it(&um).await;
            um.close().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sto_6_two_stores_share_a_file_under_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let first = open(SqliteOptions::new(&path).key(KEY)).await.unwrap();
    let second = open(SqliteOptions::new(&path).key(KEY)).await.unwrap();
    fill(&first).await;
    use_it(&second).await;
    assert_eq!(refused(SqliteOptions::new(&path).key("another passphrase")).await.reason(), Reason::EncryptionKeyWrong);
    use_it(&first).await;
    first.close().await.unwrap();
    second.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sto_6_without_a_key_a_file_is_plain_and_takes_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let um = open(SqliteOptions::new(&path)).await.unwrap();
    fill(&um).await;
    um.close().await.unwrap();
    // What the other test looks for is there to be found.
    assert_eq!(plain(folder.path()), PLAIN);
    let before = fs::read(&path).unwrap();
    assert_eq!(refused(SqliteOptions::new(&path).key(KEY)).await.reason(), Reason::EncryptionKeyWrong);
    assert_eq!(fs::read(&path).unwrap(), before);
}

/// The key of the file and that of secret columns go together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sto_6_both_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let open = |config: Config| {
        let config = config.hashing_memory_kib(7168).hashing_iterations(5);
        UserManagement::builder().config(config).sqlite_with(SqliteOptions::new(&path).key(KEY)).open()
    };
    let columns = "a key of the application's: 32 bytes and more";
    let um = open(Config::new().encryption_key(columns)).await.unwrap();
    fill(&um).await;
    um.close().await.unwrap();
    assert_eq!(plain(folder.path()), Vec::<&str>::new());
    let refused = open(Config::new()).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.reason(), Reason::EncryptionKeyWrong);
    let um = open(Config::new().encryption_key(columns)).await.unwrap();
    use_it(&um).await;
    um.close().await.unwrap();
}
