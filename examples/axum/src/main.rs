//! `cargo run -p axum-service`, then for example
//! `curl -i localhost:8080/login --json '{"identifier": "ada@example.org", "password": "correct horse battery ada"}'`.
//!
//! With mail, caught on this machine: `pip install aiosmtpd`, then (what `sed` does is to join long lines, which mail wraps)
//! ```text
//! python3 -um aiosmtpd -n -l 127.0.0.1:1025 -c aiosmtpd.handlers.Debugging stdout | sed -u ':a;/=$/{N;s/=\n//;ba}'
//! SMTP_URL=smtp://127.0.0.1:1025 cargo run -p axum-service
//! curl -i localhost:8080/forgot --json '{"identifier": "ada@example.org"}'
//! ```
//! and open the link in the mail. A real server is `SMTP_URL=smtps://user:password@mail.example.org`, and
//! `MAIL_FROM='Documents <documents@example.org>'` is from whom; [`axum_service::mail`] has the rest.

use std::{collections::BTreeMap, env, error::Error, sync::Arc};

use axum_service::{
    Document, Service, app, end,
    mail::{Languages, Mailer},
    rate_limit::REQUESTS,
    session::Origin,
};
use rolekeep::{Config, Policy, Registration, UserManagement, users::CreateUser};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let policy = Policy::from_toml(include_str!("../policy.toml"))?;
    let port = env::var("PORT").map_or(Ok(8080), |port| port.parse::<u16>())?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let origin = format!("http://localhost:{}", listener.local_addr()?.port());
    let config = Config::new().link_url(format!("{origin}/account")).requests_per_minute(REQUESTS.quota);
    let mut config = config.passkey_domain("localhost").passkey_origins([origin.clone()]);
    let (mut mailer, languages) = (None, Languages::default());
    if let Ok(server) = env::var("SMTP_URL") {
        let from = env::var("MAIL_FROM").unwrap_or_else(|_| "Documents <documents@example.org>".to_owned());
        mailer = Some(Mailer::new(&server, &from, languages.clone())?);
        config = config.mail_sign_in(true).registration(Registration::Verified);
    }
    let mut builder = UserManagement::builder().policy(policy).config(config);
    if let Some(mailer) = mailer {
        builder = builder.notifier(mailer);
    }
    let um = builder.open().await?;
    let mut documents = BTreeMap::new();
    for (number, (name, role)) in (1..).zip([("ada", "author"), ("lin", "librarian"), ("root", "admin")]) {
        let new = CreateUser::new(format!("{name}@example.org")).password(format!("correct horse battery {name}"));
        let user = um.system().users().create(new.roles([role])).await?;
        let text = format!("what {name} wrote");
        documents.insert(number, Document { owner_id: user.id, is_published: number == 3, text });
    }
    let documents = Arc::new(documents.into());
    let service = Service { um: um.clone(), documents, languages, origin: Origin(origin.into()) };
    println!("listening on http://{}", listener.local_addr()?);
    end::serve(listener, app(service), &um).await
}
