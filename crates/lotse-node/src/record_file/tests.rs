//! Files as agencies write them.

use std::collections::HashSet;

use lotse_proto::agency::v1::ReferralHandover;
use lotse_proto::record::v1::{self as record, Consent};

use super::word::fold;
use super::*;

fn read<M: Record>(
    columns: &'static [Column],
    format: Format,
    file: &[u8],
) -> anyhow::Result<Vec<(u64, Result<M, String>)>> {
    read_in(columns, format, file, Language::English)
}

fn read_in<M: Record>(
    columns: &'static [Column],
    format: Format,
    file: &[u8],
    language: Language,
) -> anyhow::Result<Vec<(u64, Result<M, String>)>> {
    let encoding = Survey::of(file)?.encoding.unwrap();
    let mut reader: Reader<M, _> = Reader::new(file, columns, format, encoding, language)?;
    let mut lines = Vec::new();
    while let Some(line) = reader.next_line()? {
        let told = |wrong: Vec<Malformed>| wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
        lines.push((line.number, line.content.map_err(told)));
    }
    Ok(lines)
}

fn referrals(file: &[u8]) -> anyhow::Result<Vec<(u64, Result<ReferralHandover, String>)>> {
    read(REFERRAL, Format::Csv, file)
}

/// Reads a file of one referral under these headings.
fn one(headings: &str, cells: &str) -> Result<record::Referral, String> {
    let mut lines = referrals(format!("{headings}\n{cells}\n").as_bytes()).map_err(|error| error.to_string())?;
    assert_eq!(lines.len(), 1);
    lines.remove(0).1.map(|handover| handover.referral.unwrap())
}

const NAMES: &str =
    "Schlüssel;Familienname;Vornamen;Geburtsdatum;Straße\nk-1;Müßiggänger;Jörg;01.04.1990;\"Hanauer Weg 1; Hof\"\n";

fn assert_names(lines: Vec<(u64, Result<ReferralHandover, String>)>) {
    let [(2, Ok(handover))] = &lines[..] else { panic!("{lines:?}") };
    let referral = handover.referral.as_ref().unwrap();
    let identity = referral.identity.as_ref().unwrap();
    assert_eq!((identity.family_name.as_str(), identity.given_names.as_str()), ("Müßiggänger", "Jörg"));
    assert_eq!(identity.birth_date, "1990-04-01");
    assert_eq!(referral.contact.as_ref().unwrap().street, "Hanauer Weg 1; Hof");
    assert_eq!(handover.idempotency_key, "k-1");
}

#[test]
fn german_headings_umlauts_and_quoted_separators_are_read_in_every_encoding() {
    assert_names(referrals(NAMES.as_bytes()).unwrap());
    assert_names(referrals(format!("\u{feff}{NAMES}").as_bytes()).unwrap());
    assert_names(referrals(NAMES.replace('\n', "\r\n").as_bytes()).unwrap());
    let windows: Vec<u8> = NAMES.chars().map(|letter| letter as u8).collect();
    assert_eq!(Survey::of(&windows[..]).unwrap(), Survey { lines: 2, encoding: Some(Encoding::Windows1252) });
    assert_names(referrals(&windows).unwrap());
    let english = NAMES.replace(
        "Schlüssel;Familienname;Vornamen;Geburtsdatum;Straße",
        "IDEMPOTENCY_KEY;family_name;given names;Birth-Date;Strasse",
    );
    assert_names(referrals(english.as_bytes()).unwrap());
}

#[test]
fn a_damaged_line_in_a_utf8_file_is_refused_and_not_misread() {
    let mut file = NAMES.as_bytes().to_vec();
    file.extend_from_slice(b"k-2;M\xfcller;A;01.04.1990;\n");
    let lines = referrals(&file).unwrap();
    assert!(lines[0].1.is_ok());
    assert!(lines[1].1.as_ref().unwrap_err().contains("not UTF-8"));
    let euro = Encoding::Windows1252.decode(b"5 \x80 \x84\xdf\x93".to_vec()).unwrap();
    assert_eq!(euro, "5 € „ß“");
    assert!(Encoding::Windows1252.decode(vec![0x81]).is_err());
}

