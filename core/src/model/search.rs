//! Text search over the columns that a record declares: the same answer on every backend.

use super::unicode;

/// The form that search compares: compatibility-decomposed, lower case, without marks, words
/// parted by one space, and a space before the first.
pub fn fold(text: &str) -> String {
    let lower: String = unicode::bare(text).chars().flat_map(char::to_lowercase).collect();
    let words = lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.flat_map(|word| [" ", word]).collect()
}

/// What the folded text of a row must contain to be found.
///
/// From three characters a term is found anywhere, with two only at the start of a word (USR-4).
pub fn needles(terms: &str) -> Vec<String> {
    let folded = fold(terms);
    let words = folded.split(' ').filter(|word| !word.is_empty());
    words.map(|word| if word.chars().count() >= 3 { word.to_owned() } else { format!(" {word}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::{fold, needles};

    #[test]
    fn folds_case_marks_and_separators() {
        assert_eq!(fold("Lt. Mïchael  O'Neill"), " lt michael o neill");
    }

    #[test]
    fn two_letters_find_word_starts_only() {
        assert_eq!(needles("An michael"), [" an", "michael"]);
    }
}
