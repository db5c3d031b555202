//! A guess whether bytes beyond ASCII are letters of Windows-1252, or of DOS or a Mac. No mark says it, so words are looked at.

/// Numbers of letters that the bytes beyond ASCII of a file may be.
#[derive(Default)]
pub(super) struct Letters {
    /// German letters of Windows-1252 inside words.
    german: bool,
    /// Signs of Windows-1252 where only letters can be: another encoding.
    misplaced: bool,
    /// Letters of Windows-1252 that are as well German ones of DOS or a Mac.
    ambiguous: bool,
}

/// One byte with those beside it.
struct ByteContext {
    before: Option<u8>,
    byte: u8,
    after: Option<u8>,
}

impl Letters {
    /// Looks at a line.
    pub(super) fn add(&mut self, line: &[u8]) {
        for (index, &byte) in line.iter().enumerate().filter(|(_, byte)| !byte.is_ascii()) {
            let before = index.checked_sub(1).map(|before| line[before]);
            let at = ByteContext { before, byte, after: line.get(index + 1).copied() };
            self.german |= at.is_german();
            self.misplaced |= at.is_misplaced();
            self.ambiguous |= at.is_ambiguous();
        }
    }

    /// Returns whether they are letters of Windows-1252. What could be either is taken for them only beside German ones.
    pub(super) fn are_windows_1252(&self) -> bool {
        !self.misplaced && (self.german || !self.ambiguous)
    }
}

impl ByteContext {
    fn follows_letter(&self) -> bool {
        self.before.is_some_and(is_letter)
    }

    fn follows_small_letter(&self) -> bool {
        self.before.is_some_and(|byte| byte.is_ascii_lowercase())
    }

    fn is_before_letter(&self) -> bool {
        self.after.is_some_and(is_letter)
    }

    /// ÄÖÜ äöü ß in a word: with DOS and on a Mac these bytes are signs.
    fn is_german(&self) -> bool {
        matches!(self.byte, 0xc4 | 0xd6 | 0xdc | 0xe4 | 0xf6 | 0xfc | 0xdf)
            && (self.before.is_some_and(|byte| byte.is_ascii_alphabetic())
                || self.after.is_some_and(|byte| byte.is_ascii_alphabetic()))
    }

    fn is_misplaced(&self) -> bool {
        match self.byte {
            // Nothing is assigned: ü and ì of DOS, Å and ç of a Mac.
            0x81 | 0x8d | 0x8f | 0x90 | 0x9d => true,
            // €, † and ™ before a letter: Ä and Ü of a Mac, Ö of DOS.
            0x80 | 0x86 | 0x99 => self.is_before_letter(),
            // Š, Ž and Ÿ after a small letter: ä, é and ü of a Mac.
            0x8a | 0x8e | 0x9f => self.follows_small_letter(),
            // ‚ „ … “ ” and other signs inside a word: é ä à ô ö of DOS, Ç Ñ Ö ì î of a Mac. Apostrophes and dashes are none.
            0x82..=0x85 | 0x87..=0x89 | 0x8b | 0x93..=0x95 | 0x98 | 0x9b => {
                self.follows_letter() && self.is_before_letter()
            }
            // § after a small letter: ß of a Mac.
            0xa7 => self.follows_small_letter(),
            // ¡ to © inside a word: í ó ú ñ of DOS.
            0xa1..=0xa9 => self.follows_letter() && self.is_before_letter(),
            _ => false,
        }
    }

    /// Š š Ž Œ œ ž Ÿ, which are as well letters of DOS (Ü, Ä) or a Mac (ö, ä, é), … before a letter, which is Ö on a Mac, and á after
    /// a vowel, which is ß with DOS.
    fn is_ambiguous(&self) -> bool {
        match self.byte {
            0x8a | 0x8c | 0x8e | 0x9a | 0x9c | 0x9e | 0x9f => self.follows_letter() || self.is_before_letter(),
            0x85 => self.is_before_letter(),
            0xe1 => self.before.is_some_and(|byte| b"aeiouAEIOU".contains(&byte) || !byte.is_ascii()),
            _ => false,
        }
    }
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte >= 0xc0 || matches!(byte, 0x8a | 0x8c | 0x8e | 0x9a | 0x9c | 0x9e | 0x9f)
}

#[cfg(test)]
mod tests {
    use super::super::tables::{CP850, MACINTOSH, WINDOWS_1252};
    use super::*;

    fn encoded(table: &[char; 128], text: &str) -> Vec<u8> {
        let byte = |letter: char| match u8::try_from(letter) {
            Ok(byte) if byte.is_ascii() => byte,
            _ => 0x80 + table.iter().position(|&other| other == letter).unwrap() as u8,
        };
        text.chars().map(byte).collect()
    }

    fn are_windows_1252(line: &[u8]) -> bool {
        let mut letters = Letters::default();
        letters.add(line);
        letters.are_windows_1252()
    }

    #[test]
    fn german_words_of_dos_and_of_a_mac_are_not_taken_for_windows() {
        for word in [
            "Möhring;Jörg",
            "Müller",
            "März",
            "Ärger",
            "Öztürk",
            "Übel",
            "Özdemir",
            "Größe",
            "Groß;Groß",
            "Großmann",
            "Straße",
            "Schäfer",
        ] {
            assert!(!are_windows_1252(&encoded(&CP850, word)), "DOS: {word}");
            assert!(!are_windows_1252(&encoded(&MACINTOSH, word)), "Mac: {word}");
            assert!(are_windows_1252(&encoded(&WINDOWS_1252, word)), "Windows: {word}");
        }
    }

    #[test]
    fn what_windows_programs_write_into_text_is_taken_for_windows() {
        for line in [
            "Šimon;Müller",
            "O’Brien;20 €;„gut“;Übergang Schule–Beruf",
            "Kovács;Sánchez;Gonçalves;Peña;Ångström",
            "§ 24 AufenthG",
            "5 °C … usw.",
            "Café",
            "Weiß; Groß",
        ] {
            assert!(are_windows_1252(&encoded(&WINDOWS_1252, line)), "{line}");
        }
    }

    #[test]
    fn a_name_that_could_be_either_is_asked_about() {
        assert!(!are_windows_1252(&encoded(&WINDOWS_1252, "Šimon")));
        assert!(!are_windows_1252(&encoded(&MACINTOSH, "Möhring")), "it is the same bytes as Mšhring");
    }
}
