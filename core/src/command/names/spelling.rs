//! What a name becomes in a language.

/// `user-group` as `UserGroup`.
pub(super) fn pascal(name: &str) -> String {
    let parts = name.split(['-', '_']).filter(|part| !part.is_empty());
    parts.map(|part| part[..1].to_ascii_uppercase() + &part[1..]).collect()
}

/// `set_status` as `setStatus`.
pub(super) fn camel(name: &str) -> String {
    let pascal = pascal(name);
    // A role that is written in capitals stays readable: `MAIN_HQ` is `mainHq`.
    if !name.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return camel(&name.to_ascii_lowercase());
    }
    pascal[..1].to_ascii_lowercase() + &pascal[1..]
}

/// `user-group` as `user_group`.
pub(super) fn snake(name: &str) -> String {
    name.replace('-', "_")
}

/// `set_status` as `SET_STATUS`, `onCall` as `ON_CALL`.
pub(super) fn screaming(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut was_small = false;
    for letter in snake(name).chars() {
        if was_small && letter.is_ascii_uppercase() {
            out.push('_');
        }
        was_small = letter.is_ascii_lowercase();
        out.push(letter.to_ascii_uppercase());
    }
    out
}

/// A word that the language keeps for itself gets an underscore.
pub(super) fn unreserved(name: String, reserved: &[&str]) -> String {
    if reserved.contains(&name.as_str()) { name + "_" } else { name }
}

/// A text for a comment of any language: one line, without what would end the comment, begin
/// another or make it read otherwise than it is.
pub(super) fn one_line(text: &str) -> String {
    let is_shown = |letter: &char| {
        let turns =
            matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        !turns && !letter.is_control()
    };
    let spaced: String = text.chars().map(|letter| if letter.is_whitespace() { ' ' } else { letter }).collect();
    let line: String = spaced.chars().filter(is_shown).collect();
    let line = line.replace('/', "\u{2215}").replace('\\', "\u{2216}");
    line.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

pub(super) const SWIFT: &[&str] = &[
    "Any",
    "Protocol",
    "Self",
    "Type",
    "as",
    "associatedtype",
    "break",
    "case",
    "catch",
    "class",
    "continue",
    "default",
    "defer",
    "deinit",
    "do",
    "else",
    "enum",
    "extension",
    "fallthrough",
    "false",
    "fileprivate",
    "for",
    "func",
    "guard",
    "if",
    "import",
    "in",
    "init",
    "inout",
    "internal",
    "is",
    "let",
    "nil",
    "none",
    "operator",
    "precedencegroup",
    "private",
    "protocol",
    "public",
    "repeat",
    "rethrows",
    "return",
    "self",
    "some",
    "static",
    "struct",
    "subscript",
    "super",
    "switch",
    "throw",
    "throws",
    "true",
    "try",
    "typealias",
    "var",
    "where",
    "while",
];

/// Of modules; constants are written in capitals, which none of them is.
pub(super) const RUST: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
    "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

#[cfg(test)]
mod tests {
    use super::{RUST, camel, one_line, pascal, screaming, unreserved};

    #[test]
    fn names_become_identifiers() {
        assert_eq!(pascal("user-group_x"), "UserGroupX");
        assert_eq!(camel("set_status"), "setStatus");
        assert_eq!(camel("MAIN_HQ"), "mainHq");
        assert_eq!(camel("MainHq"), "mainHq");
        assert_eq!(screaming("set-status"), "SET_STATUS");
        assert_eq!(screaming("operatorOnCall"), "OPERATOR_ON_CALL");
        assert_eq!(screaming("MAIN_HQ"), "MAIN_HQ");
        assert_eq!(unreserved("type".to_owned(), RUST), "type_");
    }

    #[test]
    fn comments_stay_comments() {
        assert_eq!(one_line("a\n b\u{2028}*/ /* \u{202e}c"), "a b *\u{2215} \u{2215}* c");
        assert_eq!(one_line("\\u000a"), "\u{2216}u000a");
    }
}
