//! Keys over a real connection: what a server may do, and where it may be.

use std::{thread, time::Duration};

use rolekeep::{Error, Reason, RequestContext, Result, TrustedIssuer, UserManagement, users::CreateUser};

use super::{
    super::kit::Ahead,
    ISSUER, SUBJECT,
    server::{AUTHORITY, Server},
    set_of, sign_in,
};
use crate::{cheap, issuer::Issuer};

/// A store that asks a server for keys, on a clock of its own.
struct Stage {
    um: UserManagement,
    clock: Ahead,
    issuer: Issuer,
}

impl Stage {
    async fn open(trusted: TrustedIssuer) -> Result<Self> {
        let (clock, issuer) = (Ahead::new(), Issuer::new(ISSUER, 7));
        let config = cheap::config().trusted_issuers([trusted.audiences(["app"])]);
        let um = cheap::builder().config(config).environment(clock.clone()).open().await?;
        um.system().users().create(CreateUser::external(ISSUER, SUBJECT)).await?;
        Ok(Self { um, clock, issuer })
    }

    async fn asking(server: &Server) -> Self {
        let trusted = TrustedIssuer::new(ISSUER).jwks_url(server.url());
        Self::open(trusted.root_certificates(AUTHORITY).allow_private_network(true)).await.unwrap()
    }

    async fn sign_in(&self) -> Result<()> {
        sign_in(&self.um, &self.clock, &self.issuer).await
    }

    /// Why it is refused, asked for anew.
    async fn refused(&self) -> Error {
        self.clock.pass(11);
        let error = self.sign_in().await.unwrap_err();
        assert_eq!(error.reason(), Reason::IssuerUnavailable, "{error}");
        error
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aut_17_keys_are_fetched_over_tls_and_kept() {
    let server = Server::start();
    let stage = Stage::asking(&server).await;
    server.publishes(set_of(&[&stage.issuer]));
    for _ in 0..3 {
        stage.sign_in().await.unwrap();
    }
    assert_eq!(server.asked(), 1);
    stage.clock.pass(601);
    stage.sign_in().await.unwrap();
    assert_eq!(server.asked(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_15_what_a_server_answers_is_bounded() {
    let server = Server::start();
    let stage = Stage::asking(&server).await;
    let set = set_of(&[&stage.issuer]);

    // Where a redirect goes nobody looks.
    let elsewhere = Server::start();
    elsewhere.publishes(set.clone());
    let to = elsewhere.url();
    server.answers(move |stream| {
        let _ =
            write!(stream, "HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    });
    assert!(stage.refused().await.message().contains("status 302"));
    assert_eq!(elsewhere.asked(), 0);

    server.refuses("503 Service Unavailable");
    assert!(stage.refused().await.message().contains("status 503"));

    // An answer of any length, with and without saying so.
    server.publishes(format!("{set}{}", " ".repeat(256 * 1024)));
    assert!(stage.refused().await.message().contains("too large"));
    server.answers(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
        while stream.write_all(&[b' '; 4096]).is_ok() {}
    });
    assert!(stage.refused().await.message().contains("too large"));

    // One that never ends; five seconds are waited for it.
    server.answers(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n");
        while stream.write_all(b" ").and_then(|()| stream.flush()).is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    });
    assert!(stage.refused().await.message().contains("too long"));

    for text in ["", "{}", "[]", r#"{"keys":[]}"#, "<html>", r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#] {
        server.publishes(text);
        assert!(stage.refused().await.message().contains("not a key set"), "{text}");
    }
    server.publishes(b"\xff{}".to_vec());
    assert!(stage.refused().await.message().contains("not a key set"));
    server.answers(|_| {});
    assert!(stage.refused().await.message().contains("could not be reached"));

    // It is well again.
    server.publishes(set);
    stage.clock.pass(11);
    stage.sign_in().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_15_who_nobody_vouches_for_is_not_asked() {
    let server = Server::start();
    let url = server.url();
    let stage = async |trusted: TrustedIssuer| Stage::open(trusted.allow_private_network(true)).await.unwrap();

    let stranger = stage(TrustedIssuer::new(ISSUER).jwks_url(url.clone())).await;
    server.publishes(set_of(&[&stranger.issuer]));
    assert!(stranger.refused().await.message().contains("certificate"));

    // The certificate is for another name.
    let other = url.replace("localhost", "127.0.0.2");
    let other = stage(TrustedIssuer::new(ISSUER).jwks_url(other).root_certificates(AUTHORITY)).await;
    assert!(!other.refused().await.message().is_empty());
    assert_eq!(server.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sec_15_a_private_network_is_not_asked_unless_it_may_be() {
    let server = Server::start();
    let port = server.address.port();
    let hosts = ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1"];
    for host in hosts {
        let url = format!("https://{host}:{port}/keys");
        let trusted = TrustedIssuer::new(ISSUER).jwks_url(url).root_certificates(AUTHORITY);
        let stage = Stage::open(trusted).await.unwrap();
        server.publishes(set_of(&[&stage.issuer]));
        let error = stage.refused().await;
        let is_refused = error.message().contains("public internet") || error.message().contains("not be reached");
        assert!(is_refused, "{host}: {error}");
    }
    assert_eq!(server.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_a_key_set_are_checked_when_the_store_is_opened() {
    let refused = async |trusted: TrustedIssuer| {
        let given = format!("{trusted:?}");
        let error = Stage::open(trusted).await.err().expect(&given);
        assert_eq!(error.reason(), Reason::ConfigInvalid);
        error.fields().iter().map(|field| field.field.clone()).collect::<Vec<_>>().join(" ")
    };
    let issuer = || TrustedIssuer::new(ISSUER);
    for url in [
        "http://example.org/keys",
        "example.org",
        "https://",
        "https://a@example.org",
        "https://example.org/#a",
        "https://exa mple.org",
    ] {
        assert_eq!(refused(issuer().jwks_url(url)).await, "trusted_issuers[0].jwks_url", "{url}");
    }
    let keys = set_of(&[&Issuer::new(ISSUER, 7)]);
    assert_eq!(refused(issuer().jwks_url("https://example.org/keys").jwks(keys)).await, "trusted_issuers[0].jwks_url");
    assert_eq!(refused(issuer()).await, "trusted_issuers[0].jwks_url");
    let other = issuer().jwks_url("https://example.org/keys").root_certificates("none");
    assert_eq!(refused(other).await, "trusted_issuers[0].root_certificates");
    let secret = "a secret of at least thirty-two bytes";
    assert_eq!(
        refused(issuer().secret(secret).allow_private_network(true)).await,
        "trusted_issuers[0].allow_private_network"
    );
    assert_eq!(
        refused(issuer().secret(secret).root_certificates(AUTHORITY)).await,
        "trusted_issuers[0].root_certificates"
    );
}

#[tokio::test]
async fn who_asks_is_told_nothing_of_the_network() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let trusted = TrustedIssuer::new(ISSUER).jwks_url(format!("https://127.0.0.1:{free}/keys"));
    let stage = Stage::open(trusted.allow_private_network(true)).await.unwrap();
    let text = format!("{:?}", stage.refused().await);
    assert!(!text.contains("127.0.0.1") && !text.contains(&free.to_string()), "{text}");
    let other = stage.um.login("ada", "no password of hers", RequestContext::default()).await.unwrap_err();
    assert_eq!(other.reason(), Reason::InvalidCredentials);
}
