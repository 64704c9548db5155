#![allow(missing_docs)]
use rolekeep::{Policy, RequestContext, UserManagement, door, operations::users::CreateUser};

async fn story(um: UserManagement) -> rolekeep::Result<()> {
    let ada = um.system().users().create(CreateUser::new("ada@example.org").username("ada").password("correct horse battery").roles(["editor"])).await?;
    let login = um.login("ADA", "correct horse battery", RequestContext::from_ip("127.0.0.1")).await?;
    let me = um.authenticate(login.access_token.expose(), RequestContext::default()).await?;
    assert!(me.can("document:edit", None)?);
    assert!(!me.can("document:delete", None)?);
    println!("{}", me.explain("document:delete", None)?.text);
    assert_eq!(me.users().me().await?.id, ada.id);
    println!("{:?}", me.users().list(rolekeep::operations::users::ListUsers::new()).await.unwrap_err());
    println!("{:?}", um.login("ada", "wrong", RequestContext::default()).await.unwrap_err());
    println!("{}", door::call(&um.system(), "users.list", r#"{"search":"ad"}"#).await?);
    println!("{}", door::call(&um.system(), "audit.verify", "{}").await?);
    println!("{:?}", door::call(&um.system(), "users.create", r#"{"email":"x","usrname":"a","is_admin":true}"#).await.unwrap_err());
    um.system().users().suspend(ada.id).await?;
    println!("{:?}", me.users().me().await.unwrap_err());
    println!("{:?}", me.can("document:edit", None).unwrap_err());
    um.close().await
}

fn policy() -> Policy {
    Policy::new().permissions(["document:edit", "document:delete"]).role("editor", ["document:edit"])
}

#[tokio::test]
async fn memory() {
    story(UserManagement::builder().policy(policy()).open().await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    story(UserManagement::builder().policy(policy()).sqlite(folder.path().join("a.db")).open().await.unwrap()).await.unwrap();
}
