//! Answering a query in the way that looks at few rows.
//!
//! Which way that is nobody knows before: a search may find few users among many, or nearly all, and what the caller may see may be few of
//! those. So the ways are tried in rounds, each of which may look at four times as many rows as the last: first those that the index of searches
//! finds, if they are few, else the first rows of the order. The whole costs a small multiple of the best.

use std::cell::LazyCell;

use sqlx::{Connection, SqliteConnection, sqlite::SqliteRow};

use super::{DIALECT, connections::Connections, error, rows};
#[cfg(feature = "testing")]
use crate::storage::sql::dialect::Statement;
use crate::{
    model::{
        error::{Error, Result},
        predicate::Predicate,
    },
    storage::{
        Query, Rows,
        sql::{
            Tables,
            arms::{self, Wanted},
            page::{self, Page, Range, Way},
            search,
        },
    },
};

/// So many rows that a search finds are looked at in the first round.
const FIRST: u64 = 512;
/// So many rows are gone through in order for each that a search finds: they are looked up faster.
const STEPS: u64 = 4;
const GROWTH: u64 = 4;

/// Why there is no answer.
enum Fault {
    Sql(sqlx::Error),
    Own(Error),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

/// The rows that are asked for, and their number.
pub(super) async fn run(connections: &Connections, tables: &Tables, query: &Query) -> Result<Rows> {
    let search = Search::of(query);
    let page = match search {
        // Says what is wrong with the query.
        Some(_) => query.sorting().map(|_| None)?,
        None => Some(plain(tables, query)?),
    };
    let mut reading = Reading { tables, query, search };
    let mut reader = connections.reader().await?;
    if let (Some(page), 0) = (&page, query.count) {
        let first = match page.ranges.first() {
            Some(range) => rows::fetch(reader.get()?, range.rows.clone()).await,
            None => Ok(Vec::new()),
        };
        let first = reader.settle(first)?;
        if page.ranges.len() == 1 || reading.is_enough(page, &first) {
            return Ok(Rows { rows: rows::answered(query, page.skip, &first)?, ..Rows::default() });
        }
    }
    let connection = reader.get()?;
    let whole = match (&reading.search, query.window.limit) {
        (None, Some(0)) => reading.count(connection).await.map(|total| (Vec::new(), 0, total)),
        // In one transaction, so that all is of one moment.
        _ => reading.whole(connection, page).await,
    };
    match whole {
        Ok((found, skip, total)) => {
            reader.settle(Ok(()))?;
            Ok(Rows { rows: rows::answered(query, skip, &found)?, total, ..Rows::default() })
        }
        Err(Fault::Sql(problem)) => reader.settle(Err(problem)),
        Err(Fault::Own(error)) => {
            reader.rest().await;
            Err(error)
        }
    }
}

/// The same in a transaction of somebody else.
pub(super) async fn within(connection: &mut SqliteConnection, tables: &Tables, query: &Query) -> Result<Rows> {
    query.sorting()?;
    let mut reading = Reading { tables, query, search: Search::of(query) };
    match reading.parts(connection, None).await {
        Ok((found, skip, total)) => Ok(Rows { rows: rows::answered(query, skip, &found)?, total, ..Rows::default() }),
        Err(Fault::Sql(problem)) => Err(error::error(problem)),
        Err(Fault::Own(error)) => Err(error),
    }
}

/// The page without the index of searches.
fn plain(tables: &Tables, query: &Query) -> Result<Page> {
    let arms = query.window.limit.and_then(|_| arms::parts(query, Wanted::InOrder));
    let by_arms = arms.map(|arms| page::page(DIALECT, tables, query, Way::Walked(&arms, u64::MAX)));
    // Where their statement has too many parameters, the database does what it can.
    by_arms.and_then(Result::ok).map_or_else(|| page::page(DIALECT, tables, query, Way::Any), Ok)
}

/// The statements by which a page may be read, for tests and tuning.
#[cfg(feature = "testing")]
pub(super) fn statements(tables: &Tables, query: &Query) -> Result<Vec<Statement>> {
    let Some(search) = Search::of(query) else {
        let counts = (query.count > 0).then(|| counted(tables, query)).transpose()?;
        return Ok(plain(tables, query)?.ranges.into_iter().take(1).chain(counts).map(|range| range.rows).collect());
    };
    let arms = arms::of(query, Wanted::InOrder);
    let ways = [Some(Way::Searched(&search.question, FIRST)), arms.as_deref().map(|arms| Way::Walked(arms, FIRST))];
    let pages = ways.into_iter().flatten().map(|way| page::page(DIALECT, tables, query, way));
    let pages = pages.collect::<Result<Vec<_>>>()?;
    let count = Query { count: 1_000, ..query.clone() };
    let arms = arms::of(query, Wanted::InAnyOrder);
    let counts =
        arms.as_deref().map(|arms| page::count(DIALECT, tables, &count, Way::Walked(arms, FIRST))).transpose()?;
    Ok(pages.into_iter().flat_map(|page| page.ranges).chain(counts).map(|range| range.rows).collect())
}

/// What the index of searches is asked for.
struct Search {
    question: String,
    /// How many rows it finds, if that is known, and how many it finds at least.
    exactly: Option<u64>,
    at_least: u64,
}

impl Search {
    fn of(query: &Query) -> Option<Self> {
        let question = search::question(query.table, &query.filter)?;
        Some(Self { question, exactly: None, at_least: 0 })
    }