#[test]
fn every_kind_of_cell_is_read() {
    let referral = one(
        "Art;Zweck;Gewünschte_Leistungen;Geschlecht;Sprachen;Dolmetscher_nötig;Haushalt_Kinder;Arbeit_2_Beruf;Arbeit_1_Beruf;Notiz",
        "Erstorientierung Geflüchtete;orientation;Sprachkurs, Erstorientierung;w;uk:native, de:A2,en;ja;2;Köchin;Ärztin;\"Zeile 1\nZeile 2, \"\"gut\"\"\"",
    )
    .unwrap();
    assert_eq!(referral.r#type(), record::ReferralType::OrientationRefugee);
    assert_eq!(referral.purpose(), record::Purpose::Orientation);
    let services: Vec<_> = referral.requested_services().collect();
    assert_eq!(services, [record::RequestedService::LanguageCourse, record::RequestedService::Orientation]);
    assert_eq!(referral.identity.unwrap().sex(), record::Sex::Female);
    let languages = referral.languages.unwrap();
    let levels: Vec<_> = languages.items.iter().map(|item| (item.tag.as_str(), item.level)).collect();
    assert_eq!(levels, [("uk", 7), ("de", 2), ("en", 0)]);
    assert!(languages.interpreter_needed);
    assert_eq!(referral.household.unwrap().children, 2);
    let jobs: Vec<_> = referral.work_history.unwrap().items.into_iter().map(|item| item.occupation).collect();
    assert_eq!(jobs, ["Ärztin", "Köchin"]);
    assert_eq!(referral.note.unwrap().text, "Zeile 1\nZeile 2, \"gut\"");
    assert!(referral.contact.is_none() && referral.health.is_none(), "a section without cells is absent");
}

#[test]
fn what_is_wrong_is_told_with_column_and_what_is_allowed_and_without_the_value() {
    let wrong = one("Schlüssel;Geburtsdatum;Dringlichkeit", "k;31.02.1990;Schulze").unwrap_err();
    assert!(wrong.contains("Geburtsdatum: write a day that exists as 01.04.1990 or 1990-04-01"), "{wrong}");
    assert!(
        wrong.contains("Dringlichkeit: unknown code; there are routine (normal), soon (bald), urgent (eilig)"),
        "{wrong}"
    );
    assert!(!wrong.contains("Schulze") && !wrong.contains("31.02"), "{wrong}");
    for (heading, cell) in [
        ("Geburtsdatum", "1.4.90"),
        ("Geburtsdatum", "19900401"),
        ("Haushalt_Kinder", "-1"),
        ("Haushalt_Kinder", "zwei"),
        ("Alleinerziehend", "vielleicht"),
        ("Sprachen", "de:sehr gut"),
        ("Gewünschte_Leistungen", "Sprachkurs,Tanzkurs"),
        ("Zustellen_bis", "morgen"),
    ] {
        let wrong = one(&format!("Schlüssel;{heading}"), &format!("k;{cell}")).unwrap_err();
        assert!(wrong.starts_with(&format!("{heading}: ")), "{wrong}");
    }
    let wrong = one("Schlüssel;Zustellen_bis", "k;31.12.9999").unwrap_err();
    assert!(wrong.starts_with("Zustellen_bis: 31.12.9999 means that there is no end: leave the cell empty"), "{wrong}");
}

#[test]
fn headings_that_are_unknown_or_mean_the_same_are_refused() {
    let refused = |headings: &str| referrals(format!("{headings}\na;b\n").as_bytes()).unwrap_err().to_string();
    assert_eq!(
        refused("Schlüssel;Geburtsdatm"),
        "line 1: column 2: the heading is unknown; did you mean Geburtsdatum (birth_date)?"
    );
    for cell in ["Özdemir-Großmann", "Max"] {
        let told = refused(&format!("Schlüssel;{cell}"));
        assert!(told.starts_with("line 1: column 2: the heading is unknown; "), "{told}");
        assert!(!told.contains(cell), "what may be a person's cell is not repeated: {told}");
    }
    assert!(refused("Schlüssel;Özdemir-Großmann").contains("names the columns, which are Schlüssel, "));
    assert!(refused("Schlüssel;Name").contains("did you mean Familienname (family_name)?"));
    assert_eq!(
        refused("Schlüssel;idempotency_key"),
        "line 1: columns `Schlüssel` and `idempotency_key` mean the same: keep one"
    );
    assert!(refused("Schlüssel;Arbeit_51_Beruf").contains("from 1 to 50"));
    assert!(refused("Schlüssel,Familienname").contains("put `;` between columns"));
    assert!(referrals(b"").unwrap_err().to_string().contains("no line of headings"));
}

#[test]
fn a_forgotten_quotation_mark_swallows_no_other_line() {
    let file =
        "Schlüssel;Ort\nk-1;\"Hanau\nk-2;Hanau\nk-3;Hanau;x\nk-4;\"Ha\"nau\nk-5;Bruch\nk-6\n\n;;\nk-7;\"Ha\n\nnau\"\n";
    let lines = referrals(file.as_bytes()).unwrap();
    let told: Vec<_> =
        lines.iter().map(|(number, content)| (*number, content.as_ref().err().map(String::as_str))).collect();
    let narrow = "has 3 cells for 2 headings; put \"…\" around cells with `;`";
    let short = "has 1 cells for 2 headings; put \"…\" around cells with `;`";
    let inner = "column 2: a quotation mark inside a cell is written twice";
    assert_eq!(told[0].0, 2);
    assert!(told[0].1.is_some());
    assert_eq!(told[1..], [(3, None), (4, Some(narrow)), (5, Some(inner)), (6, None), (7, Some(short)), (10, None)]);
    let last = lines.last().unwrap().1.as_ref().unwrap();
    assert_eq!(last.referral.as_ref().unwrap().contact.as_ref().unwrap().city, "Ha\n\nnau");
}

#[test]
fn days_of_a_consent_begin_and_end_in_germany() {
    let file = "Einwilligung;Erteilt am;Gültig bis;Zwecke;Hinweis_Zweck\nc-1;01.07.2026;31.12.2026;Erstorientierung;ja\nc-2;1.7.2026 10:30;2026-12-31T12:00:00Z;;\n";
    let lines = read::<Consent>(CONSENT, Format::Csv, file.as_bytes()).unwrap();
    let times = |line: usize| {
        let consent = lines[line].1.clone().unwrap();
        [consent.given_at, consent.expires_at].map(|at| crate::wire::time::parse(&at.unwrap()).unwrap().to_string())
    };
    assert_eq!(times(0), ["2026-06-30T22:00:00Z", "2026-12-31T23:00:00Z"]);
    assert_eq!(times(1), ["2026-07-01T08:30:00Z", "2026-12-31T12:00:00Z"]);
    let consent = lines[0].1.clone().unwrap();
    assert!(consent.notices.unwrap().purpose);
    assert_eq!(consent.purposes, [1]);
}

#[test]
fn ndjson_is_refused_with_field_and_without_the_value() {
    let file = concat!(
        r#"{"idempotencyKey":"k-1","referral":{"identity":{"familyName":"Öztürk"}}}"#,
        "\n\n",
        r#"{"idempotencyKey":"k-2","referral":{"identity":{"familyNam":"Geheim"}}}"#,
        "\n",
        r#"{"idempotencyKey":"k-3","referral":{"household":{"adults":"Geheim"}}}"#,
        "\n",
        r#"{"idempotencyKey":"k-4","referral":{"urgency":"URGENCY_SOMETIME"}}"#,
        "\n{\"idempotencyKey\"\n[{}]\nAkte-1;Geheim\n",
    );
    let lines = read::<ReferralHandover>(REFERRAL, Format::Ndjson, format!("\u{feff}{file}").as_bytes()).unwrap();
    assert_eq!(lines.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 3, 4, 5, 6, 7, 8]);
    assert!(lines[0].1.is_ok());
    let wrong: Vec<&String> = lines[1..].iter().map(|(_, content)| content.as_ref().unwrap_err()).collect();
    assert!(wrong[0].starts_with("referral.identity") && wrong[0].contains("`familyNam`"), "{}", wrong[0]);
    assert_eq!(wrong[1], "referral.household.adults: write a whole number from 0 on");
    assert!(wrong[2].starts_with("referral.urgency: ") && wrong[2].contains("URGENCY_SOON"), "{}", wrong[2]);
    assert!(wrong[3].contains("does not end on its line"), "{}", wrong[3]);
    assert!(wrong[4].contains("is a JSON array"), "{}", wrong[4]);
    assert!(wrong[5].contains("is it a table? (--format csv)"), "{}", wrong[5]);
    assert!(wrong.iter().all(|wrong| !wrong.contains("Geheim")), "{wrong:?}");
}

