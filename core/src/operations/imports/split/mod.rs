//! Where records end, found byte by byte, so that a source of any size is read in pieces: what is kept between two pieces is a
//! [`Splitter`]. A record that is too long is skipped to its end, by its quotes, and what lies in it is never taken for records.

use crate::model::import::{ImportFormat, Splitter};

/// The longest line, in bytes.
const LONGEST_LINE: usize = 64 * 1024;
/// The longest element of a list, in bytes.
const LONGEST_ELEMENT: usize = 256 * 1024;
/// The member of a JSON document that holds the records.
const LIST: &[u8] = b"users";

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'b> {
    /// A record; whether it ended because the source did.
    Record(&'b [u8], bool),
    /// A record of which nothing is kept, as it is too long.
    TooLong,
    /// A record that the source broke off.
    Truncated,
    /// Something behind the end of the document, of which nothing is read.
    Trailing,
    /// Nothing, as long as no more bytes come.
    More,
}

/// What is done with one byte.
enum Step {
    /// It belongs to the record.
    Within,
    /// The record ends before it.
    EndBefore,
    /// The record ends with it.
    EndWith,
}

/// What comes next in `data`, and how many bytes of it that took. The source ends with them if `is_last`.
pub(super) fn next<'b>(
    splitter: &mut Splitter,
    format: ImportFormat,
    data: &'b [u8],
    is_last: bool,
) -> (usize, Next<'b>) {
    let start = if splitter.is_skipping { 0 } else { begin(splitter, format, data) };
    if splitter.is_over {
        let is_whole = after_list(splitter, &data[start..]);
        return (data.len(), if is_whole { Next::More } else { over(splitter, Next::Trailing) });
    }
    let longest = if format == ImportFormat::Json { LONGEST_ELEMENT } else { LONGEST_LINE };
    let before = *splitter;
    for (at, byte) in data.iter().enumerate().skip(start) {
        let (end, used) = match step(splitter, format, *byte) {
            Step::Within => {
                splitter.is_skipping |= at + 1 - start > longest;
                continue;
            }
            Step::EndBefore => (at, at),
            Step::EndWith if format == ImportFormat::Json => (at + 1, at + 1),
            Step::EndWith => (at, at + 1),
        };
        let was_skipping = splitter.is_skipping;
        let Splitter { in_list, list_depth, .. } = *splitter;
        *splitter = Splitter { in_list, list_depth, ..Splitter::default() };
        return (used, if was_skipping { Next::TooLong } else { Next::Record(&data[start..end], false) });
    }
    if start == data.len() && !splitter.is_skipping {
        // A list of JSON has an end of its own.
        let is_broken = is_last && format == ImportFormat::Json;
        return (data.len(), if is_broken { over(splitter, Next::Truncated) } else { Next::More });
    }
    if is_last {
        let is_broken = splitter.in_quotes && !splitter.is_escaped || format == ImportFormat::Json;
        let next = match (splitter.is_skipping, is_broken) {
            (true, _) => Next::TooLong,
            (false, true) => Next::Truncated,
            (false, false) => Next::Record(&data[start..], true),
        };
        return (data.len(), over(splitter, next));
    }
    if splitter.is_skipping {
        return (data.len(), Next::More);
    }
    // It is read again from its beginning once more of it is there.
    *splitter = before;
    (start, Next::More)
}

/// Nothing more of the source is read.
fn over<'b>(splitter: &mut Splitter, next: Next<'b>) -> Next<'b> {
    *splitter = Splitter { is_over: true, is_skipping: true, ..Splitter::default() };
    next
}

/// What follows the list: the rest of the document that it stands in, and nothing behind that. Whether it is so.
fn after_list(splitter: &mut Splitter, data: &[u8]) -> bool {
    splitter.is_skipping
        || data.iter().all(|byte| {
            let is_behind = splitter.depth == 0;
            json_step(splitter, *byte);
            !is_behind || byte.is_ascii_whitespace()
        })
}

