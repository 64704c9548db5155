//! What a storage reads, on whichever connection: each is one round trip.

use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

use sea_query::Values;

use super::{DIALECT, error, lane, migrate, query, rows::QueryPlan};
use crate::{
    model::{
        error::Result,
        id::ChangeSetId,
        record::{Corrupt, Document, Field as _, Key, Record as _, Row, Table, Unread},
        time::Time,
        value::Value,
    },
    storage::{
        BatchRead, Changes, CommitRecord, Committed, FeedPart, LanePosition, Position, Query, Rows,
        ledger::{self, ReadLine, number},
        sql::{Tables, decode, dialect::Statement, statement as sql},
    },
};

/// What runs statements.
pub(super) trait Reader: Sync {
    /// All rows of a statement that only reads.
    fn read_by(&self, statement: &Statement, plan: QueryPlan) -> impl Future<Output = Result<Vec<PgRow>>> + Send;

    /// The same, as most are read.
    fn read(&self, statement: &Statement) -> impl Future<Output = Result<Vec<PgRow>>> + Send {
        self.read_by(statement, QueryPlan::Generic)
    }

    /// A server has answered that it follows another one.
    ///
    /// # Errors
    /// Where what it says of how far commits have come is not to be relied on.
    fn meet_standby(&self) -> Result<()>;
}

/// The tables of a store, and what reads them.
pub(super) struct Reads<'r, R> {
    pub(super) reader: &'r R,
    pub(super) tables: &'r Tables,
}

// Not derived, as that would ask the same of what reads.
impl<R> Clone for Reads<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Reads<'_, R> {}

impl<R: Reader> Reads<'_, R> {
    pub(super) async fn get(self, table: &'static Table, keys: &[Key]) -> Result<Vec<Option<Row>>> {
        self.tables.require(table)?;
        let possible: Vec<&Key> = keys.iter().filter(|key| decode::is_key(table, key)).collect();
        if possible.is_empty() {
            return Ok(vec![None; keys.len()]);
        }
        let statement = sql::by_keys(DIALECT, table, &possible);
        let found = self.reader.read(&statement).await?;
        Ok(decode::in_order_of(table, keys, decode::decoded(table, &found)?))
    }

    pub(super) async fn query(self, query: &Query) -> Result<Rows> {
        self.tables.require(query.table)?;
        self.tables.require(query.ordering())?;
        if query.group_by.is_empty() {
            return query::run(self, query).await;
        }
        let statement = sql::groups(DIALECT, self.tables, query)?;
        let found = self.reader.read(&statement).await?;
        Ok(Rows { groups: decode::groups(query, &found)?, ..Rows::default() })
    }

    pub(super) async fn batch(self, parts: &[BatchRead]) -> Result<Vec<Vec<Row>>> {
        parts.iter().try_for_each(|part| self.tables.require(part.table()))?;
        let found = self.reader.read(&sql::batch(DIALECT, self.tables, parts)?).await?;
        decode::batch(parts, &found)
    }

    pub(super) async fn position(self) -> Result<Position> {
        let rows = self.reader.read(&(position(), Values(Vec::new()))).await?;
        self.require_primary(&rows)?;
        position_of(&rows)
    }

    pub(super) async fn changes(self, since: &Position, part: FeedPart) -> Result<Changes> {
        // The bytes of a text are counted without reading it. As in the answer, those of the line that is known already do not count.
        let text = format!(
            "SELECT server.*, lane.lane, lane.number, lane.tag, line.position, line.id, line.touched, line.at, line.events \
             FROM ({SERVER}) AS server LEFT JOIN (SELECT lanes.lane, lanes.number, lanes.tag, coalesce(known.number, 0) AS known \
             FROM lanes LEFT JOIN unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS known (lane, number, tag) \
             ON known.lane = lanes.lane WHERE (lanes.number, lanes.tag) IS DISTINCT FROM \
             (coalesce(known.number, 0), coalesce(known.tag, 0))) AS lane ON true LEFT JOIN LATERAL \
             (SELECT position, id, touched, at, CASE WHEN $5 THEN events END AS events FROM \
             (SELECT page.*, coalesce(sum(octet_length(touched) + CASE WHEN $5 THEN coalesce(octet_length(events), 0) ELSE 0 END) \
             FILTER (WHERE position > (lane.lane << 48) + lane.known) \
             OVER (ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before FROM \
             (SELECT position, id, touched, at, events FROM commits WHERE {} ORDER BY position LIMIT $4) AS page) AS counted \
             WHERE before < $6) AS line ON true ORDER BY lane.lane, line.position",
            lines_of("lane.lane", "greatest(lane.known, 1)")
        );
        let of = |part: fn(&LanePosition) -> i64| since.lanes().iter().map(part).collect::<Vec<i64>>();
        let values = Values(vec![
            of(|place| place.lane.into()).into(),
            of(|place| number(place.number)).into(),
            of(|place| place.tag.into()).into(),
            number(ledger::most_lines(part)).into(),
            part.has_events.into(),
            number(part.bytes.max(1)).into(),
        ]);
        let rows = self.reader.read(&(text, values)).await?;
        self.require_primary(&rows)?;
        require_schema(&rows)?;
        changes_of(since, &rows, part)
    }

    /// Refuses what a server says of how far commits have come that follows another one: that one may be far ahead.
    fn require_primary(self, rows: &[PgRow]) -> Result<()> {
        let follows = rows.first().map(|row| row.try_get::<bool, _>(1)).transpose().map_err(error::error)?;
        if follows == Some(true) { self.reader.meet_standby() } else { Ok(()) }
    }

    /// The line of a commit.
    pub(super) async fn line(self, id: ChangeSetId) -> Result<Option<Committed>> {
        ledger::committed(self.query(&ledger::line_of(id)).await?.rows)
    }

    /// The position and time of the oldest lines of each lane.
    pub(super) async fn oldest(self, count: usize) -> Result<Vec<(i64, Time)>> {
        self.oldest_in("lanes", vec![number(count as u64).into()]).await
    }

    /// The same of some lanes.
    pub(super) async fn oldest_of(self, lanes: Vec<i64>, count: usize) -> Result<Vec<(i64, Time)>> {
        self.oldest_in("unnest($2::bigint[]) AS lanes (lane)", vec![number(count as u64).into(), lanes.into()]).await
    }

    async fn oldest_in(self, lanes: &str, values: Vec<sea_query::Value>) -> Result<Vec<(i64, Time)>> {
        let text = format!(
            "SELECT line.position, line.at FROM {lanes} CROSS JOIN LATERAL (SELECT position, at FROM commits WHERE {} \
             ORDER BY position LIMIT $1) AS line ORDER BY line.position",
            lines_of("lanes.lane", "0")
        );
        let lines = self.reader.read(&(text, Values(values))).await?;
        let line = |row: &PgRow| {
            // A time that is none is of no time: it stays, and so does all that comes after it.
            Ok((row.try_get(0)?, Time::from_microsecond(row.try_get(1)?).unwrap_or(Time::MAX)))
        };
        lines.iter().map(line).collect::<Result<_, sqlx::Error>>().map_err(error::error)
    }
}

