//! Secrets that people read and type: letters and digits that are not taken for one another.

use crate::model::secret::Secret;

/// So many letters have 140 bits, more than the 128 that nobody guesses (V11.5.1), in seven groups of four.
pub const UNGUESSABLE: usize = 28;
/// Crockford's base32, in lower case.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A letter for each of these bytes, five bits of it, in groups: `0a1b2-c3d4e`.
pub fn grouped(random: &[u8], group: usize) -> Secret {
    let letter = |byte: &u8| char::from(LETTERS[usize::from(byte % 32)]);
    let groups = random.chunks(group).map(|group| group.iter().map(letter).collect::<String>());
    groups.collect::<Vec<_>>().join("-").into()
}

/// What was typed as the letters that were meant, if it is so many: whatever the case and the groups.
pub fn meant(typed: &Secret, count: usize) -> Option<Secret> {
    let mut letters = String::with_capacity(count);
    for letter in typed.expose().chars().take(2 * count).filter(|letter| !matches!(letter, ' ' | '-')) {
        letters.push(match letter.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            letter if letter.is_ascii() && LETTERS.contains(&(letter as u8)) => letter,
            _ => return None,
        });
    }
    (letters.len() == count && typed.expose().len() <= 2 * count).then(|| letters.into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn aut_2_letters_have_all_their_bits() {
        let random: [u8; 20] = std::array::from_fn(|at| at as u8 * 13);
        assert_eq!(grouped(&random, 5).expose().len(), 23);
        let all: BTreeSet<String> = (0..=255).map(|byte| grouped(&[byte; 20], 5).expose().to_owned()).collect();
        assert_eq!(all.len(), 32);
    }

    #[test]
    fn aut_10_what_is_typed_is_what_was_read() {
        let random: [u8; 24] = std::array::from_fn(|at| at as u8 * 7);
        let written = grouped(&random, 4);
        let plain = written.expose().replace('-', "");
        for typed in [plain.clone(), plain.to_uppercase(), written.expose().replace('-', " "), plain.replace('0', "O")]
        {
            assert_eq!(meant(&typed.as_str().into(), 24).unwrap().expose(), plain, "{typed}");
        }
        for typed in
            ["", &plain[1..], &format!("{plain}0"), &plain.replace('0', "u"), &plain.replace('0', "ö"), &" ".repeat(60)]
        {
            assert!(meant(&typed.into(), 24).is_none(), "{typed}");
        }
    }
}
