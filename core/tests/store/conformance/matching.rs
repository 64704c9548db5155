//! Whether an answer is what a scenario expects.

use rolekeep::Time;
use serde_json::Value as Json;

/// How the answer differs from what is expected; nothing where it does not.
pub fn difference(expected: &Json, actual: &Json) -> Option<String> {
    differ(expected, actual, "")
}

fn differ(expected: &Json, actual: &Json, at: &str) -> Option<String> {
    let differs = || Some(format!("{}: expected {expected}, got {actual}", if at.is_empty() { "answer" } else { at }));
    match (expected, actual) {
        (Json::Object(keys), _) if keys.len() == 1 && keys.keys().all(|key| key.starts_with('$')) => {
            let (matcher, wanted) = keys.iter().next()?;
            if fits(matcher, wanted, actual, at) { None } else { differs() }
        }
        (Json::Object(wanted), Json::Object(given)) => wanted.iter().find_map(|(key, wanted)| {
            let at = format!("{at}.{key}");
            match given.get(key) {
                Some(given) => differ(wanted, given, &at),
                None => Some(format!("{at}: expected {wanted}, there is no such key in {actual}")),
            }
        }),
        (Json::Array(wanted), Json::Array(given)) if wanted.len() == given.len() => {
            let mut pairs = wanted.iter().zip(given).enumerate();
            pairs.find_map(|(index, (wanted, given))| differ(wanted, given, &format!("{at}.{index}")))
        }
        (Json::String(wanted), Json::String(given)) if same_time(wanted, given) => None,
        // 1 and 1.0 are one number.
        (Json::Number(wanted), Json::Number(given)) if wanted.as_f64() == given.as_f64() => None,
        _ if expected == actual => None,
        _ => differs(),
    }
}

fn fits(matcher: &str, wanted: &Json, actual: &Json, at: &str) -> bool {
    match (matcher, wanted) {
        ("$any", Json::Bool(true)) => !actual.is_null(),
        ("$contains", Json::String(part)) => actual.as_str().is_some_and(|text| text.contains(part.as_str())),
        ("$length", Json::Number(length)) => {
            actual.as_array().is_some_and(|list| Some(list.len() as u64) == length.as_u64())
        }
        ("$unordered", Json::Array(wanted)) => actual.as_array().is_some_and(|given| is_arrangement(wanted, given)),
        ("$includes", Json::Array(wanted)) => actual.as_array().is_some_and(|given| {
            wanted.iter().all(|wanted| given.iter().any(|given| differ(wanted, given, at).is_none()))
        }),
        ("$not", wanted) => differ(wanted, actual, at).is_some(),
        _ => panic!("{at}: there is no matcher {matcher} of {wanted}"),
    }
}

/// Whether every wanted element has one of its own among those given, and none is left.
fn is_arrangement(wanted: &[Json], given: &[Json]) -> bool {
    let Some((first, rest)) = wanted.split_first() else { return given.is_empty() };
    (0..given.len()).any(|at| {
        let mut others = given.to_vec();
        let candidate = others.remove(at);
        differ(first, &candidate, "").is_none() && is_arrangement(rest, &others)
    })
}

fn same_time(wanted: &str, given: &str) -> bool {
    match (wanted.parse::<Time>(), given.parse::<Time>()) {
        (Ok(wanted), Ok(given)) => wanted == given,
        _ => wanted == given,
    }
}

#[test]
fn tells_what_differs() {
    use serde_json::json;
    let fits = |expected: Json, actual: Json| difference(&expected, &actual).is_none();
    assert!(fits(json!({"a": 1}), json!({"a": 1, "b": 2})) && !fits(json!({"a": 1, "b": 2}), json!({"a": 1})));
    assert!(
        fits(json!([1, 2]), json!([1, 2])) && !fits(json!([1]), json!([1, 2])) && !fits(json!([2, 1]), json!([1, 2]))
    );
    assert!(fits(json!("2026-01-01T00:00:00Z"), json!("2026-01-01T01:00:00+01:00")));
    assert!(fits(json!({"$any": true}), json!(0)) && !fits(json!({"$any": true}), Json::Null));
    assert!(fits(json!({"$contains": "b"}), json!("abc")) && !fits(json!({"$contains": "d"}), json!("abc")));
    assert!(fits(json!({"$length": 1}), json!([7])) && !fits(json!({"$length": 0}), json!([7])));
    assert!(fits(json!({"$unordered": [{"$any": true}, 1]}), json!([1, 2])));
    assert!(!fits(json!({"$unordered": [1, 1]}), json!([1, 2])));
    assert!(fits(json!({"$includes": [2]}), json!([1, 2])) && !fits(json!({"$includes": [3]}), json!([1, 2])));
    assert!(fits(json!({"$not": 1}), json!(2)) && !fits(json!({"$not": 1}), json!(1)));
}
