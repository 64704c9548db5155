use super::*;

/// The records of a source that comes in pieces of some size; `None`: too long or broken off.
fn records(format: ImportFormat, source: &[u8], piece: usize) -> Vec<Option<String>> {
    let mut splitter = Splitter::default();
    let (mut found, mut from, mut known) = (Vec::new(), 0, 0);
    while known < source.len() || from < source.len() {
        known = (known + piece).min(source.len());
        loop {
            let (used, next) = next(&mut splitter, format, &source[from..known], known == source.len());
            from += used;
            match next {
                Next::Record(record, _) => found.push(Some(String::from_utf8_lossy(record).into_owned())),
                Next::TooLong | Next::Truncated | Next::Trailing => found.push(None),
                Next::More => break,
            }
        }
    }
    found
}

fn check(format: ImportFormat, source: &str, expected: &[Option<&str>]) {
    for piece in [1, 2, 3, 7, 64, source.len()] {
        let found = records(format, source.as_bytes(), piece);
        let found: Vec<Option<&str>> = found.iter().map(Option::as_deref).collect();
        assert_eq!(found, expected, "{source:?} in pieces of {piece}");
    }
}

#[test]
fn csv_records_end_outside_quotes() {
    let csv = |source: &str, expected: &[Option<&str>]| check(ImportFormat::Csv, source, expected);
    csv("a,b\r\n1,2\r\n\r\n3,4", &[Some("a,b"), Some("1,2"), Some("3,4")]);
    csv("\"a\nb\",c\nd,e\n", &[Some("\"a\nb\",c"), Some("d,e")]);
    csv("\"a\"\"\nb\",c\n", &[Some("\"a\"\"\nb\",c")]);
    // A quote within a field is a letter.
    csv("5\" pipe,x\ny,z\n", &[Some("5\" pipe,x"), Some("y,z")]);
    csv("\"a\"b\nc\n", &[Some("\"a\"b"), Some("c")]);
    csv("a,\"\n", &[None]);
    csv("a\n\"b\n", &[Some("a"), None]);
    csv("\"\"\n", &[Some("\"\"")]);
    csv("x,\"y\"", &[Some("x,\"y\"")]);
}

#[test]
fn lines() {
    check(
        ImportFormat::JsonLines,
        "{\"a\":1}\n\n{\"b\":\"\\\"\"}\r\n{",
        &[Some("{\"a\":1}"), Some("{\"b\":\"\\\"\"}\r"), Some("{")],
    );
}

#[test]
fn elements_of_a_list() {
    let json = |source: &str, expected: &[Option<&str>]| check(ImportFormat::Json, source, expected);
    json(" [ {\"a\":\"]},\"} , {\"b\":[1,{}]},7 ]  ", &[Some("{\"a\":\"]},\"}"), Some("{\"b\":[1,{}]}"), Some("7 ")]);
    json("[]", &[]);
    let realm =
        r#"{"realm":"users","x":{"users":[{"no":1}]},"\u0075sers":[{"no":2}],"users" : [{"yes":"\\"}],"y":[{"no":3}]}"#;
    json(realm, &[Some(r#"{"yes":"\\"}"#)]);
    json(
        r#"{"usersx":[{"no":1}],"user":[{"no":1}],"users":[{"yes":1},{"yes":2}]}"#,
        &[Some(r#"{"yes":1}"#), Some(r#"{"yes":2}"#)],
    );
    // Broken off: within an element, between two, before the list.
    json("[{\"a\":1},{\"b\"", &[Some("{\"a\":1}"), None]);
    json("[{\"a\":1},", &[Some("{\"a\":1}"), None]);
    json("{\"x\":1}", &[None]);
    // Another document behind it, as where pages of an export are written one after the other: told once.
    json("[{\"a\":1}]\n[{\"b\":1},{\"c\":1}]", &[Some("{\"a\":1}"), None]);
    json("{\"users\":[{\"a\":1}],\"x\":[\"]}\"]}{\"users\":[]}", &[Some("{\"a\":1}"), None]);
    json("{\"users\":[{\"a\":1}],\"x\":{\"y\":\"}}\"}} \n", &[Some("{\"a\":1}")]);
}

#[test]
fn what_is_too_long_is_skipped_by_its_quotes() {
    let long = "x".repeat(LONGEST_LINE + 10);
    for piece in [1000, 70_000, 1 << 20] {
        let csv = format!("a,b\n\"{long}\nsmuggled,in\n\",c\nd,e\n");
        let found = records(ImportFormat::Csv, csv.as_bytes(), piece);
        assert_eq!(found, [Some("a,b".into()), None, Some("d,e".into())], "{piece}");
        let json = format!("[{{\"a\":\"{}]}},{{\"}},{{\"b\":1}}]", "x".repeat(LONGEST_ELEMENT));
        assert_eq!(records(ImportFormat::Json, json.as_bytes(), piece), [None, Some("{\"b\":1}".into())], "{piece}");
        let line = format!("{long}\n{{}}\n{long}");
        assert_eq!(
            records(ImportFormat::JsonLines, line.as_bytes(), piece),
            [None, Some("{}".into()), None],
            "{piece}"
        );
    }
}
