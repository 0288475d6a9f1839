//! Physical quantities and their units.
//!
//! A unit belongs to one [`Quantity`] and converts linearly to the quantity's base unit.
//! Signals carry their unit in their name by the house rule "units last"
//! (`discharge_pressure_bar`, `velocity_rms_mm_s`), so a stream without any configuration
//! still shows units where the name says so, and none where it does not.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Thermodynamic temperature; base unit kelvin.
    Temperature,
    /// Pressure; base unit pascal.
    Pressure,
    /// Vibration velocity; base unit metre per second.
    Velocity,
    /// Vibration acceleration; base unit metre per second squared.
    Acceleration,
    /// Electric current; base unit ampere.
    Current,
    /// Electric potential; base unit volt.
    Voltage,
    /// Electric power; base unit watt.
    Power,
    /// Rotational speed; base unit revolution per minute.
    RotationalSpeed,
    /// Volume flow; base unit cubic metre per second.
    VolumeFlow,
    /// A share of a whole; base unit one.
    Ratio,
}

/// A text that names no known unit, or a conversion between different quantities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// The symbol is not in the table.
    #[error("unknown unit {0:?}; known units: {known}", known = Unit::known_symbols())]
    Unknown(String),
    /// The two units measure different quantities.
    #[error(
        "cannot convert {from} to {to}: {from} measures {from_quantity:?}, {to} measures {to_quantity:?}"
    )]
    Incompatible {
        /// The unit of the value.
        from: Unit,
        /// The quantity of the value.
        from_quantity: Quantity,
        /// The unit that was asked for.
        to: Unit,
        /// The quantity that was asked for.
        to_quantity: Quantity,
    },
}

macro_rules! units {
    ($($(#[$doc:meta])* $name:ident, $symbol:literal, $suffix:literal, $quantity:ident, $scale:expr, $offset:expr;)*) => {
        /// A unit of measurement, written as its symbol (`°C`, `mm/s`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Unit { $($(#[$doc])* $name,)* }

        impl Unit {
            /// Every unit, in the order of the table.
            pub const ALL: &'static [Unit] = &[$(Unit::$name,)*];

            /// The symbol people read, such as `°C`.
            pub const fn symbol(self) -> &'static str {
                match self { $(Unit::$name => $symbol,)* }
            }

            /// The ending of a signal name that declares this unit, such as `_c`.
            pub const fn name_suffix(self) -> &'static str {
                match self { $(Unit::$name => $suffix,)* }
            }

            /// What the unit measures.
            pub const fn quantity(self) -> Quantity {
                match self { $(Unit::$name => Quantity::$quantity,)* }
            }

            /// `(scale, offset)` with `base = value * scale + offset`.
            const fn to_base(self) -> (f64, f64) {
                match self { $(Unit::$name => ($scale, $offset),)* }
            }
        }
    };
}

units! {
    /// Degree Celsius.
    Celsius, "°C", "_c", Temperature, 1.0, 273.15;
    /// Degree Fahrenheit.
    Fahrenheit, "°F", "_f", Temperature, 5.0 / 9.0, 459.67 * 5.0 / 9.0;
    /// Kelvin.
    Kelvin, "K", "_k", Temperature, 1.0, 0.0;
    /// Pascal.
    Pascal, "Pa", "_pa", Pressure, 1.0, 0.0;
    /// Kilopascal.
    Kilopascal, "kPa", "_kpa", Pressure, 1e3, 0.0;
    /// Bar.
    Bar, "bar", "_bar", Pressure, 1e5, 0.0;
    /// Pound-force per square inch (NIST SP 811: 6894.757 Pa).
    Psi, "psi", "_psi", Pressure, 6_894.757_293_168, 0.0;
    /// Millimetre per second.
    MillimetrePerSecond, "mm/s", "_mm_s", Velocity, 1e-3, 0.0;
    /// Inch per second.
    InchPerSecond, "in/s", "_in_s", Velocity, 0.0254, 0.0;
    /// Metre per second squared.
    MetrePerSecondSquared, "m/s²", "_m_s2", Acceleration, 1.0, 0.0;
    /// Standard gravity (exactly 9.80665 m/s²).
    StandardGravity, "g", "_g", Acceleration, 9.806_65, 0.0;
    /// Ampere.
    Ampere, "A", "_a", Current, 1.0, 0.0;
    /// Volt.
    Volt, "V", "_v", Voltage, 1.0, 0.0;
    /// Watt.
    Watt, "W", "_w", Power, 1.0, 0.0;
    /// Kilowatt.
    Kilowatt, "kW", "_kw", Power, 1e3, 0.0;
    /// Revolution per minute.
    RevolutionPerMinute, "rpm", "_rpm", RotationalSpeed, 1.0, 0.0;
    /// Litre per minute.
    LitrePerMinute, "L/min", "_l_min", VolumeFlow, 1e-3 / 60.0, 0.0;
    /// Cubic metre per hour.
    CubicMetrePerHour, "m³/h", "_m3_h", VolumeFlow, 1.0 / 3600.0, 0.0;
    /// Percent.
    Percent, "%", "_pct", Ratio, 0.01, 0.0;
}

