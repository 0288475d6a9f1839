//! The examples of RFC 8428, sections 5.1.1 to 5.1.7 and 6, each whole.

use super::super::testing::{NOW, plain, reasons};

const HUMIDITY_ON_THE_WAY: &[&str] = &[
    "ow-10e2073a01080063 1320067464 value_rh_pct 20",
    "ow-10e2073a01080063 1320067464 value_lon 24.30621",
    "ow-10e2073a01080063 1320067464 value_lat 60.07965",
    "ow-10e2073a01080063 1320067524 value_rh_pct 20.3",
    "ow-10e2073a01080063 1320067524 value_lon 24.30622",
    "ow-10e2073a01080063 1320067524 value_lat 60.07965",
    "ow-10e2073a01080063 1320067584 value_rh_pct 20.7",
    "ow-10e2073a01080063 1320067584 value_lon 24.30623",
    "ow-10e2073a01080063 1320067584 value_lat 60.07966",
    "ow-10e2073a01080063 1320067614 value_pct 98",
    "ow-10e2073a01080063 1320067644 value_rh_pct 21.2",
    "ow-10e2073a01080063 1320067644 value_lon 24.30628",
    "ow-10e2073a01080063 1320067644 value_lat 60.07967",
];

const CURRENTS: &[&str] = &[
    "ow-10e2073a0108006 1276020076.001 voltage_v 120.1",
    "ow-10e2073a0108006 1276020071.001 current_a 1.2",
    "ow-10e2073a0108006 1276020072.001 current_a 1.3",
    "ow-10e2073a0108006 1276020073.001 current_a 1.4",
    "ow-10e2073a0108006 1276020074.001 current_a 1.5",
    "ow-10e2073a0108006 1276020075.001 current_a 1.6",
    "ow-10e2073a0108006 1276020076.001 current_a 1.7",
];

