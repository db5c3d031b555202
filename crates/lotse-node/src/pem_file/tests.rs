use super::*;

/// A section that decodes; its content is looked at by others.
fn certificate(byte: u8) -> String {
    armoured("CERTIFICATE", &[byte; 100])
}

fn found(pem: impl AsRef<[u8]>) -> Vec<u8> {
    certificates(pem.as_ref()).unwrap().iter().map(|der| der[0]).collect()
}

fn refused(pem: impl AsRef<[u8]>) -> PemError {
    certificates(pem.as_ref()).unwrap_err()
}

#[test]
fn a_mark_blanks_and_every_kind_of_line_end_are_skipped() {
    let [one, two] = [certificate(1), certificate(2)];
    let joined = format!("{one}{two}");
    let indented: String = joined.lines().flat_map(|line| ["  ", line, " \t\n"]).collect();
    for pem in [
        joined.clone(),
        format!("\u{feff}{joined}"),
        format!("{one}\u{feff}{two}"),
        format!("\u{feff}\u{feff}\n\n  {one}\n comment: ä\n{two}"),
        joined.replace('\n', "\r\n"),
        joined.replace('\n', "\r"),
        indented,
        format!("{}{two}", one.trim_end()),
        format!("{}\u{feff}{two}", one.trim_end()),
        format!("subject=CN = BEGIN CERT-AG\nissuer=BACK-END KEY CA\n--- END OF FILE ---\n{joined}"),
        joined.trim_end().to_owned(),
    ] {
        assert_eq!(found(&pem), [1, 2], "{pem}");
    }
    let windows_1252 = [b"# Beh\xf6rde\n".as_slice(), joined.as_bytes()].concat();
    assert_eq!(found(windows_1252), [1, 2]);
}

#[test]
fn what_looks_like_a_section_and_cannot_be_read_is_an_error_with_its_line() {
    let [one, two] = [certificate(1), certificate(2)];
    let second = one.lines().count() + 1;
    let damaged = |from: &str, to: &str| format!("{one}{}", two.replacen(from, to, 1));
    for (pem, line, fault) in [
        (damaged("-----BEGIN", "----BEGIN"), second, PemFault::Begin),
        (damaged("-----BEGIN", "- BEGIN"), second, PemFault::Begin),
        (damaged("-----BEGIN CERTIFICATE-----", "–BEGIN CERTIFICATE–"), second, PemFault::Begin),
        (damaged("-----BEGIN CERTIFICATE-----\n", ""), second + 3, PemFault::End),
        (damaged("-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE----"), second, PemFault::Begin),
        (damaged("-----END CERTIFICATE-----", ""), second, PemFault::Open),
        (damaged("-----END CERTIFICATE", "-----END X509 CRL"), second + 4, PemFault::End),
        (damaged("AgICAgIC", "AgIC!gIC"), second, PemFault::Content),
        (format!("{}{two}", one.replace("-----END CERTIFICATE-----\n", "")), 1, PemFault::Open),
        (format!("{one}{}", two.replace("CERTIFICATE", "TRUSTED CERTIFICATE")), second, PemFault::Kind),
        (format!("{one}{}", two.replace("CERTIFICATE", "X509 CERTIFICATE")), second, PemFault::Kind),
    ] {
        assert_eq!(refused(&pem), PemError { line, fault }, "{pem}");
    }
    let utf16: Vec<u8> = one.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(refused(utf16).fault, PemFault::NoText);
}

#[test]
fn sections_of_other_kinds_are_skipped_and_none_is_no_error_of_the_text() {
    let key = armoured("PRIVATE KEY", &[7; 48]);
    let parameters = armoured("EC PARAMETERS", &[6; 8]);
    let request = armoured("CERTIFICATE REQUEST", &[5; 80]);
    let list = armoured("X509 CRL", &[4; 80]);
    let all = format!("{parameters}{key}{request}{list}{}", certificate(1));
    assert_eq!(found(&all), [1]);
    assert_eq!(private_keys(all.as_bytes()).unwrap().len(), 1);
    assert_eq!(revocation_lists(all.as_bytes()).unwrap().len(), 1);
    assert_eq!(found(""), [0; 0]);
    assert_eq!(found("no PEM at all"), [0; 0]);
    let encrypted = armoured("ENCRYPTED PRIVATE KEY", &[7; 48]);
    assert_eq!(private_keys(encrypted.as_bytes()).unwrap_err().fault, PemFault::Kind);
    assert_eq!(revocation_lists(list.replace("X509 CRL", "CRL").as_bytes()).unwrap_err().fault, PemFault::Kind);
}
