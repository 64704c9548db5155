//! What is kept is encrypted where the application gives a key (decision 059).

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use rolekeep::{
    Builder, Policy, Reason, RequestContext, Result, UserManagement, Value,
    api_keys::CreateApiKey,
    storage::{
        Batch, Loaded, MemoryStorage, Persisted, Persister, Predicate, Query, RowChange, SqliteOptions, SqliteStorage,
        Storage, tables,
    },
    users::{CreateUser, DeleteUser, FindUser, ListUsers},
};

use crate::cheap;

const KEY: &str = "a key of the application's: 32 bytes and more";
const OTHER: &str = "another key of the application, as long as that";
const PASSWORD: &str = "correct horse battery staple";

fn builder(keys: &[&str]) -> Builder {
    let config = match keys {
        [] => cheap::config(),
        [first, retired @ ..] => {
            cheap::config().encryption_key(*first).retired_encryption_keys(retired.iter().copied())
        }
    };
    cheap::builder().config(config)
}

/// Everything that is in a secret column, by its name.
pub async fn secrets(storage: &dyn Storage) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for table in tables() {
        let rows = storage.query(&Query::of(table, Predicate::Always)).await.unwrap().rows;
        let columns = table.columns.iter().enumerate().filter(|(_, column)| column.secret);
        for (at, column) in columns {
            let values = rows.iter().filter_map(|row| row.0[at].as_text());
            found.extend(values.map(|value| (format!("{}.{}", table.name, column.name), value.to_owned())));
        }
    }
    found
}

async fn use_it(um: &UserManagement) {
    um.system().users().create(CreateUser::new("ada@example.org").password(PASSWORD)).await.unwrap();
    sign_in(um).await.unwrap();
}

async fn sign_in(um: &UserManagement) -> Result<()> {
    let tokens = um.login("ada@example.org", PASSWORD, RequestContext::default()).await?.done()?;
    let me = um.authenticate(tokens.access_token.expose(), RequestContext::default()).await?;
    me.api_keys().create(CreateApiKey::new("of a test")).await.map(|_| ())
}

async fn refused(builder: Builder) -> Reason {
    builder.open().await.map(|_| ()).unwrap_err().reason()
}

#[tokio::test]
async fn sto_6_a_file_is_read_with_its_key_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let um = builder(&[KEY]).sqlite(&path).open().await.unwrap();
    use_it(&um).await;
    um.close().await.unwrap();

    let raw = SqliteStorage::open(SqliteOptions::new(&path)).await.unwrap();
    let before = secrets(&raw).await;
    assert!(before.len() > 5 && before.iter().all(|(_, value)| value.starts_with("e1.")), "{before:?}");
    raw.close().await.unwrap();
    assert_eq!(refused(builder(&[]).sqlite(&path)).await, Reason::EncryptionKeyWrong);
    assert_eq!(refused(builder(&[OTHER]).sqlite(&path)).await, Reason::EncryptionKeyWrong);
    // Nothing was made anew in place of what could not be read.
    let raw = SqliteStorage::open(SqliteOptions::new(&path)).await.unwrap();
    assert_eq!(secrets(&raw).await, before);
    raw.close().await.unwrap();
    let um = builder(&[KEY]).sqlite(&path).open().await.unwrap();
    sign_in(&um).await.unwrap();
    um.close().await.unwrap();
}

