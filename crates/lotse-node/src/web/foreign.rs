//! Text that another agency wrote, or anybody else whom nobody here has checked.

use maud::{Markup, html};

/// What is shown in place of a character that would not be seen.
const REPLACEMENT: char = '\u{FFFD}';

/// Shows a foreign text: escaped, apart from the text around it, and without characters that hide or turn other ones around.
pub(super) fn foreign(text: &str) -> Markup {
    html! { bdi { (visible(text)) } }
}

/// Replaces characters that cannot be seen but change what is seen: controls but line breaks, marks of direction, and such
/// of no width.
pub(super) fn visible(text: &str) -> String {
    text.chars().map(|letter| if hides(letter) { REPLACEMENT } else { letter }).collect()
}

fn hides(letter: char) -> bool {
    (letter.is_control() && letter != '\n')
        || matches!(letter,
            '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_text_and_hides_nothing() {
        let shown = foreign("<script>alert('x')</script> & \"Müller\"").into_string();
        assert_eq!(shown, "<bdi>&lt;script&gt;alert('x')&lt;/script&gt; &amp; &quot;Müller&quot;</bdi>");
        assert_eq!(visible("Amt\u{202E}tmA\u{0000}\u{200B}"), "Amt\u{FFFD}tmA\u{FFFD}\u{FFFD}");
        assert_eq!(visible("zwei\nZeilen, ß und Київ"), "zwei\nZeilen, ß und Київ");
    }
}
