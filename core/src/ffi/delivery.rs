//! Notices for notifiers that are written in other languages.

use std::time::Duration;

use serde_json::Value;

use crate::{
    model::error::{Error, Reason, Result},
    operations::notices::{Delivery, Notice},
};

/// A notice as JSON.
pub fn notice(notice: &Notice) -> Result<String> {
    super::written(notice)
}

/// What a notifier answered, as JSON: nothing or `"sent"`, `"refused"`, or after how many seconds to try again.
///
/// # Errors
/// For anything else, which counts as a failure.
pub fn delivery(answer: &str) -> Result<Delivery> {
    let answer: Value = serde_json::from_str(answer).map_err(|_| unknown())?;
    match &answer {
        Value::Null => Ok(Delivery::Sent),
        Value::String(text) if text == "sent" => Ok(Delivery::Sent),
        Value::String(text) if text == "refused" => Ok(Delivery::Refused),
        Value::Number(seconds) => {
            let seconds = seconds.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            seconds.map(Delivery::RetryAfter).ok_or_else(unknown)
        }
        _ => Err(unknown()),
    }
}

fn unknown() -> Error {
    Error::new(
        Reason::InvalidInput,
        "a notifier answers nothing, `sent`, `refused`, or after how many seconds to try again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aut_9_a_notifier_of_another_language_answers_in_few_ways() {
        assert_eq!(delivery("null"), Ok(Delivery::Sent));
        assert_eq!(delivery("\"sent\""), Ok(Delivery::Sent));
        assert_eq!(delivery("\"refused\""), Ok(Delivery::Refused));
        assert_eq!(delivery("1.5"), Ok(Delivery::RetryAfter(Duration::from_millis(1_500))));
        for answer in ["true", "-1", "\"later\"", "{}", "[]", "1e300", "", "sent"] {
            assert!(delivery(answer).is_err(), "{answer}");
        }
    }
}
