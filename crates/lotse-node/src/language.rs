//! In which language somebody reads: from a code, from what a caller accepts, from the environment of a command.

use lotse_core::agreement::words::Language;

/// Reads a language's code.
pub fn parse(code: &str) -> Option<Language> {
    match code {
        "de" => Some(Language::German),
        "en" => Some(Language::English),
        _ => None,
    }
}

/// Reads which of our languages a caller prefers, from its header `accept-language` (RFC 9110, section 12.5.4).
pub fn preferred(accepted: &str) -> Option<Language> {
    let mut best: Option<(f32, Language)> = None;
    for range in accepted.split(',') {
        let (tag, parameter) = range.split_once(';').unwrap_or((range, ""));
        let weight = parameter.trim().strip_prefix("q=").map_or(Some(1.0), |weight| weight.parse::<f32>().ok());
        let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
        let (Some(language), Some(weight)) = (parse(&primary), weight) else { continue };
        if weight > 0.0 && best.is_none_or(|(highest, _)| weight > highest) {
            best = Some((weight, language));
        }
    }
    best.map(|(_, language)| language)
}

/// Returns the language of a command's messages, from its environment: `LC_ALL`, else `LC_MESSAGES`, else `LANG` (POSIX, section 8.2).
pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Language {
    let set = |name: &&str| variable(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(set).unwrap_or_default();
    let primary = locale.split(['_', '.', '@', '-']).next().unwrap_or_default().to_ascii_lowercase();
    parse(&primary).unwrap_or(Language::English)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_that_weighs_most_is_preferred() {
        let cases = [
            ("de-DE,de;q=0.9,en;q=0.8", Some(Language::German)),
            ("en-US,en;q=0.9,de;q=0.8", Some(Language::English)),
            ("fr, de;q=0.2, en;q=0.7", Some(Language::English)),
            ("uk;q=1.0, DE;q=0.1", Some(Language::German)),
            ("de;q=0, en;q=0", None),
            ("fr, *;q=0.5", None),
            ("de;q=much", None),
        ];
        for (accepted, language) in cases {
            assert_eq!(preferred(accepted), language, "{accepted}");
        }
    }

    #[test]
    fn a_command_speaks_the_language_of_its_environment() {
        let of = |set: &[(&str, &str)]| {
            let value = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_string());
            of_environment(value)
        };
        assert_eq!(of(&[("LANG", "de_DE.UTF-8")]), Language::German);
        assert_eq!(of(&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "C.UTF-8")]), Language::English);
        assert_eq!(of(&[("LANG", "en_GB"), ("LC_MESSAGES", "de_AT@euro"), ("LC_ALL", "")]), Language::German);
        assert_eq!(of(&[("LANG", "uk_UA.UTF-8")]), Language::English);
        assert_eq!(of(&[]), Language::English);
    }
}
