//! The form in which names are compared. `key` in `data/places/build_places.py` does the same.

use std::sync::OnceLock;

/// ASCII spellings and the Latin letters that are compared as them.
static LATIN: &str = include_str!("../../assets/latin.txt");

/// The two blocks that the accented Latin letters live in: U+00C0 to U+0250 and U+1E00 to U+1F00.
const LOW: (u32, u32) = (0xC0, 0x250);
const HIGH: (u32, u32) = (0x1E00, 0x1F00);

type Table = Vec<&'static str>;

fn slot(letter: char) -> Option<usize> {
    let code = u32::from(letter);
    let low = LOW.1 - LOW.0;
    match code {
        _ if (LOW.0..LOW.1).contains(&code) => Some((code - LOW.0) as usize),
        _ if (HIGH.0..HIGH.1).contains(&code) => Some((code - HIGH.0 + low) as usize),
        _ => None,
    }
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = vec![""; (LOW.1 - LOW.0 + HIGH.1 - HIGH.0) as usize];
        for (ascii, letters) in LATIN.lines().filter_map(|line| line.split_once(' ')) {
            for index in letters.chars().filter_map(slot) {
                table[index] = ascii;
            }
        }
        table
    })
}

/// Whether a character is left out, as in Xi'an.
fn is_silent(c: char) -> bool {
    matches!(c, '\'' | '’' | '‘' | '`' | '´' | 'ʹ' | 'ʺ' | 'ʻ' | 'ʼ' | 'ʽ' | 'ʾ' | 'ʿ' | 'ˈ' | '\u{300}'..='\u{36f}')
}

/// Lower case without accents, single spaces for punctuation, `st` as `saint` and the like, initials joined.
pub(super) fn key(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    push_key(&mut out, name);
    out
}

/// Appends [`key`] of a name.
pub(super) fn push_key(out: &mut String, name: &str) {
    let begin = out.len();
    // Where the current word starts, if in one; and whether the word before it is one or more initials.
    let mut word: Option<usize> = None;
    let mut initials = false;
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            start_word(out, &mut word, begin);
            out.push(c.to_ascii_lowercase());
        } else if is_silent(c) {
        } else if let Some(ascii) = slot(c).map(|index| table()[index]).filter(|ascii| !ascii.is_empty()) {
            start_word(out, &mut word, begin);
            out.push_str(ascii);
        } else if c.is_alphanumeric() {
            start_word(out, &mut word, begin);
            out.extend(c.to_lowercase());
        } else {
            end_word(out, &mut word, &mut initials, begin);
        }
    }
    end_word(out, &mut word, &mut initials, begin);
}

fn start_word(out: &mut String, word: &mut Option<usize>, begin: usize) {
    if word.is_none() {
        if out.len() > begin {
            out.push(' ');
        }
        *word = Some(out.len());
    }
}

fn end_word(out: &mut String, word: &mut Option<usize>, initials: &mut bool, begin: usize) {
    let Some(start) = word.take() else { return };
    let full = match &out[start..] {
        "st" => "saint",
        "ste" => "sainte",
        "mt" => "mount",
        "ft" => "fort",
        _ => "",
    };
    if !full.is_empty() {
        out.truncate(start);
        out.push_str(full);
    }
    let single = out.len() == start + 1 && out.as_bytes()[start].is_ascii_lowercase();
    if single && *initials && start > begin {
        out.remove(start - 1);
    }
    *initials = single;
}

/// A count with commas between thousands.
pub(super) fn thousands(count: u32) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for (name, expected) in [
            ("São Paulo", "sao paulo"),
            ("  são   PAULO ", "sao paulo"),
            ("Sa\u{303}o Paulo", "sao paulo"),
            ("St. Louis", "saint louis"),
            ("Saint-Louis", "saint louis"),
            ("Washington, D.C.", "washington dc"),
            ("U.S.A.", "usa"),
            ("Xi’an", "xian"),
            ("Łódź", "lodz"),
            ("Straße", "strasse"),
            ("Ðà Lạt", "da lat"),
            ("İzmir", "izmir"),
            ("東京", "東京"),
            ("A Coruña", "a coruna"),
            ("B'b C", "bb c"),
            ("", ""),
            (" .,- ", ""),
        ] {
            assert_eq!(key(name), expected, "{name}");
        }
    }

    #[test]
    fn a_key_is_its_own_key() {
        for name in ["Ste. Marie a b c", "mt ft st", "É É É", "ǅ 12 x y"] {
            assert_eq!(key(&key(name)), key(name));
        }
    }

    #[test]
    fn counts_have_commas() {
        assert_eq!(
            ["0", "999", "1,000", "12,345,678"],
            [0, 999, 1000, 12_345_678].map(thousands).each_ref().map(String::as_str)
        );
    }
}
