//! Create Ada, give her the role `editor`, and ask what she may do.
use rolekeep::{Policy, UserManagement, users::CreateUser};

#[tokio::main]
async fn main() -> rolekeep::Result<()> {
    let policy = Policy::new().permissions(["document:edit", "document:delete"]).role("editor", ["document:edit"]);
    let um = UserManagement::builder().policy(policy).open().await?;
    let ada = um.system().users().create(CreateUser::new("ada@example.org").roles(["editor"])).await?;
    let me = um.acting_as(ada.id).await?;
    println!("edit: {}", me.can("document:edit", None)?);
    println!("delete: {}", me.can("document:delete", None)?);
    println!("{}", me.explain("document:delete", None)?.text);
    Ok(())
}
