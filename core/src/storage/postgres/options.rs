//! How a database is reached.

use std::{str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions as _,
    postgres::{PgConnectOptions, PgSslMode},
};

use crate::{
    model::{
        check::{Checks, Invalid},
        decode::FieldCode,
        error::{Error, Reason, Result},
        text,
    },
    storage::MOST_LANES,
};

/// Each has a lane to itself; the other half of them is left to transactions of the application and to other instances.
pub(super) const MOST_WRITERS: usize = MOST_LANES as usize / 2;

/// A PostgreSQL database, 13 or newer, and how it is used.
///
/// ```
/// # use rolekeep::storage::PostgresOptions;
/// let options = PostgresOptions::new("postgres://app@db.example.org/app").schema("accounts");
/// ```
///
/// # Behind a pooler
///
/// A pooler in transaction mode has to keep track of prepared statements. PgBouncer does from 1.21 on, and takes these settings:
///
/// ```ini
/// pool_mode = transaction
/// max_prepared_statements = 200
/// ignore_startup_parameters = extra_float_digits, options
/// ```
///
/// As it passes no start-up options, the account is given what connections would otherwise set. Without the first, or where
/// prepared statements are seen not to be kept track of, the store does not open:
///
/// ```sql
/// ALTER ROLE app IN DATABASE app SET search_path = rolekeep, pg_temp;
/// ALTER ROLE app IN DATABASE app SET statement_timeout = '10s';
/// ALTER ROLE app IN DATABASE app SET lock_timeout = '10s';
/// ALTER ROLE app IN DATABASE app SET idle_in_transaction_session_timeout = '30s';
/// ALTER ROLE app IN DATABASE app SET jit = off;
/// ```
///
/// Settings that would differ between connections are left out: commits are then planned as the server likes, and a `VACUUM` behind
/// erasures may take no longer than `statement_timeout`. Notifications do not pass: see [`listener_url`](Self::listener_url).
#[derive(Clone)]
pub struct PostgresOptions {
    url: String,
    pub(super) schema: String,
    pub(super) writers: usize,
    pub(super) readers: usize,
    pub(super) statement_timeout: Duration,
    pub(super) migrates: bool,
    /// None: nothing listens.
    listener: Option<Listener>,
    replica: Option<String>,
}

/// Where the connection leads that listens.
#[derive(Clone)]
enum Listener {
    /// Where the others do.
    There,
    Url(String),
}