/// Where the next record begins: behind empty lines, or what stands before and between the elements of a list.
fn begin(splitter: &mut Splitter, format: ImportFormat, data: &[u8]) -> usize {
    let is_between = |byte: &u8| match format {
        ImportFormat::Json => byte.is_ascii_whitespace() || *byte == b',',
        ImportFormat::Csv | ImportFormat::JsonLines => matches!(byte, b'\r' | b'\n'),
    };
    for (at, byte) in data.iter().enumerate() {
        if splitter.is_over {
            return at;
        }
        match format {
            ImportFormat::Json if !splitter.in_list => before_list(splitter, *byte),
            ImportFormat::Json if *byte == b']' => {
                *splitter = Splitter { is_over: true, depth: splitter.list_depth, ..Splitter::default() };
            }
            _ if is_between(byte) => {}
            _ => return at,
        }
    }
    data.len()
}

/// Looks for the list of records: the document itself, or a member of it.
fn before_list(splitter: &mut Splitter, byte: u8) {
    if splitter.in_quotes {
        match byte {
            _ if splitter.is_escaped => (splitter.is_escaped, splitter.matched) = (false, u8::MAX),
            b'\\' => splitter.is_escaped = true,
            b'"' => {
                splitter.in_quotes = false;
                splitter.matched *= u8::from(usize::from(splitter.matched) == LIST.len());
            }
            _ if LIST.get(usize::from(splitter.matched)) == Some(&byte) => splitter.matched += 1,
            _ => splitter.matched = u8::MAX,
        }
        return;
    }
    let is_list = splitter.depth == 0 || splitter.depth == 1 && usize::from(splitter.matched) == LIST.len();
    match byte {
        b'[' if is_list => {
            *splitter = Splitter { in_list: true, list_depth: splitter.depth, ..Splitter::default() };
        }
        b':' => return,
        _ if byte.is_ascii_whitespace() => return,
        b'"' => splitter.in_quotes = true,
        b'{' | b'[' => splitter.depth = splitter.depth.saturating_add(1),
        b'}' | b']' => splitter.depth = splitter.depth.saturating_sub(1),
        _ => {}
    }
    splitter.matched = 0;
}

/// One byte of a record.
fn step(splitter: &mut Splitter, format: ImportFormat, byte: u8) -> Step {
    match format {
        ImportFormat::Csv => csv_step(splitter, byte),
        ImportFormat::JsonLines if byte == b'\n' => Step::EndWith,
        ImportFormat::JsonLines => Step::Within,
        ImportFormat::Json => json_step(splitter, byte),
    }
}

/// As `csv-core` reads: quotes that do not begin a field are letters, and what follows a closing quote belongs to the field.
fn csv_step(splitter: &mut Splitter, byte: u8) -> Step {
    let Splitter { in_quotes, is_escaped, in_field, .. } = splitter;
    if *in_quotes && !*is_escaped {
        *is_escaped = byte == b'"';
        return Step::Within;
    }
    if *in_quotes && byte == b'"' {
        *is_escaped = false;
        return Step::Within;
    }
    (*in_quotes, *is_escaped) = (byte == b'"' && !*in_field && !*in_quotes, false);
    *in_field = byte != b',';
    if matches!(byte, b'\r' | b'\n') { Step::EndWith } else { Step::Within }
}

fn json_step(splitter: &mut Splitter, byte: u8) -> Step {
    let Splitter { in_quotes, is_escaped, depth, .. } = splitter;
    if *in_quotes {
        (*in_quotes, *is_escaped) = (*is_escaped || byte != b'"', !*is_escaped && byte == b'\\');
        return Step::Within;
    }
    match byte {
        b'"' => *in_quotes = true,
        b'{' | b'[' => *depth = depth.saturating_add(1),
        b',' | b']' if *depth == 0 => return Step::EndBefore,
        b'}' | b']' => {
            *depth = depth.saturating_sub(1);
            if *depth == 0 {
                return Step::EndWith;
            }
        }
        _ => {}
    }
    Step::Within
}

#[cfg(test)]
mod tests;