/// The section of the RFC, the pack, and each row as `device unix-seconds signal value`.
const EXAMPLES: &[(&str, &str, &[&str])] = &[
    (
        "5.1.1 single datapoint",
        r#"[
     {"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}
   ]"#,
        &["ow-10e2073a01080063 now value_c 23.1"],
    ),
    (
        "5.1.2 multiple datapoints",
        r#"[
     {"bn":"urn:dev:ow:10e2073a01080063:","n":"voltage","u":"V","v":120.1},
     {"n":"current","u":"A","v":1.2}
   ]"#,
        &[
            "ow-10e2073a01080063 now voltage_v 120.1",
            "ow-10e2073a01080063 now current_a 1.2",
        ],
    ),
    (
        "5.1.2 with base time and unit",
        r#"[
     {"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,
      "bu":"A","bver":5,
      "n":"voltage","u":"V","v":120.1},
     {"n":"current","t":-5,"v":1.2},
     {"n":"current","t":-4,"v":1.3},
     {"n":"current","t":-3,"v":1.4},
     {"n":"current","t":-2,"v":1.5},
     {"n":"current","t":-1,"v":1.6},
     {"n":"current","v":1.7}
   ]"#,
        CURRENTS,
    ),
    (
        // The RFC shows the beginning of an endless stream; a message ends, so it is closed.
        "5.1.2 as a stream, closed",
        r#"[
     {"bn":"urn:dev:ow:10e2073a01080063","bt":1.320067464e+09,
      "bu":"%RH","v":21.2},
     {"t":10,"v":21.3},
     {"t":20,"v":21.4},
     {"t":30,"v":21.4},
     {"t":40,"v":21.5},
     {"t":50,"v":21.5},
     {"t":60,"v":21.5},
     {"t":70,"v":21.6},
     {"t":80,"v":21.7}
   ]"#,
        &[
            "ow-10e2073a01080063 1320067464 value_rh_pct 21.2",
            "ow-10e2073a01080063 1320067474 value_rh_pct 21.3",
            "ow-10e2073a01080063 1320067484 value_rh_pct 21.4",
            "ow-10e2073a01080063 1320067494 value_rh_pct 21.4",
            "ow-10e2073a01080063 1320067504 value_rh_pct 21.5",
            "ow-10e2073a01080063 1320067514 value_rh_pct 21.5",
            "ow-10e2073a01080063 1320067524 value_rh_pct 21.5",
            "ow-10e2073a01080063 1320067534 value_rh_pct 21.6",
            "ow-10e2073a01080063 1320067544 value_rh_pct 21.7",
        ],
    ),
    (
        "5.1.3 multiple measurements",
        r#"[
     {"bn":"urn:dev:ow:10e2073a01080063","bt":1.320067464e+09,
      "bu":"%RH","v":20},
     {"u":"lon","v":24.30621},
     {"u":"lat","v":60.07965},
     {"t":60,"v":20.3},
     {"u":"lon","t":60,"v":24.30622},
     {"u":"lat","t":60,"v":60.07965},
     {"t":120,"v":20.7},
     {"u":"lon","t":120,"v":24.30623},
     {"u":"lat","t":120,"v":60.07966},
     {"u":"%EL","t":150,"v":98},
     {"t":180,"v":21.2},
     {"u":"lon","t":180,"v":24.30628},
     {"u":"lat","t":180,"v":60.07967}
   ]"#,
        HUMIDITY_ON_THE_WAY,
    ),
    (
        "5.1.4 resolved data",
        r#"[
     {"n":"urn:dev:ow:10e2073a01080063","u":"%RH","t":1.320067464e+09,
      "v":20},
     {"n":"urn:dev:ow:10e2073a01080063","u":"lon","t":1.320067464e+09,
      "v":24.30621},
     {"n":"urn:dev:ow:10e2073a01080063","u":"lat","t":1.320067464e+09,
      "v":60.07965},
     {"n":"urn:dev:ow:10e2073a01080063","u":"%RH","t":1.320067524e+09,
      "v":20.3},
     {"n":"urn:dev:ow:10e2073a01080063","u":"lon","t":1.320067524e+09,
      "v":24.30622},
     {"n":"urn:dev:ow:10e2073a01080063","u":"lat","t":1.320067524e+09,
      "v":60.07965},
     {"n":"urn:dev:ow:10e2073a01080063","u":"%RH","t":1.320067584e+09,
      "v":20.7},
     {"n":"urn:dev:ow:10e2073a01080063","u":"lon","t":1.320067584e+09,
      "v":24.30623},
     {"n":"urn:dev:ow:10e2073a01080063","u":"lat","t":1.320067584e+09,
      "v":60.07966},
     {"n":"urn:dev:ow:10e2073a01080063","u":"%EL","t":1.320067614e+09,
      "v":98},
     {"n":"urn:dev:ow:10e2073a01080063","u":"%RH","t":1.320067644e+09,
      "v":21.2},
     {"n":"urn:dev:ow:10e2073a01080063","u":"lon","t":1.320067644e+09,
      "v":24.30628},
     {"n":"urn:dev:ow:10e2073a01080063","u":"lat","t":1.320067644e+09,
      "v":60.07967}
   ]"#,
        HUMIDITY_ON_THE_WAY,
    ),
    (
        "5.1.6 collection of resources",
        r#"[
     {"bn":"2001:db8::2/","bt":1.320078429e+09,
      "n":"temperature","u":"Cel","v":25.2},
     {"n":"humidity","u":"%RH","v":30},
     {"bn":"2001:db8::1/","n":"temperature","u":"Cel","v":12.3},
     {"n":"humidity","u":"%RH","v":67}
   ]"#,
        &[
            "2001-db8--2 1320078429 temperature_c 25.2",
            "2001-db8--2 1320078429 humidity_rh_pct 30",
            "2001-db8--1 1320078429 temperature_c 12.3",
            "2001-db8--1 1320078429 humidity_rh_pct 67",
        ],
    ),
    (
        // What an actuator is set to is a value like any other.
        "5.1.7 setting an actuator: a thermostat",
        r#"[
     {"bn":"urn:dev:ow:10e2073a01080063:"},
     {"n":"temp","u":"Cel","v":23.1},
     {"n":"heat","u":"/","v":1},
     {"n":"fan","u":"/","v":0}
   ]"#,
        &[
            "ow-10e2073a01080063 now temp_c 23.1",
            "ow-10e2073a01080063 now heat 1",
            "ow-10e2073a01080063 now fan 0",
        ],
    ),
    (
        "5.1.7 setting an actuator: two lights on",
        r#"[
     {"bt":1.320078429e+09,"bu":"/","n":"2001:db8::3","v":1},
     {"n":"2001:db8::4","v":1}
   ]"#,
        &[
            "2001-db8--3 1320078429 value 1",
            "2001-db8--4 1320078429 value 1",
        ],
    ),
    (
        "5.1.7 setting an actuator: two lights dimmed, then off",
        r#"[
     {"bt":1.320078429e+09,"bu":"/","n":"2001:db8::3","v":0.5},
     {"n":"2001:db8::4","v":0.5},
     {"n":"2001:db8::3","t":0.1,"v":0},
     {"n":"2001:db8::4","t":0.1,"v":0}
   ]"#,
        &[
            "2001-db8--3 1320078429 value 0.5",
            "2001-db8--4 1320078429 value 0.5",
            "2001-db8--3 1320078429.1 value 0",
            "2001-db8--4 1320078429.1 value 0",
        ],
    ),
];