#[test]
fn every_column_leads_to_a_field_and_no_heading_means_two() {
    fn check<M: Record>(columns: &'static [Column]) {
        let mut seen = HashSet::new();
        for column in columns {
            let names = [column.english, column.german].into_iter().chain(column.synonyms.iter().copied());
            for name in names.map(fold).collect::<HashSet<_>>() {
                assert!(seen.insert(name), "{}", column.english);
            }
            let cell = ["1990-04-01", "1", "ja"].into_iter().find(|cell| cell::read(column.kind, cell).is_ok());
            let code = match column.kind {
                column::Kind::Code(list) | column::Kind::Codes(list) => {
                    list.allowed().split(' ').next().map(str::to_string)
                }
                _ => None,
            };
            let cell = code.or(cell.map(str::to_string)).unwrap();
            let names = [column.english.replace('#', "1"), String::new()];
            let headings = Headings::read(columns, &names).unwrap();
            let value = headings.message(&[cell, String::new()]).unwrap();
            let message: M = json::from_value(value).unwrap_or_else(|wrong| panic!("{}: {wrong:?}", column.english));
            assert!(message.encoded_len() > 0, "{} has no effect", column.english);
            let written = cells_of(columns, &serde_json::to_value(&message).unwrap());
            let names: Vec<String> = written.iter().map(|(name, _)| name.clone()).collect();
            let cells: Vec<String> = written.into_iter().map(|(_, cell)| cell).collect();
            let again = Headings::read(columns, &names).unwrap().message(&cells).unwrap();
            let again: M = json::from_value(again).unwrap();
            assert_eq!(again.encode_to_vec(), message.encode_to_vec(), "{}", column.english);
        }
    }
    check::<Consent>(CONSENT);
    check::<ReferralHandover>(REFERRAL);
}

