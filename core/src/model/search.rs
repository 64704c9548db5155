//! Text search over the columns that a record declares, and what its rows are sorted by: the same answer on every backend.

use super::unicode;

/// The form by which texts are sorted: compatibility-decomposed, without nonspacing marks, in lower case, with one space for white space
/// of any kind and none at the ends. Compared by its bytes.
pub fn sort_key(text: &str) -> String {
    let folded = lower(&unicode::unmarked(text));
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The form that search looks into: compatibility-decomposed, lower case, without any marks, words parted by one space, and a space
/// before the first. Behind the words stand the first two characters from each place within one where another begins.
pub fn fold(text: &str) -> String {
    let lower = lower(&unicode::bare(text));
    let mut folded: String = words(&lower).flat_map(|word| [" ", word]).collect();
    for word in words(&lower) {
        for (at, _) in word.char_indices().skip(1).filter(|(_, letter)| is_word(*letter)) {
            folded.push(' ');
            folded.extend(word[at..].chars().take(2));
        }
    }
    folded
}

/// What the folded text of a row must contain to be found.
///
/// From three characters a term is found anywhere, with fewer only where a word begins (USR-4).
pub fn needles(terms: &str) -> Vec<String> {
    let lower = lower(&unicode::bare(terms));
    words(&lower).map(|word| if word.chars().count() >= 3 { word.to_owned() } else { format!(" {word}") }).collect()
}

/// How many characters there are to look for, folded.
pub fn length(terms: &str) -> usize {
    lower(&unicode::bare(terms)).trim().chars().count()
}

fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// What signs and spaces part.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Whether a letter begins a word wherever it stands: Han and kana, which no spaces part. By blocks, so that later versions of Unicode
/// say the same.
fn is_word(letter: char) -> bool {
    matches!(letter,
        '\u{2E80}'..='\u{2FDF}' // radicals
        | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{3029}' | '\u{3031}'..='\u{303C}'
        | '\u{3041}'..='\u{30FF}' // hiragana, katakana
        | '\u{31F0}'..='\u{31FF}' | '\u{32D0}'..='\u{32FE}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' // ideographs
        | '\u{FF66}'..='\u{FF9F}'
        | '\u{16FE2}'..='\u{16FF6}'
        | '\u{1AFF0}'..='\u{1B16F}' // kana that are rare
        | '\u{1D360}'..='\u{1D371}' // counting rods
        | '\u{20000}'..='\u{3FFFD}' // planes of ideographs alone
    )
}

#[cfg(test)]
mod tests {
    use unicode_script::{Script, UnicodeScript};

    use super::{fold, is_word, needles, sort_key};
    use crate::model::unicode;

    #[test]
    fn folds_case_marks_and_separators() {
        assert_eq!(fold("Lt. Mïchael  O'Neill"), " lt michael o neill");
    }

    #[test]
    fn two_letters_find_word_starts_only() {
        assert_eq!(needles("An michael"), [" an", "michael"]);
    }

    #[test]
    fn each_character_of_han_and_kana_begins_a_word() {
        assert_eq!(fold("山田太郎"), " 山田太郎 田太 太郎 郎");
        assert_eq!(fold("Dr. 山a本 ﾔﾏﾀﾞ"), " dr 山a本 ヤマタ 本 マタ タ");
        assert_eq!(fold("김철수"), format!(" {}", unicode::bare("김철수")));
        let text = fold("山田太郎 Yamada");
        for found in ["山", "田", "郎", "田太", "太郎", "田太郎", "太郎 ya", "ya 太"] {
            assert!(needles(found).iter().all(|needle| text.contains(needle)), "{found}");
        }
        for lost in ["郎太", "山太", "田郎", "am", "郎y", "田太y"] {
            assert!(!needles(lost).iter().all(|needle| text.contains(needle)), "{lost}");
        }
    }

    /// What the tables of scripts say of each letter that a folded text may hold.
    #[test]
    fn words_of_one_character_are_of_han_and_kana() {
        let letters = ('\u{80}'..=char::MAX)
            .filter(|letter| letter.is_alphanumeric() && unicode::is_assigned(&letter.to_string()));
        let mut seen = 0;
        for letter in letters.filter(|letter| unicode::bare(&letter.to_string()) == letter.to_string()) {
            let scripts = letter.script_extension();
            let is_one = !scripts.is_common()
                && [Script::Han, Script::Hiragana, Script::Katakana]
                    .iter()
                    .any(|script| scripts.contains_script(*script));
            assert_eq!(is_word(letter), is_one, "{letter} U+{:04X} {scripts:?}", u32::from(letter));
            seen += usize::from(is_one);
        }
        assert!(seen > 90_000, "{seen}");
    }

    #[test]
    fn sort_keys_are_letters_alone() {
        for (text, key) in [
            ("", ""),
            ("Ähre", "ahre"),
            ("A\u{308}HRE", "ahre"),
            ("ＡＨＲＥ", "ahre"),
            ("ǅ", "dz"),
            ("ﬁ", "fi"),
            ("O'Neill", "o'neill"),
            ("\u{3000}van\u{a0}\t der  Berg ", "van der berg"),
            ("İ", "i"),
            ("Straße", "straße"),
            ("ŁÓDŹ", "łodz"),
            ("ﾔﾏﾀﾞ", "ヤマタ"),
            // What takes room of its own is no accent.
            ("रामा", "रामा"),
            ("कु", "क"),
        ] {
            assert_eq!(sort_key(text), key, "{text}");
        }
    }

    /// Texts that are folded already were so by these tables. Characters that later ones know more of are folded otherwise: then a migration
    /// has to make them anew, as 0039 does.
    #[test]
    fn folded_texts_are_of_these_tables() {
        assert_eq!(unicode_normalization::UNICODE_VERSION, (18, 0, 0));
        assert_eq!(unicode_properties::UNICODE_VERSION, (18, 0, 0));
    }
}
