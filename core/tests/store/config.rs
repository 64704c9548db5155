//! What a store is opened with: one storage, one policy.

use std::sync::Arc;

use rolekeep::{Code, Config, Policy, Reason, UserManagement, storage::MemoryStorage};

#[tokio::test]
async fn two_storages_are_refused_and_no_file_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app.db");
    let named = || Config::new().sqlite(file.to_str().unwrap());
    let memory = Arc::new(MemoryStorage::new());
    for builder in [
        UserManagement::builder().config(named()).memory(),
        UserManagement::builder().storage(memory.clone()).config(named()),
        UserManagement::builder().config(named()).sqlite(&file),
        UserManagement::builder().sqlite(&file).storage(memory.clone()),
    ] {
        let error = builder.open().await.err().unwrap();
        assert_eq!((error.code(), error.reason()), (Code::Validation, Reason::ConfigInvalid));
        assert!(error.message().contains("two storages"), "{error}");
        assert!(!file.exists());
    }
    UserManagement::open(named()).await.unwrap();
    assert!(file.exists());
}

#[tokio::test]
async fn a_url_of_postgresql_is_told_by_nothing() {
    let url = |host: &str| Config::new().postgres(format!("postgres://ada:hunter2hunter2@{host}/app"));
    let printed = format!("{:?} {:#?}", url("db"), url("db"));
    assert!(!printed.contains("hunter2") && printed.contains("postgres"), "{printed}");
    for config in
        [url("db:port"), url("db").postgres_schema("Accounts"), url("db").sqlite("app.db"), url("db").exclusive(true)]
    {
        let error = UserManagement::open(config).await.err().unwrap();
        assert_eq!((error.code(), error.reason()), (Code::Validation, Reason::ConfigInvalid));
        assert!(!format!("{error} {error:?} {error:#?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn two_policies_are_refused() {
    let roles = [("editor".to_owned(), vec!["document:edit".to_owned()])];
    let builder = UserManagement::builder().config(Config::new().roles(roles)).policy(Policy::new());
    let error = builder.open().await.err().unwrap();
    assert_eq!(error.reason(), Reason::ConfigInvalid);
    assert!(error.message().contains("two policies"), "{error}");
}