#[tokio::test]
async fn sto_6_values_that_are_plain_or_under_an_older_key_are_encrypted_by_upkeep() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let under = async |key: Option<&str>| {
        let start = key.map(|key| key.to_owned());
        let all = secrets(&*storage).await;
        all.iter().filter(|(_, value)| start.as_ref().is_none_or(|start| value.starts_with(start))).count() == all.len()
    };
    let plain = builder(&[]).storage(storage.clone()).open().await.unwrap();
    use_it(&plain).await;
    assert!(secrets(&*storage).await.iter().all(|(_, value)| !value.starts_with("e1.")));
    let mut ids = BTreeSet::new();
    for keys in [&[KEY][..], &[OTHER, KEY]] {
        let um = builder(keys).storage(storage.clone()).open().await.unwrap();
        let of_store = |(name, value): &(String, String)| {
            (name == "store_secrets.secret").then(|| value.splitn(3, '.').take(2).collect::<Vec<_>>().join("."))
        };
        let starts: BTreeSet<String> = secrets(&*storage).await.iter().filter_map(of_store).collect();
        assert_eq!(starts.len(), 1, "who has not the key is refused from now on");
        let start = starts.first().unwrap().clone();
        assert!(start.starts_with("e1.") && ids.insert(start.clone()));
        sign_in(&um).await.unwrap();
        assert!(!under(Some(&start)).await);
        while um.tidy().await.unwrap().has_more {}
        assert!(under(Some(&start)).await, "{:?}", secrets(&*storage).await);
        sign_in(&um).await.unwrap();
    }
    assert_eq!(refused(builder(&[]).storage(storage.clone())).await, Reason::EncryptionKeyWrong);
    assert_eq!(refused(builder(&[KEY]).storage(storage.clone())).await, Reason::EncryptionKeyWrong);
    let um = builder(&[OTHER]).storage(storage.clone()).open().await.unwrap();
    sign_in(&um).await.unwrap();
}

#[tokio::test]
async fn sto_6_tidy_finds_what_others_wrote_under_the_old_key_since() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let [old, new] = [&[KEY, OTHER], &[OTHER, KEY]].map(|keys| builder(keys).storage(storage.clone()));
    let (old, new) = (old.open().await.unwrap(), new.open().await.unwrap());
    use_it(&new).await;
    while new.tidy().await.unwrap().has_more {}
    // This instance was not told of the new key's turn yet.
    let eve = CreateUser::new("eve@example.org").password("eve's own long password");
    old.system().users().create(eve).await.unwrap();
    drop(old);
    let hashes = async || {
        let all = secrets(&*storage).await.into_iter().filter(|(name, _)| name == "credentials.password_hash");
        all.map(|(_, value)| value.split('.').nth(1).unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(hashes().await.len(), 2);
    while new.tidy().await.unwrap().has_more {}
    assert_eq!(hashes().await.len(), 1);
    let um = builder(&[OTHER]).storage(storage.clone()).open().await.unwrap();
    sign_in(&um).await.unwrap();
    um.close().await.unwrap();
    assert_eq!(um.tidy().await.unwrap_err().reason(), Reason::Closed);
}

/// Of what cannot be read the others are encrypted nevertheless, and the host is told.
#[tokio::test]
async fn sto_6_what_cannot_be_read_keeps_no_other_under_the_old_key() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let old = builder(&[KEY]).storage(storage.clone()).open().await.unwrap();
    use_it(&old).await;
    for name in ["bob", "cy", "eve"] {
        let user = CreateUser::new(format!("{name}@example.org")).password(PASSWORD);
        old.system().users().create(user).await.unwrap();
    }
    drop(old);
    let table = tables().iter().find(|table| table.name == "credentials").unwrap();
    let mut row = storage.query(&Query::of(table, Predicate::Always)).await.unwrap().rows.swap_remove(1);
    let version = table.version_of(&row);
    row.0[table.position("password_hash").unwrap()] = Value::Text("e1.x".to_owned());
    row.0[table.version] = Value::Int(version + 1);
    let write = rolekeep::storage::Write {
        table,
        key: table.key_of(&row),
        expected: Some(version),
        row: Some(row),
        before: None,
    };
    storage.commit(&rolekeep::storage::conformance::change_set(900, vec![write])).await.unwrap();
    let um = builder(&[OTHER, KEY]).storage(storage.clone()).open().await.unwrap();
    for _ in 0..3 {
        assert_eq!(um.tidy().await.unwrap_err().reason(), Reason::Corrupt);
    }
    let all = secrets(&*storage).await;
    let of_store = all.iter().find(|(name, _)| name == "store_secrets.secret").unwrap();
    let start = of_store.1.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    let others: Vec<_> = all.iter().filter(|(_, value)| !value.starts_with(&start)).collect();
    assert!(others.len() == 1 && others[0].1 == "e1.x", "{others:?}");
    um.close().await.unwrap();
}

