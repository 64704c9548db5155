//! The same in PostgreSQL: bare sqlx sends statement after statement of a transaction, as programs do.

use std::{
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use rolekeep::storage::{PostgresOptions, PostgresStorage, Storage as _};
use rolekeep_postgres_tests::{
    Cluster,
    proxy::{Faults, Proxy},
};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};
use uuid::Uuid;

use super::{Client, READERS, ROWS, Read, TOUCHED, WRITERS, Work, entry, ours, placed::Halves, row_of};

/// A server of its own, behind a network that is so slow.
pub struct Server {
    cluster: Cluster,
    proxy: Option<Proxy>,
}

impl Server {
    pub async fn start(late: u64, processors: &Halves) -> Result<Self> {
        processors.to_server()?;
        let cluster = Cluster::durable();
        cluster.connect().await;
        processors.to_clients()?;
        let proxy = (late > 0).then(|| Proxy::start(cluster.folder(), 0));
        let slow = Faults { late: 1_000, late_by: Duration::from_millis(late), ..Faults::default() };
        proxy.iter().for_each(|proxy| proxy.set(slow));
        Ok(Self { cluster, proxy })
    }

    /// Bare and ours, in schemas of their own.
    pub async fn clients(&self, clients: usize) -> Result<(Client, Client)> {
        let url = self.proxy.as_ref().map_or_else(|| self.cluster.url(), Proxy::url);
        let options = PostgresOptions::new(&url).writers(WRITERS).readers(READERS);
        let ours = ours(Arc::new(PostgresStorage::open_for_conformance(options).await?)).await?;
        Ok((bare(&url, clients).await?, ours))
    }
}

async fn bare(url: &str, clients: usize) -> Result<Client> {
    // The same tables with the same indexes.
    let options = PostgresOptions::new(url).schema("bare");
    PostgresStorage::open_for_conformance(options).await?.close().await?;
    let connection = PgConnectOptions::from_str(url)?.ssl_mode(PgSslMode::Disable).options([
        ("search_path", "bare"),
        ("jit", "off"),
        ("plan_cache_mode", "force_generic_plan"),
    ]);
    let pool = PgPoolOptions::new().max_connections((WRITERS + READERS) as u32).test_before_acquire(false);
    let pool = pool.acquire_timeout(Duration::from_secs(60)).connect_with(connection).await?;
    let rows = "INSERT INTO conformance_items (id, name, flag, at, version, name_key, note_key, search_text) \
                SELECT lpad(to_hex(n), 32, '0')::uuid, 'an item', false, 0, 1, 'an item', '', 'an item' FROM generate_series(0, $1 - 1) n";
    sqlx::query(rows).bind(ROWS as i64).execute(&pool).await?;
    let heads = "INSERT INTO audit_heads (lane, seq, hash, key_id, mac, version) SELECT n, 0, '', '', '', 1 FROM generate_series(0, $1 - 1) n";
    sqlx::query(heads).bind(clients as i64).execute(&pool).await?;
    Ok(Arc::new(move |client, number, work| Box::pin(turn(pool.clone(), client as i64, number, work))))
}

/// Each client has a lane to itself, so that none waits for another.
async fn turn(pool: PgPool, lane: i64, number: u64, work: Work) -> Result<Duration> {
    loop {
        let id = Uuid::from_u128(row_of(number));
        let start = Instant::now();
        let read = "SELECT id, name, note, rank, flag, seen, at, until, owner, data, attributes, version FROM conformance_items WHERE id = $1";
        let row: Read<Uuid> = sqlx::query_as(read).bind(id).fetch_one(&pool).await?;
        let read = start.elapsed();
        if work == Work::Read {
            return Ok(read);
        }
        let mut transaction = pool.begin().await?;
        let change = "UPDATE conformance_items SET note = $1, note_key = $4, search_text = $4, version = version + 1 \
                      WHERE id = $2 AND version = $3";
        let note = format!("changed by {number}");
        let changed =
            sqlx::query(change).bind(note.clone()).bind(id).bind(row.11).bind(note).execute(&mut *transaction).await?;
        if changed.rows_affected() == 0 {
            transaction.rollback().await?;
            continue;
        }
        let tie = "INSERT INTO conformance_ties (item, tag, version) VALUES ($1, $2, 1)";
        sqlx::query(tie).bind(id).bind(number.to_string()).execute(&mut *transaction).await?;
        let place = "UPDATE lanes SET number = number + 1, tag = $2, until = $2 WHERE lane = $1 RETURNING number";
        let place: i64 = sqlx::query_scalar(place).bind(lane).bind(number as i64).fetch_one(&mut *transaction).await?;
        let [payload, salt, hash, mac] = entry(number);
        let id = Uuid::from_u128(u128::from(number));
        let log = "INSERT INTO audit_entries (lane, seq, id, at, action, actor, target_type, payload, salt, commitment, previous, \
                   hash, key_id, mac, version) VALUES ($7, $1, $2, 1, 'items.change', 'system', 'item', $3, $4, $5, $5, $5, $6, $6, 1)";
        let log = sqlx::query(log).bind(place).bind(id).bind(payload).bind(salt).bind(&hash).bind(&mac).bind(lane);
        log.execute(&mut *transaction).await?;
        let head =
            "UPDATE audit_heads SET seq = $2, hash = $3, key_id = $4, mac = $4, version = version + 1 WHERE lane = $1";
        sqlx::query(head).bind(lane).bind(place).bind(hash).bind(mac).execute(&mut *transaction).await?;
        let line = "INSERT INTO commits (position, id, at, touched, version) VALUES ($1, $2, 1, $3, 1)";
        sqlx::query(line).bind((lane << 48) + place).bind(id).bind(TOUCHED).execute(&mut *transaction).await?;
        transaction.commit().await?;
        return Ok(read);
    }
}
