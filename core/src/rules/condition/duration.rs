//! Durations as conditions write them: `90s`, `1h30m`, `7d`.

const UNITS: &[(&str, i64)] = &[
    ("w", 604_800_000_000),
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// 10,000 years: with times in the years 1 to 9999, sums stay far from overflow.
pub(crate) const LIMIT: i64 = 10_000 * 366 * 86_400_000_000;

/// Whether it is short enough to reckon with.
pub(in crate::rules) fn is_in_range(micros: i64) -> bool {
    (-LIMIT..=LIMIT).contains(&micros)
}

/// Microseconds; none for what is no duration, or a longer one than 10,000 years.
pub(in crate::rules) fn parse(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total = 0_i64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = UNITS.iter().find(|(name, _)| *name == &rest[..letters])?.1;
        total = total.checked_add(count.checked_mul(unit)?)?;
        rest = &rest[letters..];
    }
    (!text.is_empty() && is_in_range(total)).then_some(total)
}

/// The way back.
pub(in crate::rules) fn write(micros: i64) -> String {
    if micros == 0 {
        return "0s".to_owned();
    }
    let mut rest = micros.unsigned_abs();
    let mut out = String::from(if micros < 0 { "-" } else { "" });
    for (name, unit) in UNITS {
        let count = rest / unit.unsigned_abs();
        if count > 0 {
            out.push_str(&format!("{count}{name}"));
            rest %= unit.unsigned_abs();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{parse, write};

    #[test]
    fn there_and_back() {
        for text in ["90s", "1h30m", "7d", "3w2d", "5ms", "1us"] {
            let micros = parse(text);
            assert!(micros.is_some());
            assert_eq!(micros.and_then(|micros| parse(&write(micros))), micros);
        }
        assert_eq!(parse("1h30m"), Some(5_400_000_000));
        for wrong in ["", "5", "h", "5y", "-5s", "9999999999999w", "5 s", "1h30"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