#[tokio::test]
async fn sto_6_a_value_that_stands_elsewhere_is_corrupt() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
    let um = builder(&[KEY]).storage(storage.clone()).open().await.unwrap();
    use_it(&um).await;
    um.system().users().create(CreateUser::new("eve@example.org").password("eve's own long password")).await.unwrap();
    // Whoever writes to the storage gives everybody the hash of one of them.
    let table = tables().iter().find(|table| table.name == "credentials").unwrap();
    let rows = storage.query(&Query::of(table, Predicate::Always)).await.unwrap().rows;
    let at = table.position("password_hash").unwrap();
    let hashes: Vec<Value> = rows.iter().map(|row| row.0[at].clone()).collect();
    let writes = rows.into_iter().zip(hashes.iter().rev()).map(|(mut row, hash)| {
        let version = table.version_of(&row);
        row.0[at] = hash.clone();
        row.0[table.version] = Value::Int(version + 1);
        rolekeep::storage::Write {
            table,
            key: table.key_of(&row),
            expected: Some(version),
            row: Some(row),
            before: None,
        }
    });
    let change_set = rolekeep::storage::conformance::change_set(900, writes.collect());
    storage.commit(&change_set).await.unwrap();
    assert_eq!(sign_in(&um).await.unwrap_err().reason(), Reason::Corrupt);
}

