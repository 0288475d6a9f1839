//! The three facts of a certificate that nobody else reads for us: from when, until when, and
//! the common name. Signatures and chains are the TLS library's business.

use std::str;

use telemetry::Timestamp;

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts<'a> {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    /// The subject's common name; none when it has none, or more than one, because then nobody
    /// could say which of them counts.
    pub(super) common_name: Option<&'a str>,
}

mod tag {
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const OID: u8 = 0x06;
    pub(super) const UTF8: u8 = 0x0c;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const SET: u8 = 0x31;
    pub(super) const PRINTABLE: u8 = 0x13;
    pub(super) const IA5: u8 = 0x16;
    pub(super) const UTC_TIME: u8 = 0x17;
    pub(super) const GENERALIZED_TIME: u8 = 0x18;
    /// `[0] EXPLICIT`, the version.
    pub(super) const VERSION: u8 = 0xa0;
}

/// `id-at-commonName`, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// Reads a certificate (RFC 5280, 4.1); none when the bytes are no certificate.
pub(super) fn facts(der: &[u8]) -> Option<Facts<'_>> {
    let mut certificate = Der(Der(der).expect(tag::SEQUENCE)?);
    let mut fields = Der(certificate.expect(tag::SEQUENCE)?);
    if fields.0.first() == Some(&tag::VERSION) {
        fields.expect(tag::VERSION)?;
    }
    fields.expect(tag::INTEGER)?;
    let _signature_algorithm = fields.expect(tag::SEQUENCE)?;
    let _issuer = fields.expect(tag::SEQUENCE)?;
    let mut validity = Der(fields.expect(tag::SEQUENCE)?);
    let (not_before, not_after) = (validity.time()?, validity.time()?);
    let common_name = common_name(fields.expect(tag::SEQUENCE)?);
    Some(Facts {
        not_before,
        not_after,
        common_name,
    })
}

fn common_name(subject: &[u8]) -> Option<&str> {
    let mut found = None;
    let mut names = Der(subject);
    while !names.0.is_empty() {
        let mut parts = Der(names.expect(tag::SET)?);
        while !parts.0.is_empty() {
            let mut part = Der(parts.expect(tag::SEQUENCE)?);
            let kind = part.expect(tag::OID)?;
            let (tag, text) = part.next()?;
            if kind != COMMON_NAME {
                continue;
            }
            if found.is_some() || !matches!(tag, tag::UTF8 | tag::PRINTABLE | tag::IA5) {
                return None;
            }
            found = Some(str::from_utf8(text).ok()?);
        }
    }
    found
}

/// The rest of a sequence of tagged values.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next value and its tag.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (len, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            // Four bytes of length are more than any file we read.
            let bytes = usize::from(first & 0x7f);
            if !(1..=4).contains(&bytes) {
                return None;
            }
            let (len, rest) = rest.split_at_checked(bytes)?;
            let len = len
                .iter()
                .fold(0, |len, &byte| len << 8 | usize::from(byte));
            (len, rest)
        };
        let (value, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((tag, value))
    }

    fn expect(&mut self, wanted: u8) -> Option<&'a [u8]> {
        self.next()
            .filter(|&(tag, _)| tag == wanted)
            .map(|(_, value)| value)
    }

    /// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` (RFC 5280, 4.1.2.5).
    fn time(&mut self) -> Option<Timestamp> {
        let (tag, value) = self.next()?;
        let text = str::from_utf8(value).ok()?.strip_suffix('Z')?;
        let (year, rest) = match tag {
            tag::UTC_TIME => {
                let (year, rest) = text.split_at_checked(2)?;
                let century = if year < "50" { "20" } else { "19" };
                (format!("{century}{year}"), rest)
            }
            tag::GENERALIZED_TIME => {
                let (year, rest) = text.split_at_checked(4)?;
                (year.to_owned(), rest)
            }
            _ => return None,
        };
        if rest.len() != 10 || !rest.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let at = |from: usize| &rest[from..from + 2];
        let (month, day, hour, minute, second) = (at(0), at(2), at(4), at(6), at(8));
        let text = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
        Timestamp::parse(&text).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn certificate(names: &[&str], from: (i32, u8, u8), until: (i32, u8, u8)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "a plant");
        for name in names {
            params.distinguished_name.push(DnType::CommonName, *name);
        }
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_says_its_times_and_its_common_name() {
        for (names, expected) in [
            (&["pump-1"][..], Some("pump-1")),
            (&["Pumpe Süd"], Some("Pumpe Süd")),
            (&[], None),
        ] {
            // Years before 2050 are written with two digits, later ones with four.
            let der = certificate(names, (2024, 2, 29), (2051, 12, 31));
            let facts = facts(&der).unwrap();
            assert_eq!(facts.common_name, expected);
            assert_eq!(
                facts.not_before,
                Timestamp::parse("2024-02-29T00:00:00Z").unwrap()
            );
            assert_eq!(
                facts.not_after,
                Timestamp::parse("2051-12-31T00:00:00Z").unwrap()
            );
        }
    }

    #[test]
    fn two_common_names_are_none() {
        let name = |text: &[u8]| {
            let value = [&[0x06, 3, 0x55, 4, 3, 0x0c, text.len() as u8], text].concat();
            let part = [&[0x30, value.len() as u8], value.as_slice()].concat();
            [&[0x31, part.len() as u8], part.as_slice()].concat()
        };
        assert_eq!(common_name(&name(b"a")), Some("a"));
        assert_eq!(common_name(&[name(b"a"), name(b"b")].concat()), None);
    }

    proptest! {
        #[test]
        fn spoiled_certificates_never_panic(spoil in prop::collection::vec((any::<usize>(), any::<u8>()), 1..6), cut in any::<usize>()) {
            let mut der = certificate(&["pump-1"], (2024, 1, 1), (2034, 1, 1));
            for (at, with) in spoil {
                let at = at % der.len();
                der[at] ^= with;
            }
            let _ = facts(&der);
            let _ = facts(&der[..cut % der.len()]);
        }
    }
}
