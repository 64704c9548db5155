//! Stands between a storage and its server: counts what is answered, and cuts connections around an answer. The tests of the core
//! count with it, too.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::Notify,
    task::JoinHandle,
};

/// How often something goes wrong, of a thousand times.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A connection is cut before the server hears what was asked.
    pub unheard: u32,
    /// The server hears it, maybe waits for others, and does it when nobody listens any more.
    pub deserted: u32,
    /// The server has done it, and its answer is cut off.
    pub unanswered: u32,
    /// An answer takes so much longer.
    pub late: u32,
    /// How much.
    pub late_by: Duration,
}

/// So long the server does not notice that nobody listens.
const DESERTED: Duration = Duration::from_secs(2);

/// A proxy on a socket of its own.
pub struct Proxy {
    folder: tempfile::TempDir,
    shared: Arc<Shared>,
    listens: JoinHandle<()>,
}

struct Shared {
    server: Mutex<PathBuf>,
    answers: AtomicU64,
    trips: AtomicU64,
    cuts: AtomicU64,
    faults: Mutex<Faults>,
    dice: Mutex<fastrand::Rng>,
    desert: Notify,
    freeze: Notify,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listens.abort();
    }
}

impl Proxy {
    /// Begins to listen for a server whose socket is in a folder; what goes wrong later goes wrong by this seed.
    pub fn start(server: &Path, seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = UnixListener::bind(socket_in(folder.path())).expect("a socket");
        let shared = Arc::new(Shared {
            server: Mutex::new(socket_in(server)),
            answers: AtomicU64::new(0),
            trips: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
            faults: Mutex::default(),
            dice: Mutex::new(fastrand::Rng::with_seed(seed)),
            desert: Notify::new(),
            freeze: Notify::new(),
        });
        let of_clients = shared.clone();
        let listens = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = of_clients.clone();
                tokio::spawn(async move { shared.carry(client).await });
            }
        });
        Self { folder, shared, listens }
    }

    /// What leads to the server through it.
    pub fn url(&self) -> String {
        url_of(self.folder.path())
    }

    /// How many answers the server has come to the end of: round trips, with those that make a connection or prepare a statement.
    pub fn answers(&self) -> u64 {
        self.shared.answers.load(Ordering::Relaxed)
    }

    /// How many of them ended a statement: round trips over connections that know their statements.
    pub fn trips(&self) -> u64 {
        self.shared.trips.load(Ordering::Relaxed)
    }

    /// How many connections it has cut.
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::Relaxed)
    }

    /// From now on new connections lead to the server whose socket is in this folder.
    pub fn lead(&self, server: &Path) {
        *self.shared.server.lock().expect("nobody panics with it") = socket_in(server);
    }

    /// Cuts all connections, of which the server notices nothing for a while: it does what it has heard.
    pub fn desert(&self) {
        self.shared.desert.notify_waiters();
    }

    /// Nothing passes any more over the connections that there are, which nobody closes; new ones work.
    pub fn freeze(&self) {
        self.shared.freeze.notify_waiters();
    }

    /// From now on so much goes wrong.
    pub fn set(&self, faults: Faults) {
        *self.shared.faults.lock().expect("nobody panics with it") = faults;
    }
}

impl Shared {
    fn happens(&self, of: impl Fn(&Faults) -> u32) -> bool {
        let most = of(&self.faults.lock().expect("nobody panics with it"));
        most > 0 && self.dice.lock().expect("nobody panics with it").u32(..1000) < most
    }

    fn is_cut(&self, of: impl Fn(&Faults) -> u32) -> bool {
        let happens = self.happens(of);
        self.cuts.fetch_add(happens.into(), Ordering::Relaxed);
        happens
    }

    async fn carry(&self, client: UnixStream) {
        let server = self.server.lock().expect("nobody panics with it").clone();
        let Ok(server) = UnixStream::connect(server).await else { return };
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let asks = async {
            let mut bytes = vec![0; 1 << 16];
            while let Ok(count @ 1..) = from_client.read(&mut bytes).await {
                if self.is_cut(|faults| faults.unheard) || to_server.write_all(&bytes[..count]).await.is_err() {
                    return false;
                }
                if self.is_cut(|faults| faults.deserted) {
                    return true;
                }
            }
            false
        };
        let answers = async {
            let (mut head, mut has_ended) = ([0; 5], false);
            while from_server.read_exact(&mut head).await.is_ok() {
                let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
                let mut body = vec![0; length.saturating_sub(4)];
                if from_server.read_exact(&mut body).await.is_err() {
                    return;
                }
                // What was asked is done.
                match head[0] {
                    // Of a statement: complete, an error, none.
                    b'C' | b'E' | b'I' => has_ended = true,
                    b'Z' => {
                        self.answers.fetch_add(1, Ordering::Relaxed);
                        self.trips.fetch_add(std::mem::take(&mut has_ended).into(), Ordering::Relaxed);
                    }
                    _ => {}
                }
                if head[0] == b'Z' && self.happens(|faults| faults.late) {
                    let late_by = self.faults.lock().expect("nobody panics with it").late_by;
                    tokio::time::sleep(late_by).await;
                }
                if matches!(head[0], b'D' | b'C' | b'Z') && self.is_cut(|faults| faults.unanswered) {
                    return;
                }
                if to_client.write_all(&head).await.is_err() || to_client.write_all(&body).await.is_err() {
                    return;
                }
            }
        };
        // Whoever ends first ends both; but the server finishes what it has heard.
        tokio::select! {
            is_deserted = asks => {
                drop(to_client);
                if is_deserted {
                    tokio::time::sleep(DESERTED).await;
                }
            }
            () = answers => {}
            () = self.desert.notified() => {
                drop(to_client);
                tokio::time::sleep(DESERTED).await;
            }
            () = self.freeze.notified() => std::future::pending().await,
        }
    }
}

fn socket_in(folder: &Path) -> PathBuf {
    folder.join(".s.PGSQL.5432")
}

/// What leads to the socket in a folder.
pub fn url_of(folder: &Path) -> String {
    // A URL has no other place for a path.
    format!("postgres://postgres@{}/postgres", folder.to_string_lossy().replace('/', "%2F"))
}