    /// Whether it finds so many at most.
    async fn is_few(&mut self, connection: &mut SqliteConnection, query: &Query, most: u64) -> Result<bool, Fault> {
        if self.exactly.is_none() && self.at_least <= most {
            let statement = page::found(DIALECT, query.table, &self.question, most.saturating_add(1));
            let found = rows::number(connection, statement).await?.unwrap_or_default();
            self.at_least = found.try_into().unwrap_or_default();
            self.exactly = (self.at_least <= most).then_some(self.at_least);
        }
        Ok(self.exactly.is_some_and(|found| found <= most))
    }
}

/// A query that is being answered.
struct Reading<'q> {
    tables: &'q Tables,
    query: &'q Query,
    search: Option<Search>,
}

/// Rows, how many of them are left out, and how many there are in all.
type Whole = (Vec<SqliteRow>, u64, Option<u64>);

impl Reading<'_> {
    async fn whole(&mut self, connection: &mut SqliteConnection, plain: Option<Page>) -> Result<Whole, Fault> {
        let mut transaction = connection.begin().await?;
        // It has only read: dropped, it is rolled back before the connection's next statement, and nobody waits for that.
        self.parts(&mut transaction, plain).await
    }

    async fn parts(&mut self, connection: &mut SqliteConnection, plain: Option<Page>) -> Result<Whole, Fault> {
        let (found, skip) = match self.query.window.limit {
            Some(0) => (Vec::new(), 0),
            _ => self.page(connection, plain).await?,
        };
        let total = self.count(connection).await?;
        Ok((found, skip, total))
    }

    fn is_enough(&self, page: &Page, found: &[SqliteRow]) -> bool {
        let limit = self.query.window.limit;
        limit.is_some_and(|limit| found.len() as u64 >= limit.saturating_add(page.skip))
    }

    async fn page(
        &mut self,
        connection: &mut SqliteConnection,
        plain: Option<Page>,
    ) -> Result<(Vec<SqliteRow>, u64), Fault> {
        let (tables, query) = (self.tables, self.query);
        let needed = query.window.limit.map(|limit| limit.saturating_add(query.window.skip));
        let arms = LazyCell::new(|| arms::of(query, Wanted::InOrder));
        let mut most = FIRST;
        while let Some(search) = &mut self.search {
            if search.is_few(connection, query, most).await? {
                if search.exactly == Some(0) {
                    return Ok((Vec::new(), 0));
                }
                let page = page::page(DIALECT, tables, query, Way::Searched(&search.question, most))?;
                return Ok((self.all(connection, &page).await?, page.skip));
            }
            // Who wants all rows has them looked at.
            let Some(needed) = needed else { break };
            let steps = most.saturating_mul(STEPS);
            let arms = if steps < needed { None } else { arms.as_ref() };
            // A statement may have too many parameters for so many arms.
            let page = arms.and_then(|arms| page::page(DIALECT, tables, query, Way::Walked(arms, steps)).ok());
            if let Some(page) = page
                && let Some(found) = self.walked(connection, &page).await?
            {
                return Ok((found, page.skip));
            }
            most = most.saturating_mul(GROWTH);
        }
        let plain = match plain {
            Some(plain) => plain,
            None => self::plain(tables, query)?,
        };
        Ok((self.all(connection, &plain).await?, plain.skip))
    }

    /// The rows of a page, or nothing where rows that may belong there were not looked at.
    async fn walked(&self, connection: &mut SqliteConnection, page: &Page) -> Result<Option<Vec<SqliteRow>>, Fault> {
        let mut found = Vec::new();
        for range in &page.ranges {
            found.extend(rows::fetch(connection, range.rows.clone()).await?);
            let is_enough = self.is_enough(page, &found);
            // What one arm has not come to yet may belong before what the others have given.
            if (!is_enough || range.arms > 1) && goes_on(connection, range).await? {
                return Ok(None);
            }
            if is_enough {
                break;
            }
        }
        Ok(Some(found))
    }

    async fn all(&self, connection: &mut SqliteConnection, page: &Page) -> Result<Vec<SqliteRow>, Fault> {
        let mut found = Vec::new();
        for range in &page.ranges {
            found.extend(rows::fetch(connection, range.rows.clone()).await?);
            if self.is_enough(page, &found) {
                break;
            }
        }
        Ok(found)
    }

    /// How many rows there are, if that is asked for.
    async fn count(&mut self, connection: &mut SqliteConnection) -> Result<Option<u64>, Fault> {
        let (tables, query) = (self.tables, self.query);
        if query.count == 0 {
            return Ok(None);
        }
        let arms = LazyCell::new(|| arms::of(query, Wanted::InAnyOrder));
        let mut most = FIRST;
        while let Some(search) = &mut self.search {
            let is_few = search.is_few(connection, query, most).await?;
            if search.exactly == Some(0) {
                return Ok(Some(0));
            }
            let steps = most.saturating_mul(STEPS);
            let arms = if is_few || steps < query.count { None } else { arms.as_ref() };
            let counted = arms.and_then(|arms| page::count(DIALECT, tables, query, Way::Walked(arms, steps)).ok());
            if let Some(counted) = counted {
                let total = number(connection, &counted).await?;
                if total == query.count || !goes_on(connection, &counted).await? {
                    return Ok(Some(total));
                }
            }
            if is_few || most >= query.count {
                let counted = page::count(DIALECT, tables, query, Way::Searched(&search.question, most))?;
                let total = number(connection, &counted).await?;
                if is_few || total == query.count {
                    return Ok(Some(total));
                }
            }
            most = most.saturating_mul(GROWTH);
        }
        Ok(Some(number(connection, &counted(tables, query)?).await?))
    }
}

/// The number of all rows, but of a search.
fn counted(tables: &Tables, query: &Query) -> Result<Range> {
    // Rows of several values of one column the database counts in its index by itself.
    let is_either = query.filter.conjuncts().iter().any(|part| matches!(part, Predicate::Or(_)));
    let by_arms = is_either.then(|| arms::parts(query, Wanted::InAnyOrder)).flatten();
    let by_arms = by_arms.map(|arms| page::count(DIALECT, tables, query, Way::Walked(&arms, u64::MAX)));
    by_arms.and_then(Result::ok).map_or_else(|| page::count(DIALECT, tables, query, Way::Any), Ok)
}

async fn number(connection: &mut SqliteConnection, counted: &Range) -> Result<u64, sqlx::Error> {
    let number = rows::number(connection, counted.rows.clone()).await?;
    Ok(number.and_then(|number| number.try_into().ok()).unwrap_or_default())
}

/// Whether there are rows that were not looked at.
async fn goes_on(connection: &mut SqliteConnection, range: &Range) -> Result<bool, sqlx::Error> {
    match &range.beyond {
        Some(beyond) => Ok(rows::number(connection, beyond.clone()).await?.unwrap_or_default() > 0),
        None => Ok(false),
    }
}
