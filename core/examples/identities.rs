//! Accounts kept elsewhere: whoever comes with a token that the host has verified gets an account at first sight.
use rolekeep::{Caller, Code, Policy, UserManagement, users::CreateUser};

async fn caller(um: &UserManagement, issuer: &str, subject: &str) -> rolekeep::Result<Caller> {
    match um.acting_as_identity(issuer, subject).await {
        Err(error) if error.code() == Code::NotFound => {}
        found => return found,
    }
    match um.system().users().create(CreateUser::external(issuer, subject).roles(["reader"])).await {
        Err(error) if error.code() != Code::Duplicate => Err(error),
        _ => um.acting_as_identity(issuer, subject).await, // Of two at once one is a duplicate, and both are found.
    }
}

#[tokio::main]
async fn main() -> rolekeep::Result<()> {
    let policy = Policy::new().permissions(["document:read", "document:edit"]).role("reader", ["document:read"]);
    let um = UserManagement::builder().policy(policy).open().await?;
    let me = caller(&um, "https://login.example.org", "auth0|5f7c8ec7").await?;
    println!("{} {}", me.can("document:read", None)?, me.can("document:edit", None)?);
    let again = caller(&um, "https://login.example.org", "auth0|5f7c8ec7").await?;
    println!("{}", again.users().me().await?.id == me.users().me().await?.id);
    Ok(())
}
