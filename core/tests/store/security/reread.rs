//! What somebody changes past the library is in no feed: it is known after five minutes, and what nobody holds is let go (OPS-3).

use std::{path::Path, time::Duration};

use rolekeep::{Caller, Policy, Reason, UserManagement, roles::AssignRole, users::CreateUser};
use sqlx::{Connection as _, SqliteConnection};

use super::kit::Ahead;
use crate::cheap;

const MINUTES_5: u64 = 300;

async fn open(file: &Path, clock: &Ahead) -> UserManagement {
    let policy = Policy::new().permissions(["document:edit"]).role("editor", ["document:edit"]);
    cheap::builder().policy(policy).sqlite(file).environment(clock.clone()).open().await.unwrap()
}

/// Takes everybody's roles as somebody with the file in hand does.
async fn take_roles(file: &Path) {
    let mut connection = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
    let taken = sqlx::query("DELETE FROM role_assignments").execute(&mut connection).await.unwrap();
    assert!(taken.rows_affected() > 0);
    connection.close().await.unwrap();
}

/// A check that waits for nothing, once it is not refused for now.
pub async fn may_edit(caller: &Caller) -> bool {
    for _ in 0..1_000 {
        match caller.can("document:edit", None) {
            Ok(may) => return may,
            Err(error) if error.reason() == Reason::RightsStale => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("rights stay old");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ops_3_nothing_is_in_memory_for_more_than_five_minutes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.db");
    let clock = Ahead::standing_still();
    let um = open(&file, &clock).await;
    let mut held = Vec::new();
    for name in ["ada", "bob"] {
        let id = um.system().users().create(CreateUser::new(format!("{name}@example.org"))).await.unwrap().id;
        um.system().roles().assign(AssignRole::new(id, "editor")).await.unwrap();
        assert!(um.check(id, "document:edit", None).await.unwrap());
        held.push(id);
    }
    // One of them is held by a caller.
    let ada = um.acting_as(held[0]).await.unwrap();
    take_roles(&file).await;
    let found = || um.users_in_memory().count;
    clock.pass(MINUTES_5 - 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(may_edit(&ada).await, "it was read again too early");
    assert_eq!(found(), 2);
    clock.pass(2);
    for _ in 0..3_000 {
        if !may_edit(&ada).await {
            assert_eq!(found(), 1, "who is held by nobody stays");
            assert!(!um.check(held[1], "document:edit", None).await.unwrap());
            um.close().await.unwrap();
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("what was changed by hand is never known");
}
