//! A PostgreSQL of the tests' own: a cluster in a temporary folder, on a Unix socket that only its
//! folder leads to, gone when it is dropped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "for tests, which panic where they fail")]

use std::{
    fs::{OpenOptions, Permissions},
    io::Write,
    net::TcpListener,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rolekeep::storage::sql::{SqlCondition, SqlValue};
use sqlx::{
    AssertSqlSafe, ConnectOptions, PgConnection, Postgres,
    postgres::{PgArguments, PgConnectOptions, PgRow},
    query::Query,
};

/// However the tests end, the server does not outlive them by more seconds, unless `ROLEKEEP_SERVER_SECONDS` says how many.
const LONGEST: &str = "1800";

/// Where its socket is looked for by those who name no port.
const PORT: u16 = 5432;

/// Nothing has to survive the machine, and little is kept of what was written.
const FAST: [&str; 6] = ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_wal_size=128MB"];

const CERTIFICATE: &str = include_str!("../../tls/localhost.pem");
const KEY: &str = include_str!("../../tls/localhost.key");

/// The account that a server asks for a password, once it is made.
const GUARDED: &str = "guarded";

/// A running server.
#[derive(Debug)]
pub struct Cluster {
    folder: tempfile::TempDir,
    server: Child,
    programs: PathBuf,
    user: Option<(u32, u32)>,
    settings: Vec<String>,
    port: u16,
}

pub mod bouncer;
pub mod proxy;

impl Cluster {
    /// Makes a cluster and starts its server, for which nothing has to survive the machine. Its own texts are sorted as people sort
    /// them, so that a comparison by anything but bytes shows.
    pub fn start() -> Self {
        Self::with(&FAST)
    }

    /// One that waits for the disk, as those of users do: for measuring.
    pub fn durable() -> Self {
        Self::with(&["-c", "shared_buffers=512MB"])
    }

    /// One that also listens on `127.0.0.1`, where it encrypts: its certificate is that of `tests/tls`, for `localhost` and that address.
    pub async fn secured() -> Self {
        // The port may be somebody else's by the time that the server takes it.
        for _ in 0..20 {
            let port =
                TcpListener::bind("127.0.0.1:0").and_then(|taken| taken.local_addr()).expect("a free port").port();
            let listens = format!("port={port}");
            let settings = [&FAST[..], &["-c", &listens, "-c", "listen_addresses=127.0.0.1"]].concat();
            let mut cluster = Self::made(&settings, port, |data, user| {
                // Not as an argument, so that `ALTER SYSTEM` can end it.
                let config = OpenOptions::new().append(true).open(data.join("postgresql.conf"));
                config.and_then(|mut config| config.write_all(b"ssl = on\n")).expect("the configuration is written");
                for (name, content) in [("server.crt", CERTIFICATE), ("server.key", KEY)] {
                    let file = data.join(name);
                    std::fs::write(&file, content).expect("a file");
                    // The server takes no key that others may read.
                    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("the file is closed");
                    if let Some((user, group)) = user {
                        chown(&file, Some(user), Some(group)).expect("the file changes hands");
                    }
                }
            });
            if cluster.answers().await {
                return cluster;
            }
        }
        panic!("no port is free");
    }

    /// Whether it takes connections, once it does or has ended.
    async fn answers(&mut self) -> bool {
        while matches!(self.server.try_wait(), Ok(None)) {
            if self.try_connect().await.is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }

    fn with(settings: &[&str]) -> Self {
        Self::made(settings, PORT, |_, _| {})
    }

    fn made(settings: &[&str], port: u16, adds: impl FnOnce(&Path, Option<(u32, u32)>)) -> Self {
        let programs = programs();
        let folder = tempfile::tempdir().expect("a temporary folder");
        // The server refuses to run as root.
        let user = is_root().then(|| (number("-u"), number("-g")));
        if let Some((user, group)) = user {
            chown(folder.path(), Some(user), Some(group)).expect("the folder changes hands");
        }
        let data = folder.path().join("data");
        let mut initdb = as_user(&programs.join("initdb"), user);
        initdb.args(["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"]);
        initdb.args(["--locale-provider=icu", "--icu-locale=en"]).arg("--pgdata").arg(&data);
        let made = initdb.stdout(Stdio::null()).current_dir(folder.path()).status().expect("initdb runs");
        assert!(made.success(), "initdb failed");

        let rules = data.join("pg_hba.conf");
        let trusting = std::fs::read_to_string(&rules).expect("initdb has written rules");
        let asking = format!("local all {GUARDED} scram-sha-256\nhost all {GUARDED} all scram-sha-256\n{trusting}");
        std::fs::write(&rules, asking).expect("the rules are written");
        adds(&data, user);
        let settings: Vec<String> = settings.iter().map(|part| (*part).to_owned()).collect();
        let server = serve(&programs, folder.path(), user, &settings);
        Self { server, folder, programs, user, settings, port }
    }

    /// Another server that follows this one and answers what only reads: a hot standby.
    pub async fn standby(&self) -> Self {
        self.connect().await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        if let Some((user, group)) = self.user {
            chown(folder.path(), Some(user), Some(group)).expect("the folder changes hands");
        }
        let mut copy = as_user(&self.programs.join("pg_basebackup"), self.user);
        copy.args(["--username=postgres", "--checkpoint=fast", "--no-sync", "--write-recovery-conf", "--host"]);
        copy.arg(self.folder.path()).arg("--pgdata").arg(folder.path().join("data")).current_dir(folder.path());
        assert!(copy.status().expect("pg_basebackup runs").success(), "pg_basebackup failed");
        let server = serve(&self.programs, folder.path(), self.user, &self.settings);
        let (programs, settings) = (self.programs.clone(), self.settings.clone());
        Self { server, folder, programs, user: self.user, settings, port: self.port }
    }

    /// Ends the server as a crash of it would, and starts another, which recovers.
    pub fn crash(&mut self) {
        self.end();
        self.server = serve(&self.programs, self.folder.path(), self.user, &self.settings);
    }

    /// Ends the server as a crash of it would, for good.
    pub fn end(&mut self) {
        let mut stop = as_user(&self.programs.join("pg_ctl"), self.user);
        stop.args(["stop", "--mode=immediate", "--silent", "--pgdata"]).arg(self.folder.path().join("data"));
        let stopped = stop.current_dir(self.folder.path()).status().expect("pg_ctl runs");
        assert!(stopped.success(), "the server does not stop");
        let _ = self.server.wait();
    }

    /// Has a standby hear of the primary no more: what is committed there from now on never comes here.
    pub async fn cut_off(&self) {
        let mut admin = self.connect().await;
        // Pausing would not do: what has come and is not replayed is replayed when it is promoted.
        for deed in ["ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()"] {
            sqlx::query(deed).execute(&mut admin).await.expect("the standby lets its superuser do that");
        }
        for _ in 0..1200 {
            let receives = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_stat_wal_receiver)");
            if !receives.fetch_one(&mut admin).await.unwrap_or(true) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the standby goes on hearing");
    }

    /// Makes a standby a primary, which takes commits when this returns.
    pub async fn promote(&self) {
        let mut admin = self.connect().await;
        let promoted = sqlx::query_scalar("SELECT pg_promote(wait_seconds => 600)").fetch_one(&mut admin).await;
        assert!(promoted.unwrap_or(false), "the standby is not promoted");
    }

    /// The folder that its socket is in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What leads to it.
    pub fn url(&self) -> String {
        let url = proxy::url_of(self.folder.path());
        if self.port == PORT { url } else { format!("{url}?port={}", self.port) }
    }

    /// A connection, as soon as the server takes one.
    pub async fn connect(&self) -> PgConnection {
        for _ in 0..600 {
            match self.try_connect().await {
                Ok(connection) => return connection,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        panic!("the server does not answer");
    }

    async fn try_connect(&self) -> Result<PgConnection, sqlx::Error> {
        let options = PgConnectOptions::new_without_pgpass().socket(self.folder.path()).port(self.port);
        options.username("postgres").database("postgres").connect().await
    }

    /// Where it listens on the network, if it does.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn serve(programs: &Path, folder: &Path, user: Option<(u32, u32)>, settings: &[String]) -> Child {
    let mut server = as_user(Path::new("timeout"), user);
    let postgres = programs.join("postgres");
    let longest = std::env::var("ROLEKEEP_SERVER_SECONDS").unwrap_or_else(|_| LONGEST.to_owned());
    server.args(["--foreground", "--signal=QUIT", &longest]).arg(postgres).arg("-D").arg(folder.join("data"));
    // Nothing listens on the network, unless the settings say so.
    server.arg("-k").arg(folder).args(["-c", "listen_addresses="]).args(settings);
    // By which tests tell in what order commits took place.
    server.args(["-c", "track_commit_timestamp=on"]);
    server.stdout(Stdio::null()).stderr(Stdio::null()).current_dir(folder);
    server.spawn().expect("the server starts")
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // One that has ended has no number any more.
        if !matches!(self.server.try_wait(), Ok(None)) {
            return;
        }
        // By its own number; `timeout` hands the signal on to the server, whose word is its last.
        let mut stop = as_user(Path::new("kill"), self.user);
        let _ = stop.arg("-INT").arg(self.server.id().to_string()).status();
        let _ = self.server.wait();
    }
}

/// A query with the parameters of a condition.
pub fn bound(text: String, parameters: &[SqlValue]) -> Query<'static, Postgres, PgArguments> {
    let mut query = sqlx::query(AssertSqlSafe(text));
    for parameter in parameters {
        query = match parameter.clone() {
            SqlValue::Bool(bool) => query.bind(bool),
            SqlValue::Int(int) => query.bind(int),
            SqlValue::Text(text) => query.bind(text),
            SqlValue::Uuid(id) => query.bind(id),
            SqlValue::Bools(bools) => query.bind(bools),
            SqlValue::Ints(ints) => query.bind(ints),
            SqlValue::Texts(texts) => query.bind(texts),
            SqlValue::Uuids(ids) => query.bind(ids),
            other => panic!("PostgreSQL binds no {other:?}"),
        };
    }
    query
}

/// The rows of a query whose `WHERE` is a condition; the error says which.
pub async fn rows(connection: &mut PgConnection, select: &str, condition: &SqlCondition) -> Result<Vec<PgRow>, String> {
    let text = format!("{select} WHERE {}", condition.text);
    let rows = bound(text.clone(), &condition.parameters).fetch_all(connection).await;
    rows.map_err(|error| format!("{error}\n{text}\n{:?}", condition.parameters))
}

/// Where the newest version's programs are.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().collect::<Vec<_>>())
        .unwrap_or_default();
    let newest = versions
        .into_iter()
        .map(|entry| entry.path())
        .max_by_key(|path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()).unwrap_or_default());
    newest.expect("PostgreSQL is not installed: run `scripts/setup postgres`").join("bin")
}

fn is_root() -> bool {
    id(&["-u"]) == "0"
}

fn number(flag: &str) -> u32 {
    id(&[flag, "postgres"]).parse().expect("Debian's package makes the user `postgres`")
}

fn id(arguments: &[&str]) -> String {
    let output = Command::new("id").args(arguments).output().expect("`id` runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn as_user(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
    command
}
