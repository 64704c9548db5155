//! PgBouncer in front of a cluster: hands the few connections that it has around among any number of clients, transaction by transaction.

use std::{
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use sqlx::{ConnectOptions, PgConnection, Row, postgres::PgConnectOptions};

use crate::{Cluster, LONGEST, as_user, proxy::url_of};

/// What it needs that a store can work through it, beside what the account has to be given: see `PostgresOptions`.
pub const AS_DOCUMENTED: &str =
    "max_prepared_statements = 200\nignore_startup_parameters = extra_float_digits, options\n";

/// A running PgBouncer, gone when it is dropped.
pub struct Bouncer {
    folder: tempfile::TempDir,
    process: Child,
    user: Option<(u32, u32)>,
}

/// Of the clients' connections and of the server's, how many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Those that clients have made to it.
    pub clients: i64,
    /// Those that it has made to the server.
    pub servers: i64,
}

impl Bouncer {
    /// Starts one that has so many connections, and such settings.
    pub async fn start(cluster: &Cluster, connections: usize, settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (at, server) = (folder.path().display(), cluster.folder().display());
        let config = format!(
            "[databases]\npostgres = host={server}\n\
             [pgbouncer]\npool_mode = transaction\ndefault_pool_size = {connections}\nmax_client_conn = 500\n\
             unix_socket_dir = {at}\nlisten_port = 5432\nlisten_addr =\nauth_type = trust\nauth_file = {at}/users\n\
             admin_users = postgres\nlogfile = {at}/log\n{settings}"
        );
        for (name, content) in [("config", config.as_str()), ("users", "\"postgres\" \"\"\n")] {
            std::fs::write(folder.path().join(name), content).expect("a file");
        }
        let user = cluster.user;
        if let Some((user, group)) = user {
            chown(folder.path(), Some(user), Some(group)).expect("the folder changes hands");
        }
        let mut process = as_user(Path::new("timeout"), user);
        let process = process
            .args(["--foreground", "--signal=QUIT", LONGEST])
            .arg(program())
            .arg("--quiet")
            .arg(folder.path().join("config"));
        let process = process.stdout(Stdio::null()).stderr(Stdio::null()).current_dir(folder.path());
        let mut bouncer = Self { process: process.spawn().expect("PgBouncer starts"), folder, user };
        for _ in 0..600 {
            if bouncer.admin().await.is_ok() {
                return bouncer;
            }
            assert!(matches!(bouncer.process.try_wait(), Ok(None)), "PgBouncer has ended");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("PgBouncer does not answer");
    }

    /// What leads to the database through it.
    pub fn url(&self) -> String {
        url_of(self.folder.path())
    }

    /// The connections that there are now, to and from the database.
    pub async fn connections(&self) -> Connections {
        let pools = sqlx::raw_sql("SHOW POOLS").fetch_all(&mut self.admin().await.expect("PgBouncer answers")).await;
        let mut sum = Connections::default();
        for pool in pools.expect("it knows the command") {
            if pool.try_get::<String, _>("database").expect("a column") != "postgres" {
                continue;
            }
            // Of one width or the other, as its version has it.
            let of = |name: &str| {
                let narrow = pool.try_get::<i32, _>(name).map(i64::from);
                narrow.or_else(|_| pool.try_get(name)).expect("a number")
            };
            sum.clients += of("cl_active") + of("cl_waiting");
            sum.servers += of("sv_active") + of("sv_idle") + of("sv_used") + of("sv_tested") + of("sv_login");
        }
        sum
    }

    async fn admin(&self) -> Result<PgConnection, sqlx::Error> {
        let options = PgConnectOptions::new_without_pgpass().socket(self.folder.path());
        options.username("postgres").database("pgbouncer").extra_float_digits(None).connect().await
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            let mut stop = as_user(Path::new("kill"), self.user);
            // What is kinder waits until all clients have gone.
            let _ = stop.arg("-QUIT").arg(self.process.id().to_string()).status();
            let _ = self.process.wait();
        }
    }
}

/// The one that `scripts/setup` has built, or the one of the system.
fn program() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/pgbouncer");
    let found = [built, PathBuf::from("/usr/sbin/pgbouncer")].into_iter().find(|program| {
        let said = Command::new(program).arg("--version").output();
        let said = said.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let version =
            said.strip_prefix("PgBouncer ").and_then(|said| said.split_whitespace().next()).unwrap_or_default();
        let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or_default());
        // The first one that passes prepared statements by transaction.
        (numbers.next(), numbers.next()) >= (Some(1), Some(21))
    });
    found.expect("there is no PgBouncer, or an old one: run `scripts/setup pgbouncer`")
}