impl Unit {
    /// Reads a symbol as people and devices write it.
    ///
    /// # Errors
    /// [`UnitError::Unknown`] when the symbol is not in the table.
    pub fn parse(symbol: &str) -> Result<Self, UnitError> {
        Self::ALL
            .iter()
            .copied()
            .find(|unit| unit.symbol() == symbol)
            .or_else(|| Self::from_alias(symbol))
            .ok_or_else(|| UnitError::Unknown(symbol.chars().take(40).collect()))
    }

    fn from_alias(symbol: &str) -> Option<Self> {
        Some(match symbol {
            "C" | "degC" | "℃" => Self::Celsius,
            "F" | "degF" | "℉" => Self::Fahrenheit,
            "m/s2" | "m/s^2" => Self::MetrePerSecondSquared,
            "l/min" | "lpm" => Self::LitrePerMinute,
            "m3/h" => Self::CubicMetrePerHour,
            "RPM" | "r/min" => Self::RevolutionPerMinute,
            _ => return None,
        })
    }

    /// The unit that a signal's name declares by its ending; the longest ending wins, so
    /// `velocity_mm_s` is never read as seconds of anything.
    pub fn from_signal_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .filter(|unit| {
                name.len() > unit.name_suffix().len() && name.ends_with(unit.name_suffix())
            })
            .max_by_key(|unit| unit.name_suffix().len())
    }

    /// Converts a value of this unit to another unit of the same quantity.
    ///
    /// # Errors
    /// [`UnitError::Incompatible`] when the units measure different quantities.
    pub fn convert(self, value: f64, to: Self) -> Result<f64, UnitError> {
        if self == to {
            return Ok(value);
        }
        if self.quantity() != to.quantity() {
            return Err(UnitError::Incompatible {
                from: self,
                from_quantity: self.quantity(),
                to,
                to_quantity: to.quantity(),
            });
        }
        let (scale, offset) = self.to_base();
        let (to_scale, to_offset) = to.to_base();
        Ok((value * scale + offset - to_offset) / to_scale)
    }

    fn known_symbols() -> String {
        let symbols: Vec<_> = Self::ALL.iter().map(|unit| unit.symbol()).collect();
        symbols.join(", ")
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.symbol())
    }
}

impl Serialize for Unit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.symbol())
    }
}

impl<'de> Deserialize<'de> for Unit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let symbol = String::deserialize(deserializer)?;
        Self::parse(&symbol).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
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
        ] {
            let got = from.convert(value, to).unwrap();
            assert!(
                (got - expected).abs() <= 1e-6 * expected.abs().max(1.0),
                "{value} {from} = {got} {to}"
            );
        }
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
            ("temperature", None),
            ("_c", None),
            ("Pressure", None),
        ] {
            assert_eq!(Unit::from_signal_name(name), unit, "{name}");
        }
    }
}
