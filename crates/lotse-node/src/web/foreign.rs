//! Text that another agency wrote, on a page.

use maud::{Markup, html};

use crate::foreign::visible;

/// Shows a foreign text: escaped, apart from the text around it, and without characters that hide or turn other ones around.
pub(super) fn foreign(text: &str) -> Markup {
    html! { bdi { (visible(text)) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_text_and_hides_nothing() {
        let shown = foreign("<script>alert('x')</script> & \"Müller\"\u{202E}").into_string();
        assert_eq!(shown, "<bdi>&lt;script&gt;alert('x')&lt;/script&gt; &amp; &quot;Müller&quot;\u{FFFD}</bdi>");
    }
}
