//! The columns of CSV files as a document, written from the tables by which they are read.

use lotse_node::record_file::{CONSENT, Column, REFERRAL};

const HEAD: &str = "# CSV files

What `lotse consent import` and `lotse referral send` read. The README says how (\"Files\"). Written from the code: do not edit.

The first line has the headings, German or English, in any order; those that are not needed are left out. Case, umlauts (`Straße`,
`Strasse`) and the kind of separator (`_`, space, `-`) make no difference. `#` stands for the number of an item, from 1:
`Arbeit_1_Beruf`, `Arbeit_2_Beruf`. Codes are given by their English or German word. An empty cell is not given.
";

/// Writes the document.
pub fn render() -> String {
    let mut text = HEAD.to_string();
    section(&mut text, "Consents", CONSENT);
    section(&mut text, "Referrals", REFERRAL);
    text
}

fn section(text: &mut String, title: &str, columns: &[Column]) {
    text.push_str(&format!(
        "\n## {title}\n\n| German | English | field | what stands in a cell |\n| --- | --- | --- | --- |\n"
    ));
    for column in columns {
        let (german, english, path) = (column.german, column.english, column.path);
        text.push_str(&format!("| `{german}` | `{english}` | `{path}` | {} |\n", column.allowed()));
    }
}
