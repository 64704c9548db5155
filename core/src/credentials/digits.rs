//! Codes of digits, which people type.

use crate::model::secret::{self, Secret};

/// What was typed, if it may be such a code: they are shown with a space in the middle.
pub fn typed<const N: usize>(typed: &Secret) -> Option<[u8; N]> {
    let mut digits = [0; N];
    let mut count = 0;
    // A code with spaces is short; what else was typed is not looked through.
    for byte in typed.expose().bytes().take(2 * N).filter(|byte| *byte != b' ') {
        *digits.get_mut(count).filter(|_| byte.is_ascii_digit())? = byte;
        count += 1;
    }
    (count == N && typed.expose().len() <= 2 * N).then_some(digits)
}

/// The last digits of a number.
pub fn of_number<const N: usize>(mut number: u64) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    digits
}

/// In a time that does not depend on where they differ (V11.2.4).
pub fn is_same<const N: usize>(one: &[u8; N], other: &[u8; N]) -> bool {
    secret::is_same(one, other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aut_10_what_is_typed_is_six_digits_with_spaces() {
        assert_eq!(typed(&" 123 456".into()), Some(*b"123456"));
        for text in ["", "12345", "1234567", "12345a", "１２３４５６", "123-456", "      123456 ", "123456            "]
        {
            assert_eq!(typed::<6>(&text.into()), None, "{text}");
        }
    }

    #[test]
    fn aut_16_a_number_has_all_its_digits() {
        assert_eq!((of_number(7), of_number(1_234_567_890)), (*b"00000007", *b"34567890"));
        assert!(is_same(b"1234", b"1234") && !is_same(b"1234", b"1235"));
    }
}
