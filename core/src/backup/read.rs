//! Lines become rows, each verified before it is given out. What is given out counts once all is read.

use std::io::{BufRead, BufReader, Read};

use super::{
    BackupSummary, BackupTable,
    digest::{Digest, TableDigest},
    format::{self, AnyHeader, EndLine, FORMAT, Header, TableLine, Trailer},
};
use crate::{
    model::{
        error::{Error, Problem, Reason, Result},
        record::{Key, Row, Table},
        secret::Secret,
    },
    storage::SCHEMA,
};

/// So many rows are given out at a time.
const PAGE: usize = 500;
/// Or fewer, once so many bytes were read for them.
const PAGE_BYTES: usize = 8 * 1024 * 1024;
/// No line is longer: what stands in a row is no more than a commit may hold.
const LONGEST: u64 = 64 * 1024 * 1024;

/// The first line has few values, and nothing was verified before it.
const LONGEST_HEADER: u64 = 64 * 1024;

/// A backup that is being read.
pub(super) struct Reader<R> {
    from: BufReader<R>,
    pub(super) header: Header,
    digest: Digest,
    /// Whether a key is given.
    asks_for_seal: bool,
    /// How many lines were read.
    line: u32,
    /// Tables that come, the next one last.
    left: Vec<&'static Table>,
    current: Option<Current>,
    done: Vec<BackupTable>,
}

/// A table whose rows are being read.
struct Current {
    table: &'static Table,
    digest: TableDigest,
    last: Option<Key>,
}

impl<R: Read> Reader<R> {
    /// Reads the first line.
    pub(super) fn new(from: R, key: Option<&Secret>) -> Result<Self> {
        let mut digest = Digest::new(key)?;
        let mut from = BufReader::new(from);
        let foreign = || damaged(1, "is not the first line of a backup of this library");
        let text =
            next_line(&mut from, 1, LONGEST_HEADER)?.ok_or_else(|| damaged(1, "is missing: the file is empty"))?;
        let AnyHeader { rolekeep_backup: format } = serde_json::from_str(&text).map_err(|_| foreign())?;
        if format > FORMAT {
            let message = format!("is of format {format}, this version of the library knows {FORMAT}: update it");
            return Err(at_line(Reason::SchemaNewer, 1, &message));
        }
        let header: Header = serde_json::from_str(&text).map_err(|_| foreign())?;
        if header.rolekeep_backup != FORMAT || format::line(&header.clone().checked()) != text {
            return Err(damaged(1, "is not as it was written"));
        }
        let (schema, version) = (header.schema, &header.version);
        if !is_version(version) {
            return Err(damaged(1, "does not say by which version of the library it was written"));
        }
        if schema > SCHEMA {
            let message = format!("has schema {schema}, this version of the library knows {SCHEMA}: update it");
            return Err(at_line(Reason::SchemaNewer, 1, &message));
        }
        if schema < SCHEMA {
            let message = format!(
                "has schema {schema}, this version of the library has {SCHEMA}: restore it with version {version}, and open that store with \
                 this one"
            );
            return Err(at_line(Reason::SchemaForeign, 1, &message));
        }
        digest.line(text.as_bytes());
        let left = format::tables().into_iter().rev().collect();
        Ok(Self { from, header, digest, asks_for_seal: key.is_some(), line: 1, left, current: None, done: Vec::new() })
    }

    /// The next rows, all of one table; of an empty table none. None once there are no more tables.
    pub(super) fn rows(&mut self) -> Result<Option<(&'static Table, Vec<Row>)>> {
        let mut current = match self.current.take() {
            Some(current) => current,
            None => match self.left.pop() {
                Some(table) => self.begin(table)?,
                None => return Ok(None),
            },
        };
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while rows.len() < PAGE && bytes < PAGE_BYTES {
            let text = self.next()?;
            bytes += text.len();
            if !text.starts_with('[') {
                self.end(&current, &text)?;
                return Ok(Some((current.table, rows)));
            }
            rows.push(current.row(&text).map_err(|problem| damaged(self.line, problem))?);
            self.digest.line(text.as_bytes());
        }
        let table = current.table;
        self.current = Some(current);
        Ok(Some((table, rows)))
    }

    fn begin(&mut self, table: &'static Table) -> Result<Current> {
        let text = self.next()?;
        if text != format::line(&TableLine::of(table)) {
            return Err(damaged(self.line, &format!("does not begin the table `{}`", table.name)));
        }
        self.digest.line(text.as_bytes());
        Ok(Current { table, digest: TableDigest::default(), last: None })
    }

