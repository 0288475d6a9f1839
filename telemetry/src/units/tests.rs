//! Published factors, spellings and endings.

use super::*;

#[test]
fn conversions_agree_with_published_factors() {
    // NIST SP 811 (2008), appendix B.8, and the definitions of the scales.
    for (value, from, to, expected) in [
        (100.0, Unit::Celsius, Unit::Fahrenheit, 212.0),
        (-40.0, Unit::Fahrenheit, Unit::Celsius, -40.0),
        (0.0, Unit::Celsius, Unit::Kelvin, 273.15),
        (1.0, Unit::Bar, Unit::Kilopascal, 100.0),
        (1.0, Unit::Psi, Unit::Pascal, 6_894.757),
        (1.0, Unit::InchPerSecond, Unit::MillimetrePerSecond, 25.4),
        (
            1.0,
            Unit::StandardGravity,
            Unit::MetrePerSecondSquared,
            9.806_65,
        ),
        (60.0, Unit::LitrePerMinute, Unit::CubicMetrePerHour, 3.6),
        (1.0, Unit::Atmosphere, Unit::Kilopascal, 101.325),
        (1.0, Unit::MillimetreOfMercury, Unit::Pascal, 133.322_4),
        (1_013.25, Unit::Millibar, Unit::Hectopascal, 1_013.25),
        (1.0, Unit::Megapascal, Unit::Bar, 10.0),
        (1.0, Unit::Megapascal, Unit::Psi, 145.037_7),
        (36.0, Unit::KilometrePerHour, Unit::MetrePerSecond, 10.0),
        (1.0, Unit::Horsepower, Unit::Watt, 745.699_9),
        (
            1.0,
            Unit::RadianPerSecond,
            Unit::RevolutionPerMinute,
            9.549_297,
        ),
        (1.0, Unit::GallonPerMinute, Unit::LitrePerMinute, 3.785_412),
        (1.0, Unit::LitrePerSecond, Unit::CubicMetrePerHour, 3.6),
        (1.0, Unit::KilowattHour, Unit::Kilojoule, 3_600.0),
        (20.0, Unit::Milliampere, Unit::Ampere, 0.02),
        (1.0, Unit::Foot, Unit::Inch, 12.0),
        (1.0, Unit::Inch, Unit::Micrometre, 25_400.0),
        (180.0, Unit::Degree, Unit::Radian, std::f64::consts::PI),
        (1.0, Unit::TonnePerHour, Unit::KilogramPerHour, 1_000.0),
        (60.0, Unit::PerMinute, Unit::Hertz, 1.0),
        (45.0, Unit::RelativeHumidity, Unit::Percent, 45.0),
        (1.0, Unit::Hour, Unit::Minute, 60.0),
        (
            1_000.0,
            Unit::MicrosiemensPerCentimetre,
            Unit::SiemensPerMetre,
            0.1,
        ),
    ] {
        let got = from.convert(value, to).unwrap();
        assert!(
            (got - expected).abs() <= 1e-6 * expected.abs().max(1.0),
            "{value} {from} = {got} {to}"
        );
    }
}

#[test]
fn symbols_and_endings_are_each_one_unit() {
    for (at, unit) in Unit::ALL.iter().enumerate() {
        assert_eq!(Unit::parse(unit.symbol()), Ok(*unit), "{unit}");
        for other in &Unit::ALL[at + 1..] {
            let (a, b) = (unit.name_suffix(), other.name_suffix());
            assert!(a.is_empty() || a != b, "{unit} and {other} share {a}");
        }
        if !unit.name_suffix().is_empty() {
            let name = format!("signal{}", unit.name_suffix());
            assert_eq!(Unit::from_signal_name(&name), Some(*unit), "{name}");
        }
    }
}

#[test]
fn other_spellings_are_known() {
    for (text, unit) in [
        ("Cel", Unit::Celsius),
        ("%RH", Unit::RelativeHumidity),
        ("l/s", Unit::LitrePerSecond),
        ("m/s2", Unit::MetrePerSecondSquared),
        ("[degF]", Unit::Fahrenheit),
        ("N.m", Unit::NewtonMetre),
        ("\u{3bc}m", Unit::Micrometre),
        ("\u{2126}", Unit::Ohm),
        ("/", Unit::One),
    ] {
        assert_eq!(Unit::parse(text), Ok(unit), "{text}");
    }
    assert!(Unit::parse("widgets").is_err() && Unit::parse("").is_err());
}

#[test]
fn the_error_of_a_wrong_conversion_names_both_units() {
    let error = Unit::Bar
        .convert(1.0, Unit::Celsius)
        .unwrap_err()
        .to_string();
    assert!(error.contains("bar") && error.contains("°C"), "{error}");
}

#[test]
fn the_longest_name_ending_declares_the_unit() {
    for (name, unit) in [
        ("velocity_rms_mm_s", Some(Unit::MillimetrePerSecond)),
        ("bearing_temperature_c", Some(Unit::Celsius)),
        ("flow_l_min", Some(Unit::LitrePerMinute)),
        ("motor_current_a", Some(Unit::Ampere)),
        ("speed_m_s", Some(Unit::MetrePerSecond)),
        ("mass_flow_kg_s", Some(Unit::KilogramPerSecond)),
        ("uptime_s", Some(Unit::Second)),
        ("level_m", Some(Unit::Metre)),
        ("moles_mol_s", None),
        ("leak_ml_s", None),
        ("cycles_per_h", None),
        ("vibration_x_m", None),
        ("temperature_min", None),
        ("pressure_var", None),
        ("temperature", None),
        ("_c", None),
        ("Pressure", None),
    ] {
        assert_eq!(Unit::from_signal_name(name), unit, "{name}");
    }
}