/// Without the URL, which may hold a password.
impl std::fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresOptions").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl PostgresOptions {
    /// A database, by a URL such as `postgres://user:password@host:5432/database`; with `?host=/run/postgresql` over a Unix socket.
    /// Tables are created in the schema `rolekeep`; there are 4 connections for writing and 6 for reading; a statement may take 10
    /// seconds.
    ///
    /// Over TCP the server's certificate and name are verified (`sslmode=verify-full`), with `sslrootcert` if the URL names one, unless
    /// an `sslmode` in the URL asks for less.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            schema: "rolekeep".to_owned(),
            writers: 4,
            readers: 6,
            statement_timeout: Duration::from_secs(10),
            migrates: true,
            listener: Some(Listener::There),
            replica: None,
        }
    }

    /// Sets the schema that the tables are in: 1 to 48 lower-case letters, digits and underscores, not beginning with a digit. It is
    /// created if it does not exist. Several stores may share a database, each in its own schema.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// Sets how many connections write, at least 1 and at most 32: more commits are not sent at the same time, and wait for each other.
    pub fn writers(mut self, writers: usize) -> Self {
        self.writers = writers.clamp(1, MOST_WRITERS);
        self
    }

    /// Sets how many connections read, at least 1.
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// Sets how long a statement may take before it fails with [`Reason::StorageUnavailable`]: 100 milliseconds to a day.
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout.clamp(Duration::from_millis(100), Duration::from_hours(24));
        self
    }

    /// Sets whether opening creates or migrates the tables. If not, a schema that needs a migration is refused with
    /// [`Reason::SchemaForeign`]: the application's account then needs no right to create tables, and another account runs
    /// [`Migrations`](crate::migrations::Migrations). Default: true.
    pub fn migrates(mut self, migrates: bool) -> Self {
        self.migrates = migrates;
        self
    }

    /// Sets whether an additional connection listens for commits of other instances (`LISTEN`), and notifies them of this instance's
    /// commits. Then commits are noticed within milliseconds, and operations need not ask for them. Otherwise each operation asks, and
    /// checks may use rights that are up to 200 ms old. Default: true.
    pub fn listens(mut self, listens: bool) -> Self {
        self.listener = listens.then_some(Listener::There);
        self
    }

    /// Sets a URL of the same database for the listening connection, if the other leads to a pooler in transaction mode (PgBouncer's
    /// `pool_mode = transaction`): it passes no notifications, and others' commits would be noticed half a second later.
    pub fn listener_url(mut self, url: impl Into<String>) -> Self {
        self.listener = Some(Listener::Url(url.into()));
        self
    }

    /// Sets the URL of a replica of the database, a hot standby, for lists: their pages and totals are read there as soon as it has all
    /// commits of the primary, so that they always include what was committed before they were requested. The primary is asked for its
    /// newest commit first, which costs a round trip. If the replica does not get there within some 80 ms, does not answer within a
    /// second, or cannot be reached, the primary returns the list, and the replica is not used for a second or longer. A pooler in front of
    /// the replica has to be as one in front of the primary.
    ///
    /// Rights, single rows, and rows that a check or a commit relies on, are never read there.
    pub fn replica_url(mut self, url: impl Into<String>) -> Self {
        self.replica = Some(url.into());
        self
    }

    /// Notes what is wrong with the URLs, by the settings that give them.
    pub(crate) fn check_place(&self, checks: &mut Checks) {
        let listener = match &self.listener {
            Some(Listener::Url(url)) => Some(url),
            Some(Listener::There) | None => None,
        };
        for (field, url) in [
            ("postgres", Some(&self.url)),
            ("postgres_listener", listener),
            ("postgres_replica", self.replica.as_ref()),
        ] {
            checks.optional(field, url.map(String::as_str), parsed);
        }
    }

    /// The name of the database that the URL leads to.
    pub(super) fn database(&self) -> Result<String> {
        let options = given(&self.url)?;
        // As the server has it where nothing is said.
        Ok(options.get_database().unwrap_or(options.get_username()).to_owned())
    }

    fn connect(&self) -> Result<PgConnectOptions> {
        self.connect_to(&self.url)
    }

    fn connect_to(&self, url: &str) -> Result<PgConnectOptions> {
        check_schema(&self.schema)?;
        let options = given(url)?;
        let is_socket = options.get_socket().is_some() || options.get_host().starts_with('/');
        let says_mode = parameters(url).any(|(name, _)| matches!(name, "sslmode" | "ssl-mode"));
        let options = match (says_mode, is_socket) {
            (true, _) => options,
            (false, true) => options.ssl_mode(PgSslMode::Disable),
            (false, false) => options.ssl_mode(PgSslMode::VerifyFull),
        };
        let millis = |duration: Duration| duration.as_millis().to_string();
        let options =
            options.application_name("rolekeep").statement_cache_capacity(256).disable_statement_logging().options([
                ("search_path", search_path(&self.schema).as_str()),
                ("statement_timeout", &millis(self.statement_timeout)),
                ("lock_timeout", &millis(self.statement_timeout)),
                ("idle_in_transaction_session_timeout", "30000"),
                // What stands between forgets who says nothing for long, and an answer then never comes.
                ("tcp_keepalives_idle", "60"),
                ("tcp_keepalives_interval", "10"),
                ("tcp_keepalives_count", "6"),
                ("default_transaction_isolation", "read committed"),
                ("timezone", "UTC"),
                ("jit", "off"),
            ]);
        Ok(options)
    }

    /// Connections that only commit: all is found by keys, in a plan that is made once.
    pub(super) fn for_writing(&self) -> Result<PgConnectOptions> {
        let plans = [
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
        ];
        Ok(self.connect()?.options(plans))
    }

    /// Connections that read, planned by the values that are asked for.
    pub(super) fn for_reading(&self) -> Result<PgConnectOptions> {
        Ok(only_reading(self.connect()?))
    }

    /// Connections that read lists from the replica, if there is one.
    pub(super) fn for_lists(&self) -> Result<Option<PgConnectOptions>> {
        // By which a session is known to have its options.
        let known = [("rolekeep.lists", "on")];
        let of_replica =
            |url: &String| Ok(only_reading(self.connect_to(url)?.application_name("rolekeep replica").options(known)));
        self.replica.as_ref().map(of_replica).transpose()
    }

    /// The connection that listens and tells; none: none does.
    pub(super) fn for_listening(&self) -> Result<Option<PgConnectOptions>> {
        let url = match &self.listener {
            None => return Ok(None),
            Some(Listener::There) => &self.url,
            Some(Listener::Url(url)) => url,
        };
        Ok(Some(self.connect_to(url)?.application_name("rolekeep listener")))
    }
}

/// Where tables are looked for. Temporary ones last: where the path does not name them they are found first, whoever made them on this
/// session, which behind a pooler may be somebody else.
pub(super) fn search_path(schema: &str) -> String {
    format!("{schema}, pg_temp")
}

/// What a URL may say behind `?`: what the driver knows. It would drop the rest, and log it with its value.
const PARAMETERS: [&str; 18] = [
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
];

