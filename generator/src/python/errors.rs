//! `errors.py`: an exception class for each code.

use std::str::FromStr;

use rolekeep::{
    Code, Reason,
    describe::{Catalogue, Shape},
};

use super::text::{docstring, member};

const HEAD: &str = r#""""What operations raise: a class for each code, all of them `RolekeepError`."""

from __future__ import annotations

from ._error import RolekeepError
from .records import Code, Reason
"#;

pub(super) fn errors(catalogue: &Catalogue) -> String {
    let codes = match catalogue.types.0.get("Code").map(|code| &code.shape) {
        Some(Shape::Words(words)) => words.as_slice(),
        _ => &[],
    };
    let classes: String = codes.iter().filter_map(|(word, about)| class(word, about)).collect();
    let by_code: String =
        codes.iter().map(|(word, _)| format!("    Code.{}: {},\n", member(word), name(word))).collect();
    let mut names: Vec<String> = codes.iter().map(|(word, _)| name(word)).chain(["RolekeepError".to_owned()]).collect();
    names.sort_unstable();
    let names: String = names.iter().map(|name| format!("    \"{name}\",\n")).collect();
    format!(
        "{HEAD}{classes}\n\nBY_CODE: dict[Code, type[RolekeepError]] = {{\n{by_code}}}\n\
         \"\"\"The class of each code.\"\"\"\n\n__all__ = [\n{names}]\n"
    )
}

fn class(word: &str, about: &str) -> Option<String> {
    let code = Code::from_str(word).ok()?;
    // What the reason is where Python code raises it and says none.
    let usual = Reason::ALL.iter().find(|reason| reason.code() == code)?;
    let usual = match code {
        Code::Internal => &Reason::Internal,
        // It is persisters that raise it.
        Code::Unavailable => &Reason::StorageUnavailable,
        _ => usual,
    };
    Some(format!(
        "\n\nclass {}(RolekeepError):\n{}\n    code = Code.{}\n    http_status = {}\n    _usual = Reason.{}\n",
        name(word),
        docstring(about, &[], "    "),
        member(word),
        code.http_status(),
        member(usual.as_str())
    ))
}

/// The class of a code.
fn name(word: &str) -> String {
    let short = match word {
        "RESOURCE_NOT_FOUND" => "NOT_FOUND",
        "DUPLICATE_RESOURCE" => "DUPLICATE",
        "RATE_LIMIT_EXCEEDED" => "RATE_LIMITED",
        "INTERNAL_SERVER_ERROR" => "INTERNAL",
        other => other,
    };
    short
        .split('_')
        .map(|part| part.chars().take(1).chain(part.to_lowercase().chars().skip(1)).collect::<String>())
        .collect()
}