#[tokio::test]
async fn sto_6_a_backup_has_values_as_they_are_stored() {
    let um = builder(&[KEY]).memory().open().await.unwrap();
    use_it(&um).await;
    let mut backup = Vec::new();
    um.backup(&mut backup, &Default::default()).await.unwrap();
    let text = String::from_utf8(backup.clone()).unwrap();
    assert!(text.contains("e1.") && !text.contains("$argon2"));
    let restore = async |keys: &[&str]| builder(keys).memory().restore(&backup[..], &Default::default()).await;
    assert_eq!(restore(&[]).await.map(|_| ()).unwrap_err().reason(), Reason::EncryptionKeyWrong);
    sign_in(&restore(&[KEY]).await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn retired_keys_go_with_a_key() {
    let config = cheap::config().retired_encryption_keys([KEY]).encryption_key("short");
    let error = cheap::builder().config(config).open().await.map(|_| ()).unwrap_err();
    assert_eq!(error.fields().iter().map(|field| field.field.as_str()).collect::<Vec<_>>(), ["encryption_key"]);
    let config = cheap::config().retired_encryption_keys([KEY]);
    let error = cheap::builder().config(config).open().await.map(|_| ()).unwrap_err();
    assert_eq!(
        error.fields().iter().map(|field| field.field.as_str()).collect::<Vec<_>>(),
        ["retired_encryption_keys"]
    );
}

/// A log of batches.
#[derive(Clone, Default)]
struct Log {
    batches: Arc<Mutex<Vec<Batch>>>,
    forgotten: Arc<Mutex<BTreeSet<String>>>,
    is_own: bool,
}

impl Log {
    fn text(&self) -> String {
        serde_json::to_string(&*self.batches.lock().unwrap()).unwrap()
    }

    fn change_all(&self, change: impl Fn(&mut RowChange)) -> Self {
        let mut batches = self.batches.lock().unwrap().clone();
        batches.iter_mut().flat_map(|batch| &mut batch.changes).for_each(change);
        Self { batches: Arc::new(Mutex::new(batches)), ..Self::default() }
    }
}

#[async_trait]
impl Persister for Log {
    async fn load(&self, since: u64) -> Result<Loaded> {
        let (batches, forgotten) = (self.batches.lock().unwrap(), self.forgotten.lock().unwrap());
        let newer = batches.iter().filter(|batch| batch.position > since).flat_map(|batch| batch.changes.clone());
        let changes = newer.filter(|change| !forgotten.contains(&change.id)).collect();
        Ok(Loaded { position: batches.last().map_or(0, |batch| batch.position), changes, is_whole: false })
    }

    async fn persist(&self, batch: &Batch) -> Result<Persisted> {
        let mut batches = self.batches.lock().unwrap();
        if batches.last().map_or(0, |last| last.position) != batch.base {
            return Ok(Persisted::Stale);
        }
        batches.push(batch.clone());
        // What is stored again is needed again.
        self.forgotten.lock().unwrap().retain(|id| batch.changes.iter().all(|change| change.id != *id));
        Ok(Persisted::Done)
    }

    async fn forget(&self, ids: &[String]) -> Result<()> {
        self.forgotten.lock().unwrap().extend(ids.iter().cloned());
        Ok(())
    }

    fn is_shared(&self) -> bool {
        !self.is_own
    }
}

#[tokio::test]
async fn sto_6_a_persister_sees_nothing_of_a_row() {
    let log = Log::default();
    let um = builder(&[KEY]).persister(log.clone()).open().await.unwrap();
    use_it(&um).await;
    let ada = um.system().users().find(FindUser::new().email("ada@example.org")).await.unwrap();
    let text = log.text();
    for told in ["ada@example.org", "example", "users", "credentials", "$argon2", "commits", &ada.id.to_string()] {
        assert!(!text.contains(told), "{told}");
    }
    // Another writer with the same key hears of it.
    let other = builder(&[KEY]).persister(log.clone()).open().await.unwrap();
    sign_in(&other).await.unwrap();
    sign_in(&um).await.unwrap();
    for keys in [&[][..], &[OTHER]] {
        assert_eq!(refused(builder(keys).persister(log.clone())).await, Reason::EncryptionKeyWrong);
    }
    // Rows that stand for each other, or that are no longer encrypted.
    let first = log.batches.lock().unwrap().iter().flat_map(|batch| &batch.changes).next().unwrap().row.clone();
    let swapped = log.change_all(|change| change.row.clone_from(&first));
    assert_eq!(refused(builder(&[KEY]).persister(swapped)).await, Reason::Corrupt);
    let planted = Log { batches: Arc::new(Mutex::new(log.batches.lock().unwrap().clone())), ..Log::default() };
    let row = serde_json::from_str(r#"{"id":"guards/x","table":"guards","row":{"name":"x","version":1}}"#).unwrap();
    planted.batches.lock().unwrap()[0].changes.push(row);
    assert_eq!(refused(builder(&[KEY]).persister(planted)).await, Reason::Corrupt);
}

#[tokio::test]
async fn sto_6_rows_that_are_plain_or_under_an_older_key_are_encrypted_in_one_batch() {
    let log = Log { is_own: true, ..Log::default() };
    let um = builder(&[]).persister(log.clone()).open().await.unwrap();
    use_it(&um).await;
    um.close().await.unwrap();
    let count = || log.batches.lock().unwrap().len();
    for keys in [&[KEY][..], &[OTHER, KEY], &[OTHER]] {
        let before = count();
        let um = builder(keys).persister(log.clone()).open().await.unwrap();
        sign_in(&um).await.unwrap();
        // Secret columns are encrypted for themselves, as in any storage.
        while um.tidy().await.unwrap().has_more {}
        um.close().await.unwrap();
        let opened = builder(&keys[..1]).persister(log.clone()).open().await.unwrap();
        sign_in(&opened).await.unwrap();
        opened.close().await.unwrap();
        // What the host still has beside what it may let go of.
        let loaded = log.load(0).await.unwrap();
        let plain = loaded.changes.iter().filter(|change| change.table != "encrypted");
        assert_eq!((plain.count(), count() > before), (0, true), "{keys:?}");
    }
    assert_eq!(refused(builder(&[]).persister(log.clone())).await, Reason::EncryptionKeyWrong);
    assert_eq!(refused(builder(&[KEY]).persister(log.clone())).await, Reason::EncryptionKeyWrong);
}

#[tokio::test]
async fn sto_6_what_was_deleted_under_an_older_key_is_deleted_for_who_has_not_heard_of_it() {
    let log = Log::default();
    let open = async |keys: &[&str]| builder(keys).persister(log.clone()).open().await.unwrap();
    let old = open(&[KEY]).await;
    let ada = old.system().users().create(CreateUser::new("ada@example.org")).await.unwrap();
    // Another writer, who knows the next key: as the storage, which hears when it is asked.
    let knowing = open(&[KEY, OTHER]).await;
    let before = log.batches.lock().unwrap().len() as u64;
    old.system().users().delete(DeleteUser::new(ada.id)).await.unwrap();
    let deleted: BTreeSet<String> = log.batches.lock().unwrap()[before as usize..]
        .iter()
        .flat_map(|batch| batch.changes.iter().map(|change| change.id.clone()))
        .collect();
    open(&[OTHER, KEY]).await;
    // All that the deletion changed stands there again, under the new key and other ids, and not only as what is gone.
    let batches = log.batches.lock().unwrap().clone();
    let renewed = batches.iter().rev().find(|batch| batch.changes.iter().any(|change| change.row.is_none())).unwrap();
    let gone = renewed.changes.iter().filter(|change| change.row.is_none()).map(|change| &change.id);
    let gone: BTreeSet<&String> = gone.collect();
    assert!(deleted.iter().all(|id| gone.contains(id)));
    let again = renewed.changes.iter().filter(|change| change.row.is_some()).count();
    // One is the commit of the change itself.
    assert_eq!(again, gone.len() + 1, "each row, and each deletion");
    knowing.refresh().await.unwrap();
    assert_eq!(knowing.system().users().list(ListUsers::new()).await.unwrap().total, Some(0));
}

#[tokio::test]
async fn sto_6_rows_of_a_web_page_are_for_web_pages() {
    let log = Log::default();
    let row = r#"{"id":"x","table":"encrypted","row":{"encrypted":"e2.0123456789ab.AAAA"}}"#;
    log.batches.lock().unwrap().push(Batch { base: 0, position: 1, changes: vec![serde_json::from_str(row).unwrap()] });
    for keys in [&[][..], &[KEY]] {
        assert_eq!(refused(builder(keys).persister(log.clone())).await, Reason::EncryptionKeyWrong);
    }
}

#[tokio::test]
async fn sto_6_a_key_of_a_whole_file_is_refused_where_sqlite_would_ignore_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let open = async |options: SqliteOptions| SqliteStorage::open(options).await.map(|_| ()).unwrap_err().reason();
    assert_eq!(open(SqliteOptions::new(&path).key("it's a passphrase")).await, Reason::ConfigInvalid);
    // Nothing was written that would have been plain.
    assert_eq!(std::fs::metadata(&path).map_or(0, |file| file.len()), 0);
    for key in ["", "a\0b"] {
        assert_eq!(open(SqliteOptions::new(&path).key(key)).await, Reason::ConfigInvalid);
    }
    let shown = format!("{:?}", SqliteOptions::new(&path).key("it's a passphrase"));
    assert!(!shown.contains("passphrase"), "{shown}");
    // A file that is there is not touched.
    SqliteStorage::open(SqliteOptions::new(&path)).await.unwrap().close().await.unwrap();
    let before = std::fs::read(&path).unwrap();
    assert_eq!(open(SqliteOptions::new(&path).key("it's a passphrase")).await, Reason::ConfigInvalid);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn sto_6_what_is_encrypted_anew_is_heard_of_where_nobody_else_writes() {
    let folder = tempfile::tempdir().unwrap();
    let open = async |keys: &[&str]| {
        let file = SqliteOptions::new(folder.path().join("own.db")).exclusive(true);
        let storage = Arc::new(SqliteStorage::open(file).await.unwrap());
        let policy = Policy::new().role("clerk", ["user:create", "user:read"]);
        builder(keys).storage(storage).policy(policy).open().await.unwrap()
    };
    let um = open(&[]).await;
    let ada = CreateUser::new("ada@example.org").password(PASSWORD).roles(["clerk"]);
    um.system().users().create(ada).await.unwrap();
    let tokens = um.login("ada@example.org", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    let me = um.authenticate(tokens.access_token.expose(), RequestContext::default()).await.unwrap();
    let key = me.api_keys().create(CreateApiKey::new("of a test")).await.unwrap().key;
    um.close().await.unwrap();

    let um = open(&[KEY]).await;
    let by = um.authenticate(key.expose(), RequestContext::default()).await.unwrap();
    by.users().create(CreateUser::new("before@example.org")).await.unwrap();
    while um.tidy().await.unwrap().has_more {}
    by.users().create(CreateUser::new("after@example.org")).await.unwrap();
    um.close().await.unwrap();
}
