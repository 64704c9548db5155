//! Secrets are encrypted in PostgreSQL itself where there is a key.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests panic where they fail")]

use std::collections::BTreeSet;

use rolekeep::{
    Config, Reason, RequestContext, UserManagement, api_keys::CreateApiKey, storage::tables, users::CreateUser,
};
use rolekeep_postgres_tests::Cluster;
use sqlx::AssertSqlSafe;

const KEY: &str = "a key of the application's: 32 bytes and more";
const OTHER: &str = "another key of the application, as long as that";
const PASSWORD: &str = "correct horse battery staple";

async fn open(cluster: &Cluster, keys: &[&str]) -> rolekeep::Result<UserManagement> {
    let config = Config::new().hashing_memory_kib(7168).hashing_iterations(5);
    let config = match keys {
        [] => config,
        [first, retired @ ..] => config.encryption_key(*first).retired_encryption_keys(retired.iter().copied()),
    };
    UserManagement::builder().config(config).postgres(cluster.url()).open().await
}

async fn refused(cluster: &Cluster, keys: &[&str]) -> Reason {
    open(cluster, keys).await.map(|_| ()).unwrap_err().reason()
}

async fn sign_in(um: &UserManagement) {
    let done = um.login("ada@example.org", PASSWORD, RequestContext::default()).await.unwrap().done().unwrap();
    let me = um.authenticate(done.access_token.expose(), RequestContext::default()).await.unwrap();
    me.api_keys().create(CreateApiKey::new("of a test")).await.unwrap();
}

/// What the database has in columns that are secret, and all that it has of the tables with them.
async fn stored(cluster: &Cluster) -> (Vec<String>, String) {
    let mut connection = cluster.connect().await;
    let (mut secrets, mut all) = (Vec::new(), String::new());
    for table in tables() {
        let rows: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(format!("SELECT t::text FROM rolekeep.{} t", table.name)))
                .fetch_all(&mut connection)
                .await
                .unwrap();
        all.extend(rows);
        for column in table.columns.iter().filter(|column| column.secret) {
            let asked = format!("SELECT {0} FROM rolekeep.{1} WHERE {0} IS NOT NULL", column.name, table.name);
            let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(asked)).fetch_all(&mut connection).await.unwrap();
            secrets.extend(found);
        }
    }
    (secrets, all)
}

/// The keys that secrets are under; `plain` for those under none.
fn keys(secrets: &[String]) -> BTreeSet<&str> {
    secrets
        .iter()
        .map(|value| value.strip_prefix("e1.").and_then(|rest| rest.split('.').next()).unwrap_or("plain"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sto_6_a_database_has_no_secret_in_plain_and_its_key_is_changed() {
    let cluster = Cluster::start();
    cluster.connect().await;
    // Plain at first.
    let plain = open(&cluster, &[]).await.unwrap();
    plain.system().users().create(CreateUser::new("ada@example.org").password(PASSWORD)).await.unwrap();
    sign_in(&plain).await;
    plain.close().await.unwrap();
    let (secrets, all) = stored(&cluster).await;
    assert!(keys(&secrets) == BTreeSet::from(["plain"]) && all.contains("$argon2"));

    let mut before = String::new();
    for given in [&[KEY][..], &[OTHER, KEY]] {
        let um = open(&cluster, given).await.unwrap();
        sign_in(&um).await;
        while um.tidy().await.unwrap().has_more {}
        sign_in(&um).await;
        um.close().await.unwrap();
        let (secrets, all) = stored(&cluster).await;
        let under = keys(&secrets);
        assert_eq!((under.len(), under.contains("plain"), all.contains("$argon2")), (1, false, false), "{under:?}");
        assert!(secrets.len() > 5 && !under.contains(before.as_str()));
        before = under.first().unwrap().to_string();
        let without = if given.len() == 1 { OTHER } else { KEY };
        assert_eq!(refused(&cluster, &[]).await, Reason::EncryptionKeyWrong);
        assert_eq!(refused(&cluster, &[without]).await, Reason::EncryptionKeyWrong);
    }
    // Without the old one.
    let um = open(&cluster, &[OTHER]).await.unwrap();
    sign_in(&um).await;
    um.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sto_6_two_instances_go_through_a_change_of_the_key_together() {
    let cluster = Cluster::start();
    cluster.connect().await;
    let first = open(&cluster, &[KEY, OTHER]).await.unwrap();
    first.system().users().create(CreateUser::new("ada@example.org").password(PASSWORD)).await.unwrap();
    let second = open(&cluster, &[OTHER, KEY]).await.unwrap();
    // Each reads what the other has written meanwhile, also while one encrypts the rest.
    let (one, two) = tokio::join!(first.tidy(), second.tidy());
    one.unwrap();
    two.unwrap();
    for um in [&first, &second] {
        sign_in(um).await;
    }
    while second.tidy().await.unwrap().has_more {}
    for um in [&first, &second] {
        sign_in(um).await;
    }
}