/// That a line is of a lane, and from a number on.
fn lines_of(lane: &str, number: &str) -> String {
    format!("position >= ({lane} << 48) + {number} AND position < (({lane} + 1) << 48)")
}

/// The newest schema that the database has seen, and whether the server follows another one. Not by `transaction_read_only`, which is on
/// wherever this library only reads.
const SERVER: &str = "SELECT max(version) AS version, pg_is_in_recovery() AS follows FROM rolekeep_schema";
/// The column behind these.
const PLACE: usize = 2;

/// Gives the schema, whether the server follows another one, and the newest commit of each lane that has one.
pub(super) fn position() -> String {
    format!(
        "SELECT server.*, lanes.lane, lanes.number, lanes.tag FROM ({SERVER}) AS server LEFT JOIN lanes ON lanes.number > 0"
    )
}

/// What rows of [`position`] tell.
pub(super) fn position_of(rows: &[PgRow]) -> Result<Position> {
    require_schema(rows)?;
    rows.iter().filter_map(|row| lane::place_of(row, PLACE).transpose()).collect()
}

/// Refuses where the schema is another one than this library knows.
fn require_schema(rows: &[PgRow]) -> Result<()> {
    let version = rows.first().map(|row| row.try_get::<Option<i64>, _>(0)).transpose().map_err(error::error)?;
    migrate::require_current(version.flatten().unwrap_or_default())
}

/// What rows of lanes tell, each with a line of it or none: of lanes that moved since.
fn changes_of(since: &Position, rows: &[PgRow], part: FeedPart) -> Result<Changes> {
    let mut changes = Changes::after(since);
    let mut lines: Vec<ReadLine> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let Some(newest) = lane::place_of(row, PLACE)? else { continue };
        if let Some(position) = row.try_get::<Option<i64>, _>(PLACE + 3).map_err(error::error)? {
            let (id, touched): (Uuid, String) =
                (row.try_get(PLACE + 4).map_err(error::error)?, row.try_get(PLACE + 5).map_err(error::error)?);
            let bytes = touched.len();
            let touched = Document::from_value(Value::Json(touched.into()));
            let touched = touched.ok_or(Corrupt { table: CommitRecord::TABLE.name, column: "touched" })?;
            let at = Time::from_microsecond(row.try_get(PLACE + 6).map_err(error::error)?);
            let at = at.map_err(|_| Corrupt { table: CommitRecord::TABLE.name, column: "at" })?;
            let events =
                row.try_get::<Option<String>, _>(PLACE + 7).map_err(error::error)?.map(|text| Unread(text.into()));
            let bytes = (bytes + events.as_ref().map_or(0, |events| events.0.len())) as u64;
            let record = CommitRecord { position, id: ChangeSetId(id), at, touched, events, version: 1 };
            lines.push(ReadLine { record, bytes });
        }
        let next = rows.get(at + 1).map(|row| lane::place_of(row, PLACE)).transpose()?.flatten();
        if next.is_none_or(|next| next.lane != newest.lane) {
            changes.take(newest, std::mem::take(&mut lines), part);
        }
    }
    Ok(changes)
}