/// What a URL says.
fn parsed(url: &str) -> Result<PgConnectOptions, Invalid> {
    let unfit = |message: &str| Err(Invalid::new(FieldCode::InvalidFormat, message));
    // The driver would read nothing from there on.
    if url.contains('#') {
        return unfit("the URL has a `#`: write `%23`");
    }
    let is_known = |(name, _): (&str, &str)| PARAMETERS.contains(&name) || name.starts_with("options[");
    if !parameters(url).all(is_known) {
        // Not which one, as it may be what follows the `&` of a password.
        return unfit(
            "the URL has a parameter that is none of `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `host`, `hostaddr`, `port`, \
                      `dbname`, `user`, `password`, `application_name`, `options` and `statement-cache-capacity`",
        );
    }
    // The driver takes any scheme.
    let is_ours = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
    let said = |names: &[&str], is_unfit: fn(&str) -> bool| {
        parameters(url).any(|(name, value)| names.contains(&name) && is_unfit(value))
    };
    // The driver's message may quote the URL, and the URL a password.
    match is_ours.then(|| PgConnectOptions::from_str(url).ok()).flatten() {
        Some(options) => Ok(options),
        None if is_ours && said(&["sslmode", "ssl-mode"], |mode| PgSslMode::from_str(mode).is_err()) => {
            unfit("`sslmode` is none of `disable`, `allow`, `prefer`, `require`, `verify-ca` and `verify-full`")
        }
        None if is_ours && said(&["port"], |port| port.parse::<u16>().is_err()) => {
            unfit("`port` is no number from 0 to 65,535")
        }
        None => unfit(
            "the URL is not one, such as `postgres://user@host/database`, or for a socket `postgres:///database?host=/folder&user=user`",
        ),
    }
}

/// What a URL says behind `?`, by name. A name that is written in another way, such as with `%`, is none.
fn parameters(url: &str) -> impl Iterator<Item = (&str, &str)> {
    let said = url.split_once('?').map_or("", |(_, said)| said);
    said.split('&').filter(|part| !part.is_empty()).map(|part| part.split_once('=').unwrap_or((part, "")))
}

fn given(url: &str) -> Result<PgConnectOptions> {
    parsed(url).map_err(|unfit| Error::new(Reason::ConfigInvalid, format!("postgres: {}", unfit.message)))
}

fn only_reading(options: PgConnectOptions) -> PgConnectOptions {
    options.options([("default_transaction_read_only", "on")])
}

/// Refuses what is no name of a schema.
pub(super) fn check_schema(schema: &str) -> Result<()> {
    text::schema(schema)
        .map_err(|unfit| Error::new(Reason::ConfigInvalid, format!("postgres: the schema {}", unfit.message)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_urls_of_the_guide_are_some() {
        for url in ["postgres://app:secret@db.example.org/app", "postgres:///app?host=/run/postgresql&user=app"] {
            assert!(parsed(url).is_ok(), "{url}");
        }
        assert!(parsed("postgres://app@/app?host=/run/postgresql").is_err());
    }

    /// Nothing of the URL is told, as it may hold a password.
    #[test]
    fn an_error_names_what_is_wrong_of_a_url() {
        for (said, named) in
            [("sslmode=secret", "`sslmode`"), ("ssl-mode=secret", "`sslmode`"), ("port=secret", "`port`")]
        {
            let unfit = parsed(&format!("postgres://app@db.example.org/app?{said}")).err();
            let message = unfit.map(|unfit| unfit.message).unwrap_or_default();
            assert!(message.starts_with(named) && !message.contains("secret"), "{said}: {message}");
        }
        // As the driver reads it.
        assert!(parsed("postgres://app@db.example.org/app?sslmode=verify%2Dfull").is_ok());
    }

    /// The driver drops what it does not know, and the end of what it takes for a fragment.
    #[test]
    fn sec_1_what_a_url_asks_for_is_done_or_refused() {
        for said in [
            "require_auth=scram-sha-256",
            "channel_binding=require",
            "sslcrl=/etc/crl.pem",
            "sslMode=verify-full",
            "ssl%6Dode=disable",
            "x",
        ] {
            assert!(parsed(&format!("postgres://app@db.example.org/app?{said}")).is_err(), "{said}");
        }
        for url in [
            "postgres://app@db.example.org/app?password=pa#ss&sslmode=verify-full",
            "postgres://app:pa#ss@db.example.org/app",
        ] {
            assert!(parsed(url).is_err(), "{url}");
        }
        let mode = |url: &str| PostgresOptions::new(url).connect().unwrap().get_ssl_mode();
        assert!(matches!(mode("postgres://app@db.example.org/app"), PgSslMode::VerifyFull));
        assert!(matches!(mode("postgres://app@db.example.org/app?sslmode=require"), PgSslMode::Require));
    }
}
