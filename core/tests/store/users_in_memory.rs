//! How many users' rights are kept in memory, and how often that helped.

use rolekeep::{Policy, users::CreateUser};

use crate::cheap;

#[tokio::test]
async fn how_often_rights_were_in_memory_is_told() {
    let config = cheap::config().users_in_memory(2);
    let policy = Policy::new().permissions(["document:edit"]).role("editor", ["document:edit"]);
    let um = cheap::builder().policy(policy).config(config).open().await.unwrap();
    let mut users = Vec::new();
    for number in 0..4 {
        users.push(um.system().users().create(CreateUser::new(format!("u{number}@example.org"))).await.unwrap().id);
    }
    let ask = async |user: usize| um.check(users[user], "document:edit", None).await.unwrap();
    let told = || {
        let told = um.users_in_memory();
        (told.count, told.found, told.read)
    };
    assert_eq!(told(), (0, 0, 0));
    ask(0).await;
    ask(0).await;
    ask(0).await;
    assert_eq!(told(), (1, 2, 1));
    // More than are kept: each is read anew.
    for _ in 0..3 {
        for user in 0..4 {
            ask(user).await;
        }
    }
    let (count, found, read) = told();
    assert_eq!((count, found + read), (2, 15));
    assert!(read >= 12, "{found} found, {read} read");
}
