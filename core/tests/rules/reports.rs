//! What the author of a faulty policy reads: `policies/faulty/*.txt` beside the policy that it is about.
//! `UPDATE_SNAPSHOTS=1` writes them anew; read what changed.

use std::{fs, path::PathBuf};

use rolekeep::{
    Error,
    rules::{Policy, Role, RuleSet},
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/policies/faulty")
}

fn refused(policy: Result<Policy, Error>) -> Error {
    policy.and_then(|policy| RuleSet::compile(&policy, &rolekeep_test_cases::schema())).unwrap_err()
}

fn read(text: &str, is_json: bool) -> Error {
    refused(if is_json { Policy::from_json(text) } else { Policy::from_toml(text) })
}

#[test]
fn every_report_reads_as_it_was_found_clear() {
    let mut files: Vec<PathBuf> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "toml" || ending == "json"));
    files.sort();
    assert!(files.len() >= 30, "{}", files.len());
    let mut different = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        let error = read(&text, name.ends_with("json"));
        let told = match error.report() {
            Some(report) => format!("{}\n\n{}\n", error.message(), report.file(name)),
            None => format!("{}\n", error.message()),
        };
        assert!(told.lines().all(|line| line == line.trim_end()), "{name}: a line ends with blanks");
        let expected = folder().join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            fs::write(&expected, &told).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != told {
            different.push(told);
        }
    }
    assert!(different.is_empty(), "not as written down:\n\n{}", different.join("\n\n"));
}

/// The line of carets below the line that they are about, as (text above the first caret, how many carets).
fn marked(error: &Error) -> (String, usize) {
    let report = error.report().unwrap().to_string();
    let lines: Vec<&str> = report.lines().collect();
    let at = lines.iter().position(|line| line.contains('^')).unwrap();
    let start = lines[at].find('^').unwrap();
    let carets = lines[at].matches('^').count();
    // Wide characters take two columns, and stand in the line once.
    let mut column = 0;
    let rest: String = lines[at - 1]
        .chars()
        .skip_while(|letter| {
            let is_before = column < start;
            column += if *letter > '\u{2e7f}' { 2 } else { 1 };
            is_before
        })
        .collect();
    (rest, carets)
}

#[test]
fn carets_stand_below_what_is_wrong() {
    let inherits = |before: &str, end: &str| {
        let text = format!("[roles.r]{end}description = \"\"{end}{before}inherits = [\"nobody\"]{end}{end}");
        let error = read(&text, false);
        let (rest, carets) = marked(&error);
        (rest, carets, error.problems()[0].line, error.problems()[0].column)
    };
    let expected = |column| ("\"nobody\"]".to_owned(), 8, 3, column);
    assert_eq!(inherits("", "\n"), expected(13));
    assert_eq!(inherits("", "\r\n"), expected(13));
    assert_eq!(inherits("\t\t", "\n"), expected(15));
    let allow = |before: &str| {
        let error = read(
            &format!(
                "[roles.r]\nallow = [{{ permission = \"drone:read\", when = \"resource.code == '{before}' and resource.cod == 'x'\" }}]"
            ),
            false,
        );
        let (rest, carets) = marked(&error);
        assert!(rest.starts_with("cod == 'x'"), "{before}: {rest}");
        assert_eq!(carets, 3);
    };
    // Composed, wide, tabbed, escaped; a mark that has no width of its own shifts nothing.
    for before in ["", "ä", "漢字かな", "a\\\\tb", "\\u00e4", "漢\\u6f22字"] {
        allow(before);
    }
}

/// The whole word, path, number or text, and no more.
#[test]
fn carets_cover_what_is_wrong() {
    for (when, covered) in [
        ("resource.cod == 'x'", "cod"),
        ("resource._x1 == 'x'", "_x1"),
        ("_x.code == 'x'", "_x.code"),
        ("true == true and resorce.code_1 == 'x'", "resorce.code_1"),
        ("resource.a.b == 'x'", "."),
        ("resource == 'x'", "=="),
        ("true == true) and true == true", ")"),
        ("resource.code == 'a' and resource.id == 'drone-001'", "'drone-001'"),
        ("resource.code == 'a' and resource.id == \"drone\" and true == true", "\"drone\""),
        ("true == true and 99999999999999999999 == 7", "99999999999999999999"),
        ("true == true and now > now - 5years or true == true", "5years"),
        ("resource.code == 'a' and resource.code == 'x and y", "'x and y"),
        ("resource.code == 'a' and resource.code == \"x and y", "\"x and y"),
        ("resource.code == 'a' & resource.code == 'b'", "&"),
        ("resource.code == 'a' ä resource.code == 'b'", "ä"),
        ("resource.code == 'a' or not (resource.region_id == principal.id)", "resource.region_id == principal.id"),
    ] {
        let error = refused(Ok(Policy::new().add_role(Role::new("r").allow_when("drone:read", when))));
        let (rest, carets) = marked(&error);
        assert_eq!(rest.chars().take(carets).collect::<String>(), covered, "{when}");
    }
}

#[test]
fn a_long_line_is_shown_around_its_problem() {
    let roles: Vec<String> = (0..20_000).map(|number| format!("\"r{number}\":{{\"allow\":[\"user:read\"]}}")).collect();
    let text = format!("{{\"roles\":{{{},\"last\":{{\"allow\":[\"user:raed\"]}}}}}}", roles.join(","));
    let error = read(&text, true);
    let report = error.report().unwrap().to_string();
    assert!(report.len() < 1_000, "{report}");
    let column = error.problems()[0].column;
    assert_eq!(&text[column as usize - 1..column as usize + 10], "\"user:raed\"");
    assert!(report.contains(&format!("policy:1:{column}\n")), "{report}");
    assert!(report.contains("help: did you mean `user:read`?"), "{report}");
}

#[test]
fn a_report_of_thousands_is_bounded() {
    let mistakes: Vec<String> = (0..20_000).map(|number| format!("\"nothing:here{number}\"")).collect();
    for between in [",", ",\n"] {
        let error = read(&format!("[roles.r]\nallow = [{}]", mistakes.join(between)), false);
        let report = error.report().unwrap().to_string();
        assert!(report.len() < 40_000, "{}", report.len());
        assert!(report.ends_with(" more problems"), "{report}");
    }
}

#[test]
fn a_condition_in_code_is_shown_itself() {
    let role =
        Role::new("r").inherits("nobody").allow_when("drone:read", "resource.code == 'x' or resource.cod == 'y'");
    let error = refused(Ok(Policy::new().add_role(role)));
    let expected = "\
error: role r, drone:read: type `drone` has no attribute `cod`
 --> condition:1:34
  |
1 | resource.code == 'x' or resource.cod == 'y'
  |                                  ^^^
  |
  = help: did you mean `code`?

error: there is no role `nobody`";
    assert_eq!(error.report().unwrap().to_string(), expected);
    assert_eq!(error.to_string(), format!("the policy has errors\n\n{expected}"));
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let error = read("[roles.r]\nallow = [\"user:raed\"]", false);
    let report = error.report().unwrap();
    assert!(!report.to_string().contains('\u{1b}') && !error.to_string().contains('\u{1b}'));
    let colored = report.colored(true).to_string();
    assert!(colored.contains("\u{1b}[1m\u{1b}[91merror"), "{colored:?}");
    // Nothing of the file reaches the terminal as a command to it.
    let error = read("[roles.r]\nallow = [\"user:\u{202e}raed\"] # \u{9b}31m \u{202e}", false);
    let report = error.report().unwrap().to_string();
    assert!(!report.contains(['\u{9b}', '\u{202e}']), "{report:?}");
}
