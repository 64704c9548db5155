//! Whoever answers over TCP is believed by its certificate only, unless the URL asks for less; whoever is not is told nothing.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests panic where they fail, and wait in real time"
)]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rolekeep::{
    Reason, UserManagement,
    storage::{PostgresOptions, PostgresStorage, Storage as _},
    users::{CreateUser, ListUsers},
};
use rolekeep_postgres_tests::Cluster;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tls/ca.pem");
const PASSWORD: &str = "correct-horse-battery";
/// The account that the server asks for its password.
const ACCOUNT: &str = "guarded";
/// What is asked for first: a length, and a number that stands for TLS.
const ASKS_FOR_TLS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// Whatever takes this long does not happen.
const EVER: Duration = Duration::from_secs(60);

/// Leads to a server under another address, and keeps what clients say.
struct Relay {
    place: String,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    listens: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listens.abort();
    }
}

impl Relay {
    async fn start(address: &str, server: u16) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let place = format!("{address}:{}", listener.local_addr().unwrap().port());
        let heard: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let of_all = heard.clone();
        let listens = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = of_all.lock().unwrap().len();
                of_all.lock().unwrap().push(Vec::new());
                let of_all = of_all.clone();
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
                    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                        (client.into_split(), server.into_split());
                    let asks = async {
                        let mut bytes = vec![0; 1 << 14];
                        while let Ok(count @ 1..) = from_client.read(&mut bytes).await {
                            of_all.lock().unwrap()[number].extend_from_slice(&bytes[..count]);
                            if to_server.write_all(&bytes[..count]).await.is_err() {
                                return;
                            }
                        }
                    };
                    tokio::select! {
                        () = asks => {}
                        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
                    }
                });
            }
        });
        Self { place, heard, listens }
    }

    fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap().clone()
    }

    /// Nobody has said who wants to come in, nor with what.
    fn require_silence(&self) {
        let heard = self.heard();
        assert!(!heard.is_empty(), "nobody has asked");
        for said in heard {
            assert!(said.starts_with(&ASKS_FOR_TLS), "{said:?}");
            for word in [ACCOUNT, PASSWORD] {
                assert!(!said.windows(word.len()).any(|part| part == word.as_bytes()), "{word} was sent");
            }
        }
    }
}

async fn open(place: &str, options: &str) -> Result<PostgresStorage, Reason> {
    let url = format!("postgres://{ACCOUNT}:{PASSWORD}@{place}/postgres?{options}");
    let options = PostgresOptions::new(url).listens(false);
    PostgresStorage::open(options).await.map_err(|error| error.reason())
}

/// Whether everybody's connections are encrypted, as the server says.
async fn are_encrypted(cluster: &Cluster) -> bool {
    let asked = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'guarded'";
    let encrypted: Option<bool> = sqlx::query_scalar(asked).fetch_one(&mut cluster.connect().await).await.unwrap();
    encrypted.unwrap()
}