/// Section 6: the second pack of section 5.1.2 in CBOR.
const CBOR: &str = "87 a7 21 78 1b 75 72 6e 3a 64 65 76 3a 6f 77 3a 31 30 65 32 30 37 33 61 30 31 30 38 30 30 36 3a \
    22 fb 41 d3 03 a1 5b 00 10 62 23 61 41 20 05 00 67 76 6f 6c 74 61 67 65 01 61 56 02 fb 40 5e 06 66 66 66 66 66 \
    a3 00 67 63 75 72 72 65 6e 74 06 24 02 fb 3f f3 33 33 33 33 33 33 \
    a3 00 67 63 75 72 72 65 6e 74 06 23 02 fb 3f f4 cc cc cc cc cc cd \
    a3 00 67 63 75 72 72 65 6e 74 06 22 02 fb 3f f6 66 66 66 66 66 66 \
    a3 00 67 63 75 72 72 65 6e 74 06 21 02 f9 3e 00 \
    a3 00 67 63 75 72 72 65 6e 74 06 20 02 fb 3f f9 99 99 99 99 99 9a \
    a3 00 67 63 75 72 72 65 6e 74 06 00 02 fb 3f fb 33 33 33 33 33 33";

fn unix(record: &telemetry::JournalRecord) -> Vec<String> {
    let names = record.readings.signals();
    let mut all = Vec::new();
    for row in record.readings.rows() {
        let at = if row.measured_at == NOW {
            "now".into()
        } else {
            row.measured_at.as_secs_f64().to_string()
        };
        for (&signal, value) in row.signals.iter().zip(row.values) {
            let signal = &names[signal as usize];
            // Sixteen digits of a hash follow what an id cannot hold.
            let whole = row.device.as_str();
            let device = whole.strip_prefix("2001").map_or(whole, |_| &whole[..11]);
            all.push(format!("{device} {at} {signal} {value}"));
        }
    }
    all
}

#[test]
fn every_example_of_the_rfc_gives_its_readings() {
    for (section, pack, expected) in EXAMPLES {
        let record = plain("telemetry/gw-1", pack.as_bytes());
        assert_eq!(unix(&record), *expected, "{section}");
        assert_eq!(reasons(&record), "", "{section}");
    }
}

#[test]
fn the_cbor_example_of_the_rfc_gives_the_same_readings_as_its_json() {
    let bytes: Vec<u8> = CBOR
        .split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let record = plain("telemetry/gw-1", &bytes);
    assert_eq!(unix(&record), CURRENTS);
    assert_eq!(reasons(&record), "");
}

#[test]
fn texts_booleans_and_data_are_refused_one_by_one() {
    // Section 5.1.5.
    let record = plain(
        "telemetry/gw-1",
        br#"[
     {"bn":"urn:dev:ow:10e2073a01080063:","n":"temp","u":"Cel","v":23.1},
     {"n":"label","vs":"Machine Room"},
     {"n":"open","vb":false},
     {"n":"nfc-reader","vd":"aGkgCg"}
   ]"#,
    );
    assert_eq!(unix(&record), ["ow-10e2073a01080063 now temp_c 23.1"]);
    assert_eq!(reasons(&record), "invalid_value");
    let detail = &record.dead_letters[0].detail;
    for word in ["label", "open", "nfc-reader"] {
        assert!(detail.contains(word), "{detail}");
    }
}