#[test]
fn cells_that_look_like_formulas_are_disarmed_and_telephone_numbers_are_not() {
    assert_eq!(
        write_row(["=1+1".into(), "+49 6181 1".into(), "-x;".into(), "a".into()]),
        "'=1+1;+49 6181 1;\"'-x;\";a"
    );
}

#[test]
fn a_line_without_end_is_refused_in_constant_memory() {
    let mut file = b"{\"a\":".to_vec();
    file.resize(3 * lines::MAX_LINE_BYTES, b' ');
    file.extend_from_slice(b"\n{}\n");
    let lines = read::<ReferralHandover>(REFERRAL, Format::Ndjson, &file).unwrap();
    assert!(lines[0].1.as_ref().unwrap_err().contains("longer than"));
    assert!(lines[1].1.is_ok() && lines.len() == 2);
}

#[test]
fn each_field_that_a_column_fills_is_found_by_its_name_in_the_protocol() {
    for columns in [CONSENT, REFERRAL] {
        for column in columns {
            let name = |letter: char| match letter.is_ascii_uppercase() {
                true => format!("_{}", letter.to_ascii_lowercase()),
                false => letter.to_string(),
            };
            let field: String = column.path.replace(".#", "").chars().map(name).collect();
            assert_eq!(column::of_field(columns, &field).map(|found| found.path), Some(column.path), "{field}");
        }
    }
    let found = |columns, field| column::of_field(columns, field).map(|column| column.german);
    assert_eq!(found(CONSENT, "consent.recipients[1]"), Some("Empfänger"));
    assert_eq!(found(REFERRAL, "referral.languages.items.tag"), Some("Sprachen"));
    assert_eq!(found(REFERRAL, "referral.education.items[0].title"), Some("Bildung_#_Abschluss"));
    assert_eq!(found(REFERRAL, "referral.note"), Some("Notiz"));
    assert_eq!(found(REFERRAL, "referral"), None);

    let reader = |text: &'static str, format| {
        Reader::<ReferralHandover, _>::new(text.as_bytes(), REFERRAL, format, Encoding::Utf8, Language::English)
            .unwrap()
    };
    let table = reader("Schlüssel;birth_date;Arbeit_1_Land;Arbeit_2_Land\n", Format::Csv);
    assert_eq!(table.name_of("referral.identity.birth_date").as_deref(), Some("birth_date"), "as the file has it");
    assert_eq!(table.name_of("referral.identity.family_name").as_deref(), Some("Familienname"), "it is missing");
    assert_eq!(table.name_of("referral.work_history.items.country").as_deref(), Some("Arbeit_#_Land"));
    assert_eq!(table.name_of("referral.requested_services[2]").as_deref(), Some("Gewünschte_Leistungen, value 3"));
    assert_eq!(table.name_of("referral.identity.partial_birth_date").as_deref(), Some("birth_date"));
    assert_eq!(reader("{}", Format::Ndjson).name_of("referral.identity.birth_date"), None);
}

