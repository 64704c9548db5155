//! Where in the file a character of a string stands: the way back through quotes and escapes.

/// The byte in `raw` (a string literal of TOML or JSON with its quotes) that gave byte `wanted` of
/// the string's value.
pub(crate) fn offset_of(raw: &str, wanted: usize) -> usize {
    let bytes = raw.as_bytes();
    let (mut at, escapes) = opening(raw);
    let mut value = 0;
    while value < wanted && at < bytes.len() {
        let Some(letter) = raw[at..].chars().next() else { break };
        if letter == '\\' && escapes {
            let (length, gives) = escape(&raw[at..]);
            at += length;
            value += gives;
        } else {
            at += letter.len_utf8();
            value += letter.len_utf8();
        }
    }
    // A line-ending backslash gives nothing: the wanted character stands behind it.
    while escapes && value == wanted && raw.get(at..).is_some_and(|rest| rest.starts_with('\\')) {
        match escape(&raw[at..]) {
            (length, 0) => at += length,
            _ => break,
        }
    }
    at.min(bytes.len())
}

/// The length of the opening quotes, and whether a backslash escapes.
fn opening(raw: &str) -> (usize, bool) {
    let newline = |at: usize| match raw.get(at..) {
        Some(rest) if rest.starts_with("\r\n") => at + 2,
        Some(rest) if rest.starts_with('\n') => at + 1,
        _ => at,
    };
    let quotes = [("\"\"\"", true), ("'''", false), ("\"", true), ("'", false)];
    match quotes.into_iter().find(|(quote, _)| raw.len() >= 2 * quote.len() && raw.starts_with(quote)) {
        Some((quote, escapes)) => (if quote.len() > 1 { newline(quote.len()) } else { 1 }, escapes),
        None => (0, false),
    }
}

/// The length of an escape, and how many bytes it gives.
fn escape(raw: &str) -> (usize, usize) {
    let hex = |at: usize, digits: usize| raw.get(at..at + digits).and_then(|text| u32::from_str_radix(text, 16).ok());
    let size = |code: Option<u32>| code.and_then(char::from_u32).map_or(3, char::len_utf8);
    match raw.as_bytes().get(1) {
        Some(b'u') => match (hex(2, 4), raw.get(6..8), hex(8, 4)) {
            // JSON writes what lies beyond U+FFFF as two surrogates.
            (Some(0xD800..=0xDBFF), Some("\\u"), Some(0xDC00..=0xDFFF)) => (12, 4),
            (code, _, _) => (6, size(code)),
        },
        Some(b'U') => (10, size(hex(2, 8))),
        Some(b'x') => (4, size(hex(2, 2))),
        Some(b' ' | b'\t' | b'\r' | b'\n') => {
            let blank = raw[1..].len() - raw[1..].trim_start_matches([' ', '\t', '\r', '\n']).len();
            (1 + blank, 0)
        }
        _ => (2, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::offset_of;

    #[test]
    fn finds_the_way_back_through_escapes() {
        assert_eq!(offset_of("\"a\\\"b\"", 2), 4);
        assert_eq!(offset_of("\"\\u00e9b\"", 2), 7);
        assert_eq!(offset_of("\"\\ud83d\\ude00b\"", 4), 13);
        assert_eq!(offset_of("'a\\b'", 2), 3);
        assert_eq!(offset_of("\"\"\"\nab\"\"\"", 1), 5);
        assert_eq!(offset_of("\"\"\"a\\\n   b\"\"\"", 1), 9);
        assert_eq!(offset_of("\"é\"", 2), 3);
    }
}