    fn end(&mut self, current: &Current, text: &str) -> Result<()> {
        let (rows, sha256) = (current.digest.rows, current.digest.sha256());
        if text != format::line(&EndLine { rows, sha256: sha256.clone() }) {
            let message = format!("does not end the {rows} rows of `{}` that were read", current.table.name);
            return Err(damaged(self.line, &message));
        }
        self.digest.line(text.as_bytes());
        self.digest.tables += 1;
        self.digest.rows += rows;
        self.done.push(BackupTable { name: current.table.name.to_owned(), rows, sha256 });
        Ok(())
    }

    /// Reads the last line, which says whether all is as it was written.
    pub(super) fn finish(mut self) -> Result<BackupSummary> {
        let text = self.next()?;
        let line = self.line;
        let given: Trailer =
            serde_json::from_str(&text).map_err(|_| damaged(line, "is not the last line of a backup"))?;
        let known = self.digest.trailer();
        let is_same = (given.tables, given.rows, &given.sha256) == (known.tables, known.rows, &known.sha256);
        if !is_same || format::line(&given) != text {
            return Err(damaged(line, "does not say what stands before it"));
        }
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match &given.hmac {
            // Without the key nothing else says what it cannot be.
            Some(hmac) if hmac.len() != 64 || !hmac.bytes().all(is_digit) => {
                return Err(damaged(line, "has a seal that is none"));
            }
            None if self.asks_for_seal => {
                return Err(at_line(Reason::BackupKeyWrong, line, "has no seal, and a key is given"));
            }
            Some(hmac) if self.asks_for_seal && !self.digest.is_mac(hmac) => {
                return Err(at_line(Reason::BackupKeyWrong, line, "was not sealed with the key that is given"));
            }
            _ => {}
        }
        if next_line(&mut self.from, line + 1, LONGEST)?.is_some() {
            return Err(damaged(line + 1, "comes behind the last one"));
        }
        Ok(BackupSummary {
            schema: self.header.schema,
            version: self.header.version,
            at: self.header.at,
            tables: self.done,
            rows: given.rows,
            bytes: self.digest.bytes + text.len() as u64,
            sha256: given.sha256,
            is_sealed: given.hmac.is_some(),
        })
    }

    fn next(&mut self) -> Result<String> {
        self.line = self.line.saturating_add(1);
        let text = next_line(&mut self.from, self.line, LONGEST)?;
        text.ok_or_else(|| damaged(self.line, "is missing: the file ends too early"))
    }
}

impl Current {
    /// A row, or what is wrong with its line.
    fn row(&mut self, text: &str) -> Result<Row, &'static str> {
        let (content, check) = text.strip_suffix('\n').and_then(format::split).ok_or("is no row")?;
        if self.digest.row(&content) != check {
            return Err("is not as it was written, or does not belong behind the one before it");
        }
        let row = format::row_of(self.table, &content).ok_or("is no row of this table")?;
        if !format::is_possible(self.table, &row) {
            return Err("is a row that no store has");
        }
        let key = self.table.key_of(&row);
        if key.0.iter().any(crate::model::value::Value::is_null) || self.last.as_ref().is_some_and(|last| *last >= key)
        {
            return Err("is not in its place");
        }
        self.last = Some(key);
        Ok(row)
    }
}

/// The next line with its end, of so many bytes at most; none at the end of the file.
fn next_line(from: &mut impl BufRead, line: u32, longest: u64) -> Result<Option<String>> {
    let mut text = Vec::new();
    let read = from.take(longest).read_until(b'\n', &mut text);
    read.map_err(|problem| {
        let message = format!("line {line} of the backup cannot be read: {problem}");
        Error::new(Reason::StorageUnavailable, message).with_source(problem)
    })?;
    if text.is_empty() {
        return Ok(None);
    }
    if text.last() != Some(&b'\n') {
        return Err(damaged(line, "has no end"));
    }
    String::from_utf8(text).map(Some).map_err(|_| damaged(line, "is no text"))
}

/// Whether a text may be a version: it is in errors and in the audit log, whoever wrote it.
fn is_version(text: &str) -> bool {
    let is_fit = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '+' | '-');
    (1..=64).contains(&text.len()) && text.chars().all(is_fit)
}

fn damaged(line: u32, message: &str) -> Error {
    at_line(Reason::BackupInvalid, line, message)
}

fn at_line(reason: Reason, line: u32, message: &str) -> Error {
    let message = format!("line {line} of the backup {message}");
    let problem = Problem { line, column: 1, message: message.clone(), help: None };
    Error::in_file(reason, message, vec![problem])
}
