//! What the index of searches has of who was erased: nothing, not even parts of names.

use std::sync::Arc;

use rolekeep::{
    storage::{SqliteOptions, Storage, sqlite::SqliteStorage},
    users::{CreateUser, DeleteUser, EraseUser, ListUsers, PurgeUser, UpdateUser},
};
use sqlx::{Connection, SqliteConnection};

use super::{
    super::kit::{policy, user},
    erased, files_of,
};
use crate::cheap;

/// Each three letters of a word that nobody else has.
fn grams(word: &str) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    letters.windows(3).map(|gram| gram.iter().collect()).collect()
}

/// Those of them that the index has.
async fn indexed(path: &std::path::Path, grams: &[String]) -> Vec<String> {
    let mut raw = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    let made = "CREATE VIRTUAL TABLE temp.terms USING fts5vocab (main, users_search, row)";
    sqlx::raw_sql(made).execute(&mut raw).await.unwrap();
    let terms: Vec<String> = sqlx::query_scalar("SELECT term FROM temp.terms").fetch_all(&mut raw).await.unwrap();
    raw.close().await.unwrap();
    grams.iter().filter(|gram| terms.contains(gram)).cloned().collect()
}

/// Whether the bytes of two letters of it are anywhere: terms are stored without what they begin with in common.
fn is_in_file(path: &std::path::Path, word: &str) -> bool {
    let bytes = files_of(path);
    let letters: Vec<char> = word.chars().collect();
    let mut pairs = letters.windows(2).map(|pair| pair.iter().collect::<String>());
    pairs.any(|pair| bytes.windows(pair.len()).any(|window| window == pair.as_bytes()))
}

#[tokio::test]
async fn usr_13_the_index_of_searches_forgets_who_was_erased() {
    // Of scripts that nothing else is written in: what was her name before, her name, and that of one who is purged.
    let (before, name, other) = ("ლოვეწჭ", "ሀለሐመሠረ", "ꭰꭱꭲꭳꭴꭵ");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let storage: Arc<dyn Storage> = Arc::new(SqliteStorage::open(SqliteOptions::new(&path)).await.unwrap());
    let um = cheap::builder().storage(storage.clone()).policy(policy()).open().await.unwrap();
    let system = um.system();
    let mut known = Vec::new();
    // Among others, so that the index has been merged more than once.
    for number in 0..120 {
        user(&um, &format!("person{number}of{}", number % 7), &[]).await;
        match number {
            30 => known
                .push(system.users().create(CreateUser::new("ada@example.org").full_name(before)).await.unwrap().id),
            60 => {
                known.push(system.users().create(CreateUser::new("eve@example.org").last_name(other)).await.unwrap().id)
            }
            _ => {}
        }
    }
    let [ada, eve] = known[..] else { panic!("two") };
    let found = async |words: &str| {
        let page = system.users().list(ListUsers::new().search(words)).await.unwrap();
        (page.items.len(), page.total)
    };
    assert_eq!(found(before).await, (1, Some(1)));
    assert_eq!(indexed(&path, &grams(before)).await, grams(before));
    assert!(is_in_file(&path, before) && is_in_file(&path, other));

    system.users().update(UpdateUser::new(ada).full_name(name)).await.unwrap();
    assert_eq!((found(before).await, found(name).await), ((0, Some(0)), (1, Some(1))));
    assert_eq!(indexed(&path, &grams(before)).await, [""; 0]);
    assert_eq!(indexed(&path, &grams(name)).await, grams(name));

    system.users().delete(DeleteUser::new(eve)).await.unwrap();
    assert_eq!(found(other).await, (0, Some(0)));
    system.users().purge(PurgeUser::new(eve)).await.unwrap();
    assert_eq!(indexed(&path, &grams(other)).await, [""; 0]);

    for gone in [ada, eve] {
        system.users().erase(EraseUser::new(gone)).await.unwrap();
    }
    erased(&*storage).await;
    assert_eq!(indexed(&path, &grams(name)).await, [""; 0]);
    assert_eq!(found("person11").await.1, Some(11));
    um.close().await.unwrap();
    for word in [before, name, other] {
        assert!(!is_in_file(&path, word), "{word}");
    }
}
