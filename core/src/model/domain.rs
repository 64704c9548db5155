//! Names of hosts: their A-labels by UTS 46 (nontransitional), of letters, digits and hyphens (STD 3). By tables of our own, or by those
//! that the JavaScript host has anyway.

use idna::punycode;

use super::{text::is_invisible, unicode};

/// A name has at most so many octets (RFC 1035, 2.3.4).
const LONGEST: usize = 253;
const LONGEST_LABEL: usize = 63;

/// The A-labels of a domain, in lower case: what decides whether two are the same. None, if it is no domain; a number, which some would
/// take for an IP address, is none.
pub fn to_ascii(domain: &str) -> Option<String> {
    let is_fit = |letter: char| match letter {
        '-' | '.' => true,
        // Which labels have joiners is for IDNA to say; all else that is not seen it would leave out.
        '\u{200C}' | '\u{200D}' => true,
        letter => letter.is_ascii_alphanumeric() || !letter.is_ascii() && !is_invisible(letter),
    };
    // Signs that are compatible with ASCII's as well: a browser takes `％62` for `b`.
    if domain.len() > 4 * LONGEST || !domain.chars().all(is_fit) || !unicode::nfkc(domain).chars().all(is_fit) {
        return None;
    }
    let lower = domain.to_ascii_lowercase();
    let ascii = if is_plain(&lower) { lower } else { tables::to_ascii(&lower)? };
    is_host(&ascii).then_some(ascii)
}

/// The same with its labels in Unicode, as people read them.
pub fn to_unicode(domain: &str) -> Option<String> {
    let ascii = to_ascii(domain)?;
    if is_plain(&ascii) {
        return Some(ascii);
    }
    let read = |label: &str| match label.strip_prefix("xn--") {
        Some(code) => punycode::decode_to_string(code),
        None => Some(label.to_owned()),
    };
    let labels: Option<Vec<String>> = ascii.split('.').map(read).collect();
    let unicode = labels?.join(".");
    (to_ascii(&unicode)? == ascii).then_some(unicode)
}

/// Whether there is nothing to map.
fn is_plain(lower: &str) -> bool {
    lower.is_ascii() && !lower.split('.').any(|label| label.starts_with("xn--"))
}

fn is_host(ascii: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // What ends in a label that begins with a digit is `127.1` or `0x7f.1`; no top-level domain does (RFC 1123, 2.1).
    let last = ascii.rsplit('.').next().unwrap_or_default();
    ascii.len() <= LONGEST
        && ascii.split('.').all(is_label)
        && !last.starts_with(|letter: char| letter.is_ascii_digit())
}

#[cfg(any(not(target_arch = "wasm32"), feature = "unicode-tables"))]
mod tables {
    use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

    /// As URLs are read, so that both say the same.
    pub(super) fn to_ascii(domain: &str) -> Option<String> {
        let read = Uts46::new().to_ascii(domain.as_bytes(), AsciiDenyList::URL, Hyphens::Allow, DnsLength::Ignore);
        Some(read.ok()?.into_owned())
    }
}

#[cfg(all(target_arch = "wasm32", not(feature = "unicode-tables")))]
mod tables {
    use js_sys::{Array, Function, JsString, Reflect};

    pub(super) fn to_ascii(domain: &str) -> Option<String> {
        let class = Function::from(Reflect::get(&js_sys::global(), &JsString::from("URL")).ok()?);
        let address = JsString::from(format!("http://{domain}/"));
        let url = Reflect::construct(&class, &Array::of1(&address)).ok()?;
        Reflect::get(&url, &JsString::from("hostname")).ok()?.as_string()
    }
}

#[cfg(test)]
mod tests {
    use super::{to_ascii, to_unicode};

    #[test]
    fn usr_9_two_ways_of_writing_one_domain() {
        for (typed, ascii, unicode) in [
            ("Example.ORG", "example.org", "example.org"),
            ("例え.jp", "xn--r8jz45g.jp", "例え.jp"),
            ("xn--R8JZ45G.JP", "xn--r8jz45g.jp", "例え.jp"),
            ("例え。jp", "xn--r8jz45g.jp", "例え.jp"),
            ("faß.de", "xn--fa-hia.de", "faß.de"),
            ("FASS.de", "fass.de", "fass.de"),
            ("BÜCHER.example", "xn--bcher-kva.example", "bücher.example"),
            ("bu\u{308}cher.example", "xn--bcher-kva.example", "bücher.example"),
            ("ｅxample.org", "example.org", "example.org"),
            ("βόλος.gr", "xn--nxasmm1c.gr", "βόλος.gr"),
            ("r3---sn.example.org", "r3---sn.example.org", "r3---sn.example.org"),
            ("نامه\u{200c}ای.com", "xn--mgba3gch31f060k.com", "نامه\u{200c}ای.com"),
            ("localhost", "localhost", "localhost"),
        ] {
            assert_eq!(to_ascii(typed).as_deref(), Some(ascii), "{typed}");
            assert_eq!(to_unicode(typed).as_deref(), Some(unicode), "{typed}");
            assert_eq!(to_ascii(unicode).as_deref(), Some(ascii), "{typed}");
        }
    }

    #[test]
    fn usr_9_what_is_no_domain() {
        let long = format!("{}.org", "a".repeat(64));
        let longer = format!("{}org", "abcdefgh.".repeat(28));
        let huge = "ü".repeat(100_000);
        for typed in [
            "",
            ".",
            "x..org",
            "x.org.",
            "x.org。",
            ".x.org",
            "-x.org",
            "x-.org",
            "x_y.org",
            "a b.org",
            "a@b.org",
            "a%62.org",
            "a/b.org",
            "１２７.1",
            "127.0.0.1",
            "0x7f.1",
            "x.1",
            "a％62.org",
            "xn--a.jp",
            "xn--zz99zz.jp",
            "xn--.jp",
            "\u{301}a.org",
            "a\u{378}.org",
            "a\u{ad}b.org",
            "a\u{200b}b.org",
            "a\u{fe0f}b.org",
            "a\u{200d}b.org",
            "a\0.org",
            &long,
            &longer,
            &huge,
        ] {
            assert_eq!(to_ascii(typed), None, "{typed}");
            assert_eq!(to_unicode(typed), None, "{typed}");
        }
    }
}
