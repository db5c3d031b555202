//! Text for people in English and German, one beside the other.

use lotse_core::agreement::words::Language;

/// A sentence in English and, where people read it and not only programs, in German.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    english: String,
    german: Option<String>,
}

impl Wording {
    /// Returns the sentence in a language, in English where there is no German one.
    pub fn text(&self, language: Language) -> &str {
        let german = self.german.as_deref().unwrap_or(&self.english);
        language.choose((german, &self.english))
    }

    /// Returns the sentence after a name that is the same in both languages.
    #[must_use]
    pub fn after(&self, name: &str) -> Wording {
        let named = |text: &String| format!("{name}: {text}");
        Wording { english: named(&self.english), german: self.german.as_ref().map(named) }
    }
}

impl From<&str> for Wording {
    fn from(english: &str) -> Wording {
        Wording { english: english.to_string(), german: None }
    }
}

impl From<String> for Wording {
    fn from(english: String) -> Wording {
        Wording { english, german: None }
    }
}

impl From<&String> for Wording {
    fn from(english: &String) -> Wording {
        english.clone().into()
    }
}

/// Takes German and English, in the order of [`Language::choose`].
impl<G: Into<String>, E: Into<String>> From<(G, E)> for Wording {
    fn from((german, english): (G, E)) -> Wording {
        Wording { english: english.into(), german: Some(german.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_without_german_is_said_in_english() {
        let both = Wording::from(("ist nötig", "is required"));
        assert_eq!(
            [Language::German, Language::English].map(|language| both.text(language)),
            ["ist nötig", "is required"]
        );
        assert_eq!(both.after("Ort").text(Language::German), "Ort: ist nötig");
        let english = Wording::from("is required");
        assert_eq!(english.text(Language::German), "is required");
    }
}
