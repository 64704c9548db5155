//! A snapshot becomes lines.

use std::io::Write;

use super::{
    BackupOptions, BackupSummary, BackupTable,
    digest::{Digest, TableDigest},
    format::{self, EndLine, Header, TableLine},
};
use crate::{
    environment::MaybeSend,
    model::{
        error::{Error, Reason, Result},
        record::{Key, Table},
        time::Time,
    },
    storage::{Position, Snapshot, Storage},
};

/// So many rows are read at a time.
const PAGE: usize = 500;

/// Writes all that a storage holds now, with what is known to have been committed. Memory is that of a page of rows, whatever there is.
///
/// # Errors
/// Those of the storage, and [`Reason::StorageUnavailable`] where it is not as far as that, or the sink does not take it.
pub(crate) async fn write(
    storage: &dyn Storage,
    at: Time,
    sink: &mut (impl Write + MaybeSend),
    (options, at_least): (&BackupOptions, &Position),
) -> Result<BackupSummary> {
    let mut digest = Digest::new(options.key.as_ref())?;
    let mut snapshot = storage.snapshot().await?;
    if !snapshot.position().includes(at_least) {
        let message = "the storage does not hold what was committed before: it may follow another server";
        return Err(Error::new(Reason::StorageUnavailable, message));
    }
    let header = Header::new(at, snapshot.position().clone());
    put(sink, &mut digest, &format::line(&header))?;
    let mut tables = Vec::new();
    for table in format::tables() {
        tables.push(write_table(&mut *snapshot, table, sink, &mut digest).await?);
    }
    snapshot.end().await?;
    let trailer = digest.trailer();
    let line = format::line(&trailer);
    sink.write_all(line.as_bytes()).and_then(|()| sink.flush()).map_err(failed)?;
    Ok(BackupSummary {
        schema: header.schema,
        version: header.version,
        at,
        tables,
        rows: trailer.rows,
        bytes: digest.bytes + line.len() as u64,
        sha256: trailer.sha256,
        is_sealed: trailer.hmac.is_some(),
    })
}

async fn write_table(
    snapshot: &mut dyn Snapshot,
    table: &'static Table,
    sink: &mut (impl Write + MaybeSend),
    digest: &mut Digest,
) -> Result<BackupTable> {
    put(sink, digest, &format::line(&TableLine::of(table)))?;
    let mut of_table = TableDigest::default();
    let mut last: Option<Key> = None;
    loop {
        let page = snapshot.page(table, last.as_ref(), PAGE).await?;
        for row in &page {
            let content = format::content_of(row);
            let check = of_table.row(&content);
            put(sink, digest, &format::row_line(content, &check))?;
        }
        last = page.last().map(|row| table.key_of(row));
        if page.len() < PAGE {
            break;
        }
    }
    let (rows, sha256) = (of_table.rows, of_table.sha256());
    put(sink, digest, &format::line(&EndLine { rows, sha256: sha256.clone() }))?;
    digest.tables += 1;
    digest.rows += rows;
    Ok(BackupTable { name: table.name.to_owned(), rows, sha256 })
}

fn put(sink: &mut impl Write, digest: &mut Digest, line: &str) -> Result<()> {
    digest.line(line.as_bytes());
    sink.write_all(line.as_bytes()).map_err(failed)
}

fn failed(problem: std::io::Error) -> Error {
    let message = format!("the backup cannot be written: {problem}");
    Error::new(Reason::StorageUnavailable, message).with_source(problem)
}
