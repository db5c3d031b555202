//! The first bytes of a file show what it is not: a workbook, a document, an archive, another kind of text.

use std::io::{self, Read};

use crate::wording::Wording;

/// Bytes that are looked at.
const HEAD_BYTES: u64 = 64 * 1024;

/// Reads the first bytes of a file and returns what it is, if it is no text with lines.
pub(super) fn find_obstacle(file: impl Read) -> io::Result<Option<Wording>> {
    let mut head = Vec::new();
    file.take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(obstacle(&head))
}

fn obstacle(head: &[u8]) -> Option<Wording> {
    let begins = |with: &[u8]| head.starts_with(with);
    let contains = |text: &[u8]| head.windows(text.len()).any(|window| window == text);
    if begins(b"PK\x03\x04") {
        return Some(match () {
            () if contains(b"opendocument.spreadsheet") => is_table("eine ODS-Tabelle", "an ODS table"),
            () if contains(b"xl/") || contains(b"[Content_Types].xml") => {
                is_table("eine Excel-Arbeitsmappe", "an Excel workbook")
            }
            () => is_other("ein ZIP-Archiv", "a ZIP archive"),
        });
    }
    match () {
        () if begins(b"\xd0\xcf\x11\xe0") => {
            Some(is_table("eine alte Excel-Arbeitsmappe (XLS)", "an old Excel workbook (XLS)"))
        }
        () if begins(b"%PDF") => Some(is_other("ein PDF", "a PDF")),
        () if begins(b"\x1f\x8b") => Some(is_other("eine gepackte Datei (gzip)", "a compressed file (gzip)")),
        () if begins(b"{\\rtf") => Some(is_other("ein RTF-Dokument", "an RTF document")),
        () if begins_as_markup(head) => Some(is_table("eine HTML- oder XML-Datei", "an HTML or XML file")),
        () if begins(b"\xff\xfe") || begins(b"\xfe\xff") || is_utf16_without_mark(head) => Some(is_utf16()),
        () if has_lines_ended_by_cr(head) => Some(has_cr()),
        () => None,
    }
}

fn is_table(german: &str, english: &str) -> Wording {
    let german = format!("die Datei ist {german}: als CSV speichern (in Excel: \"CSV UTF-8\")");
    (german, format!("the file is {english}: save it as CSV (in Excel: \"CSV UTF-8\")")).into()
}

fn is_other(german: &str, english: &str) -> Wording {
    let german = format!("die Datei ist {german}: eine CSV- oder NDJSON-Datei angeben");
    (german, format!("the file is {english}: give a CSV or NDJSON file")).into()
}

fn is_utf16() -> Wording {
    let german = "die Datei ist UTF-16: als UTF-8 speichern (in Excel: \"CSV UTF-8\")";
    (german, "the file is UTF-16: save it as UTF-8 (in Excel: \"CSV UTF-8\")").into()
}

fn has_cr() -> Wording {
    let german = "die Zeilen enden mit CR wie auf alten Macs: neu speichern (in Excel: \"CSV UTF-8\", nicht \"CSV (Macintosh)\")";
    let english =
        "line ends are CR, as on old Macs: save the file anew (in Excel: \"CSV UTF-8\", not \"CSV (Macintosh)\")";
    (german, english).into()
}

fn begins_as_markup(head: &[u8]) -> bool {
    let text =
        String::from_utf8_lossy(&head[..head.len().min(64)]).trim_start_matches('\u{feff}').trim_start().to_lowercase();
    ["<?xml", "<html", "<!doctype", "<table", "<meta"].iter().any(|begin| text.starts_with(begin))
}

/// Returns whether nearly every second byte is 0, as of German or English text in UTF-16.
fn is_utf16_without_mark(head: &[u8]) -> bool {
    let zeros = |from: usize| head.iter().skip(from).step_by(2).filter(|&&byte| byte == 0).count();
    head.len() >= 8 && zeros(0).max(zeros(1)) * 5 >= head.len() * 2
}

fn has_lines_ended_by_cr(head: &[u8]) -> bool {
    let inner = head.split_last().map_or(head, |(_, inner)| inner);
    inner.contains(&b'\r') && !head.contains(&b'\n')
}

#[cfg(test)]
mod tests {
    use lotse_core::agreement::words::Language;

    use super::*;

    fn said(head: &[u8]) -> String {
        obstacle(head).map(|wording| wording.text(Language::English).to_string()).unwrap_or_default()
    }

    #[test]
    fn what_is_no_text_with_lines_is_called_by_its_name() {
        let workbook = b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00\x00\x00[Content_Types].xml \xa2\x04";
        let ods = b"PK\x03\x04\x14\x00\x00\x08\x00\x00mimetypeapplication/vnd.oasis.opendocument.spreadsheetPK";
        let utf16: Vec<u8> = "Aktenzeichen;Müller".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let utf16_big: Vec<u8> = "Aktenzeichen;Müller".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for (head, says) in [
            (workbook.as_slice(), "the file is an Excel workbook: save it as CSV"),
            (ods, "the file is an ODS table: save it as CSV"),
            (b"PK\x03\x04\x14\x00photo.jpg", "the file is a ZIP archive"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "the file is an old Excel workbook"),
            (b"%PDF-1.7\n", "the file is a PDF"),
            (b"<html><table>", "the file is an HTML or XML file"),
            (b"\xef\xbb\xbf<?xml version", "the file is an HTML or XML file"),
            (b"\xff\xfeA\0k\0", "the file is UTF-16"),
            (&utf16, "the file is UTF-16"),
            (&utf16_big, "the file is UTF-16"),
            (b"Ort;PLZ\rHanau;63450\r", "line ends are CR"),
        ] {
            assert!(said(head).starts_with(says), "{says}: {}", said(head));
        }
        for text in
            ["Ort;PLZ\r\nHanau;63450\r\n", "Ort;PLZ\n\"Ha\rnau\";1\n", "Ort;PLZ\r", "{\"a\":1}", "", "\u{feff}Ort;PLZ"]
        {
            assert_eq!(said(text.as_bytes()), "", "{text:?}");
        }
    }
}