#[test]
fn the_same_line_in_two_unicode_forms_is_the_same_message() {
    let headings = "Aktenzeichen;Familienname;Notiz;Fähigkeiten";
    let decomposed = "Ka\u{308}se-1;Jo\u{308}rg;Gro\u{308}ße\u{301};Ko\u{308}chin,Ba\u{308}cker";
    let one = |headings: &str, cells: &str| referrals(format!("{headings}\n{cells}\n").as_bytes()).unwrap().remove(0).1;
    let composed = one(headings, "Käse-1;Jörg;Größ\u{e9};Köchin,Bäcker").unwrap();
    assert_eq!(one(headings, decomposed).unwrap(), composed);
    assert_eq!(one("Aktenzeichen;Familienname;Notiz;Fa\u{308}higkeiten", decomposed).unwrap(), composed);
    let json = |name: &str| {
        let line = format!(r#"{{"subjectReference":"{name}","referral":{{"identity":{{"familyName":"{name}"}}}}}}"#);
        read::<ReferralHandover>(REFERRAL, Format::Ndjson, line.as_bytes()).unwrap().remove(0).1.unwrap()
    };
    assert_eq!(json("Jo\u{308}rg"), json("Jörg"));
    assert_eq!(json(r"Jo\u0308rg"), json("Jörg"), "also where JSON writes the letter by its number");
}

#[test]
fn dos_and_mac_letters_are_read_where_they_are_named_and_else_not_guessed() {
    let read_as = |encoding: Encoding, bytes: &[u8]| {
        let file = [b"Ort;Familienname\nHanau;".as_slice(), bytes, b"\n"].concat();
        let mut reader =
            Reader::<ReferralHandover, _>::new(&file[..], REFERRAL, Format::Csv, encoding, Language::English).unwrap();
        let line = reader.next_line().unwrap().unwrap().content.unwrap();
        (Survey::of(&file[..]).unwrap().encoding, line.referral.unwrap().identity.unwrap().family_name)
    };
    assert_eq!(read_as(Encoding::Cp850, b"M\x94hring"), (None, "Möhring".to_string()));
    assert_eq!(read_as(Encoding::Macintosh, b"M\x9ahring"), (None, "Möhring".to_string()));
    assert_eq!(read_as(Encoding::Windows1252, b"M\xf6hring"), (Some(Encoding::Windows1252), "Möhring".to_string()));
}

#[test]
fn a_line_that_names_the_separator_and_any_number_of_marks_are_skipped() {
    for begin in ["sep=;\n", "\u{feff}sep=;\r\n", "\u{feff}\u{feff}", "\"sep=;\"\n", "\u{feff}SEP=;\n\u{feff}"] {
        let lines = referrals(format!("{begin}Schlüssel;Ort\n\u{feff}k-1;Hanau\n").as_bytes()).unwrap();
        let handover = lines[0].1.as_ref().unwrap();
        assert_eq!((lines.len(), handover.idempotency_key.as_str()), (1, "k-1"), "{begin:?}");
    }
    let refused = referrals(b"sep=,\nSchluessel,Ort\n").unwrap_err().to_string();
    assert_eq!(refused, "line 1: names another separator than `;`: save the file with `;` between columns");
}

#[test]
fn usual_headings_are_known() {
    let referral = one(
        "Nachname;Vorname;Geb.-Datum;Tel.;Postleitzahl;E-Mail-Adresse;Aktenzeichen",
        "Öztürk;Ayşe;01.04.1990;06181 1234;63450;a@b.example;Akte-1",
    )
    .unwrap();
    let (identity, contact) = (referral.identity.unwrap(), referral.contact.unwrap());
    assert_eq!((identity.family_name.as_str(), identity.birth_date.as_str()), ("Öztürk", "1990-04-01"));
    assert_eq!((contact.phone.as_str(), contact.postal_code.as_str()), ("06181 1234", "63450"));
}

#[test]
fn a_partial_day_of_birth_has_a_field_of_its_own_and_comes_back_in_the_same_column() {
    for (cell, part, written) in
        [("1988", "1988", "00.00.1988"), ("00.04.1988", "1988-04", "00.04.1988"), ("unbekannt", "unknown", "unbekannt")]
    {
        let identity = one("Schlüssel;Geburtsdatum", &format!("k;{cell}")).unwrap().identity.unwrap();
        assert_eq!((identity.birth_date.as_str(), identity.partial_birth_date.as_str()), ("", part));
        let handover = serde_json::json!({ "referral": { "identity": identity } });
        let cells = cells_of(REFERRAL, &handover);
        let again = cells.iter().find(|(heading, _)| heading == "Geburtsdatum").map(|(_, cell)| cell.as_str());
        assert_eq!(again, Some(written));
    }
}

#[test]
fn what_is_wrong_is_told_in_german_too() {
    let file = "Schlüssel;Geburtsdatum;Dringlichkeit;Ort;Telefon\nk;31.02.1990;Schulze;\"Hanau\n;4,96E+12\nk;;;Hanau;4,96E+12\nk;;\n";
    let lines = read_in::<ReferralHandover>(REFERRAL, Format::Csv, file.as_bytes(), Language::German).unwrap();
    let wrong: Vec<String> = lines.into_iter().filter_map(|(_, content)| content.err()).collect();
    assert_eq!(wrong[0], "Spalte 4: ein Anführungszeichen ist nicht geschlossen");
    assert!(wrong[1].starts_with("hat 2 Zellen zu 5 Überschriften"), "{wrong:?}");
    assert!(wrong[2].starts_with("Telefon: ist eine gerundete Zahl"), "{wrong:?}");
    let file = "Schlüssel;Geburtsdatum;Dringlichkeit\nk;31.02.1990;Schulze\n";
    let lines = read_in::<ReferralHandover>(REFERRAL, Format::Csv, file.as_bytes(), Language::German).unwrap();
    let wrong = lines[0].1.as_ref().unwrap_err();
    assert!(wrong.contains("Geburtsdatum: einen Tag schreiben, den es gibt: 01.04.1990"), "{wrong}");
    assert!(wrong.contains("Dringlichkeit: unbekannter Code; es gibt normal, bald, eilig"), "{wrong}");
    let file = "Schlüssel;Geburtsdatm\n";
    let unknown = read_in::<ReferralHandover>(REFERRAL, Format::Csv, file.as_bytes(), Language::German).unwrap_err();
    assert_eq!(unknown.to_string(), "Zeile 1: Spalte 2: die Überschrift ist unbekannt; ist Geburtsdatum gemeint?");
    let file = "{\"expiresAt\":\"morgen\"}";
    let line =
        read_in::<ReferralHandover>(REFERRAL, Format::Ndjson, file.as_bytes(), Language::German).unwrap().remove(0);
    assert_eq!(line.1.unwrap_err(), "expiresAt: eine Zeit als 2026-04-01T10:30:00+02:00 schreiben");
}

#[test]
fn a_file_that_cannot_be_read_as_it_is_says_why_before_a_line_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str, bytes: &[u8], encoding: Option<Encoding>| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let settings = Settings { format: None, encoding, language: Language::German };
        let opened = Reader::<ReferralHandover>::open(&path, REFERRAL, settings);
        opened.map(|(_, survey)| survey).map_err(|error| format!("{error:#}"))
    };
    let workbook = b"PK\x03\x04\x14\x00\x06\x00[Content_Types].xml";
    for name in ["a.csv", "a.xlsx"] {
        let wrong = open(name, workbook, None).unwrap_err();
        assert!(wrong.contains("die Datei ist eine Excel-Arbeitsmappe: als CSV speichern"), "{wrong}");
    }
    let dos = b"Ort;Familienname\nHanau;M\x94hring\n";
    let wrong = open("dos.csv", dos, None).unwrap_err();
    assert!(wrong.contains("die Buchstaben sehen nach DOS oder Macintosh aus: --encoding cp850"), "{wrong}");
    let survey = Survey { lines: 1, encoding: Some(Encoding::Cp850) };
    assert_eq!(open("dos.csv", dos, Some(Encoding::Cp850)), Ok(survey));
    let survey = Survey { lines: 1, encoding: Some(Encoding::Utf8) };
    assert_eq!(open("sep.csv", "sep=;\nOrt;Familienname\nHanau;Möhring\n".as_bytes(), None), Ok(survey));
}
