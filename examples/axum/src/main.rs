//! `cargo run -p axum-service`, then for example
//! `curl -i localhost:8080/login --json '{"identifier": "ada@example.org", "password": "correct horse battery ada"}'`.

use std::{collections::BTreeMap, error::Error, net::SocketAddr, sync::Arc};

use axum_service::{Document, Service, app};
use rolekeep::{Policy, UserManagement, users::CreateUser};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let policy = Policy::from_toml(include_str!("../policy.toml"))?;
    let um = UserManagement::builder().policy(policy).open().await?;
    let mut documents = BTreeMap::new();
    for (number, (name, role)) in (1..).zip([("ada", "author"), ("lin", "librarian"), ("root", "admin")]) {
        let new = CreateUser::new(format!("{name}@example.org")).password(format!("correct horse battery {name}"));
        let user = um.system().users().create(new.roles([role])).await?;
        let text = format!("what {name} wrote");
        documents.insert(number, Document { owner_id: user.id, is_published: number == 3, text });
    }
    let service = Service { um, documents: Arc::new(documents.into()) };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 8080)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app(service).into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