async fn secured() -> Cluster {
    let cluster = Cluster::secured().await;
    let make = format!("CREATE ROLE {ACCOUNT} LOGIN SUPERUSER PASSWORD '{PASSWORD}'");
    sqlx::raw_sql(sqlx::AssertSqlSafe(make)).execute(&mut cluster.connect().await).await.unwrap();
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn sto_6_a_server_is_believed_by_its_certificate_unless_the_url_asks_for_less() {
    let cluster = secured().await;
    let known = format!("sslrootcert={AUTHORITY}");
    for host in ["localhost", "127.0.0.1"] {
        let storage = open(&format!("{host}:{}", cluster.port()), &known).await.unwrap();
        assert!(are_encrypted(&cluster).await);
        storage.close().await.unwrap();
    }

    // Nobody here knows who has signed it.
    let relay = Relay::start("127.0.0.1", cluster.port()).await;
    assert_eq!(open(&relay.place, "").await.err(), Some(Reason::StorageDenied));
    assert_eq!(open(&relay.place, "sslmode=verify-full").await.err(), Some(Reason::StorageDenied));
    assert_eq!(open(&relay.place, "sslmode=verify-ca").await.err(), Some(Reason::StorageDenied));
    relay.require_silence();
    // It is somebody else's.
    let relay = Relay::start("127.0.0.2", cluster.port()).await;
    assert_eq!(open(&relay.place, &known).await.err(), Some(Reason::StorageDenied));
    relay.require_silence();

    for (place, options, is_encrypted) in [
        (&relay.place, format!("sslmode=verify-ca&{known}"), true),
        (&relay.place, "sslmode=require".to_owned(), true),
        (&relay.place, "sslmode=disable".to_owned(), false),
    ] {
        let storage = open(place, &options).await.unwrap();
        assert_eq!(are_encrypted(&cluster).await, is_encrypted, "{options}");
        storage.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sto_6_a_server_that_does_not_encrypt_is_told_nothing() {
    let cluster = secured().await;
    let mut admin = cluster.connect().await;
    for deed in ["ALTER SYSTEM SET ssl = off", "SELECT pg_reload_conf()"] {
        sqlx::query(deed).execute(&mut admin).await.unwrap();
    }
    let since = Instant::now();
    while sqlx::query_scalar::<_, String>("SHOW ssl").fetch_one(&mut cluster.connect().await).await.unwrap() == "on" {
        assert!(since.elapsed() < EVER, "the server goes on encrypting");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let known = format!("sslrootcert={AUTHORITY}");
    let relay = Relay::start("127.0.0.1", cluster.port()).await;
    for options in [&known, &format!("{known}&sslmode=require")] {
        assert_eq!(open(&relay.place, options).await.err(), Some(Reason::StorageDenied), "{options}");
    }
    assert_eq!(relay.heard(), [ASKS_FOR_TLS, ASKS_FOR_TLS]);
    let storage = open(&relay.place, "sslmode=disable").await.unwrap();
    assert!(!are_encrypted(&cluster).await);
    storage.close().await.unwrap();
}

/// What the connection relies on that hears, and what lists do.
#[tokio::test(flavor = "multi_thread")]
async fn sto_6_a_listener_and_a_replica_are_believed_by_their_certificates() {
    let cluster = secured().await;
    let place = |place: &str, options: &str| format!("postgres://{ACCOUNT}:{PASSWORD}@{place}/postgres?{options}");
    for (number, address, options, is_believed) in [
        (1, "127.0.0.1", format!("sslrootcert={AUTHORITY}"), true),
        (2, "127.0.0.1", String::new(), false),
        (3, "127.0.0.2", format!("sslrootcert={AUTHORITY}"), false),
    ] {
        let (hears, lists) = (Relay::start(address, cluster.port()).await, Relay::start(address, cluster.port()).await);
        let settings = PostgresOptions::new(cluster.url())
            .listener_url(place(&hears.place, &options))
            .replica_url(place(&lists.place, &options));
        let storage = Arc::new(PostgresStorage::open(settings).await.unwrap());
        let um = UserManagement::builder().storage(storage.clone()).open().await.unwrap();
        let since = Instant::now();
        // Where it is not believed, it is tried again and again.
        while if is_believed { !um.health().await.feed.is_told } else { hears.heard().len() < 3 } {
            assert!(since.elapsed() < EVER, "the connection that hears: {:?}", hears.heard().len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(um.health().await.feed.is_told, is_believed);

        um.system().users().create(CreateUser::new(format!("u{number}@example.org"))).await.unwrap();
        loop {
            assert!(since.elapsed() < EVER, "no list is read there");
            assert!(!um.system().users().list(ListUsers::new()).await.unwrap().items.is_empty());
            let uses = storage.condition().replica.unwrap();
            if is_believed && uses.answered > 0 {
                break;
            }
            if !is_believed && uses.failed > 0 {
                assert_eq!(uses.answered, 0);
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if !is_believed {
            hears.require_silence();
            lists.require_silence();
        }
        um.close().await.unwrap();
    }
}
