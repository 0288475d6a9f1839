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
    /// Frequency and rate of events; base unit hertz.
    Frequency,
    /// Length, level and displacement; base unit metre.
    Length,
    /// Duration; base unit second.
    Time,
    /// Mass; base unit kilogram.
    Mass,
    /// Force; base unit newton.
    Force,
    /// Torque; base unit newton metre.
    Torque,
    /// Energy; base unit joule.
    Energy,
    /// Apparent power; base unit volt-ampere.
    ApparentPower,
    /// Reactive power; base unit var.
    ReactivePower,
    /// Electric charge; base unit coulomb.
    Charge,
    /// Electric resistance; base unit ohm.
    Resistance,
    /// Electric conductivity; base unit siemens per metre.
    Conductivity,
    /// Mass flow; base unit kilogram per second.
    MassFlow,
    /// Volume; base unit cubic metre.
    Volume,
    /// Mass of something in a volume; base unit kilogram per cubic metre.
    MassConcentration,
    /// A level above a reference that the signal stands for; base unit decibel.
    Level,
    /// Signal strength; base unit decibel above one milliwatt.
    SignalStrength,
    /// Illuminance; base unit lux.
    Illuminance,
    /// Power on an area; base unit watt per square metre.
    Irradiance,
    /// Plane angle; base unit radian.
    Angle,
    /// Geographic latitude; base unit degree north.
    Latitude,
    /// Geographic longitude; base unit degree east.
    Longitude,
    /// Acidity; base unit pH.
    Acidity,
    /// A number of things; base unit one.
    Count,
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

            /// The ending of a signal name that declares this unit, such as `_c`; empty when
            /// every short ending would mean something else too.
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
    /// Relative humidity in percent (`SenML` `%RH`).
    RelativeHumidity, "%RH", "_rh_pct", Ratio, 0.01, 0.0;
    /// Parts per million.
    PartsPerMillion, "ppm", "_ppm", Ratio, 1e-6, 0.0;
    /// A plain ratio.
    One, "1", "", Ratio, 1.0, 0.0;
    /// Megapascal.
    Megapascal, "MPa", "_mpa", Pressure, 1e6, 0.0;
    /// Hectopascal.
    Hectopascal, "hPa", "_hpa", Pressure, 1e2, 0.0;
    /// Millibar.
    Millibar, "mbar", "_mbar", Pressure, 1e2, 0.0;
    /// Standard atmosphere (exactly 101,325 Pa).
    Atmosphere, "atm", "_atm", Pressure, 101_325.0, 0.0;
    /// Conventional millimetre of mercury (NIST SP 811: 133.3224 Pa).
    MillimetreOfMercury, "mmHg", "_mmhg", Pressure, 133.322_387_415, 0.0;
    /// Metre per second.
    MetrePerSecond, "m/s", "_m_s", Velocity, 1.0, 0.0;
    /// Kilometre per hour.
    KilometrePerHour, "km/h", "_km_h", Velocity, 1.0 / 3.6, 0.0;
    /// Milliampere.
    Milliampere, "mA", "_ma", Current, 1e-3, 0.0;
    /// Millivolt.
    Millivolt, "mV", "_mv", Voltage, 1e-3, 0.0;
    /// Kilovolt.
    Kilovolt, "kV", "_kv", Voltage, 1e3, 0.0;
    /// Megawatt.
    Megawatt, "MW", "_mw", Power, 1e6, 0.0;
    /// Mechanical horsepower of 550 foot-pounds a second (NIST SP 811: 745.6999 W).
    Horsepower, "hp", "_hp", Power, 745.699_871_582_270_2, 0.0;
    /// Volt-ampere.
    VoltAmpere, "VA", "_va", ApparentPower, 1.0, 0.0;
    /// Kilovolt-ampere.
    KilovoltAmpere, "kVA", "_kva", ApparentPower, 1e3, 0.0;
    /// Var. No ending: `_var` is a variance.
    Var, "var", "", ReactivePower, 1.0, 0.0;
    /// Kilovar.
    Kilovar, "kvar", "_kvar", ReactivePower, 1e3, 0.0;
    /// Radian per second.
    RadianPerSecond, "rad/s", "_rad_s", RotationalSpeed, 30.0 / std::f64::consts::PI, 0.0;
    /// Hertz.
    Hertz, "Hz", "_hz", Frequency, 1.0, 0.0;
    /// Kilohertz.
    Kilohertz, "kHz", "_khz", Frequency, 1e3, 0.0;
    /// Megahertz.
    Megahertz, "MHz", "_mhz", Frequency, 1e6, 0.0;
    /// Events a second.
    PerSecond, "1/s", "", Frequency, 1.0, 0.0;
    /// Events a minute.
    PerMinute, "1/min", "", Frequency, 1.0 / 60.0, 0.0;
    /// Metre.
    Metre, "m", "_m", Length, 1.0, 0.0;
    /// Millimetre.
    Millimetre, "mm", "_mm", Length, 1e-3, 0.0;
    /// Centimetre.
    Centimetre, "cm", "_cm", Length, 1e-2, 0.0;
    /// Micrometre.
    Micrometre, "µm", "_um", Length, 1e-6, 0.0;
    /// Kilometre.
    Kilometre, "km", "_km", Length, 1e3, 0.0;
    /// International inch (exactly 25.4 mm). The ending is long: `_in` is an inlet.
    Inch, "in", "_inch", Length, 0.0254, 0.0;
    /// International foot (exactly 0.3048 m).
    Foot, "ft", "_ft", Length, 0.3048, 0.0;
    /// Second.
    Second, "s", "_s", Time, 1.0, 0.0;
    /// Millisecond.
    Millisecond, "ms", "_ms", Time, 1e-3, 0.0;
    /// Minute. The ending is long: `_min` is a minimum.
    Minute, "min", "_minutes", Time, 60.0, 0.0;
    /// Hour.
    Hour, "h", "_h", Time, 3_600.0, 0.0;
    /// Litre per second.
    LitrePerSecond, "L/s", "_l_s", VolumeFlow, 1e-3, 0.0;
    /// Litre per hour.
    LitrePerHour, "L/h", "_l_h", VolumeFlow, 1e-3 / 3_600.0, 0.0;
    /// Cubic metre per second.
    CubicMetrePerSecond, "m³/s", "_m3_s", VolumeFlow, 1.0, 0.0;
    /// Cubic metre per minute.
    CubicMetrePerMinute, "m³/min", "_m3_min", VolumeFlow, 1.0 / 60.0, 0.0;
    /// US gallon (231 cubic inches) per minute.
    GallonPerMinute, "gpm", "_gpm", VolumeFlow, 3.785_411_784e-3 / 60.0, 0.0;
    /// Litre.
    Litre, "L", "_litre", Volume, 1e-3, 0.0;
    /// Cubic metre.
    CubicMetre, "m³", "_m3", Volume, 1.0, 0.0;
    /// Kilogram per second.
    KilogramPerSecond, "kg/s", "_kg_s", MassFlow, 1.0, 0.0;
    /// Kilogram per hour.
    KilogramPerHour, "kg/h", "_kg_h", MassFlow, 1.0 / 3_600.0, 0.0;
    /// Tonne per hour.
    TonnePerHour, "t/h", "_t_h", MassFlow, 1e3 / 3_600.0, 0.0;
    /// Kilogram.
    Kilogram, "kg", "_kg", Mass, 1.0, 0.0;
    /// Tonne.
    Tonne, "t", "_tonne", Mass, 1e3, 0.0;
    /// Newton. The ending is long: `_n` is a number of things.
    Newton, "N", "_newton", Force, 1.0, 0.0;
    /// Kilonewton.
    Kilonewton, "kN", "_kn", Force, 1e3, 0.0;
    /// Newton metre.
    NewtonMetre, "Nm", "_nm", Torque, 1.0, 0.0;
    /// Joule.
    Joule, "J", "_joule", Energy, 1.0, 0.0;
    /// Kilojoule.
    Kilojoule, "kJ", "_kj", Energy, 1e3, 0.0;
    /// Watt hour.
    WattHour, "Wh", "_wh", Energy, 3_600.0, 0.0;
    /// Kilowatt hour.
    KilowattHour, "kWh", "_kwh", Energy, 3.6e6, 0.0;
    /// Megawatt hour.
    MegawattHour, "MWh", "_mwh", Energy, 3.6e9, 0.0;
    /// Ampere hour.
    AmpereHour, "Ah", "_ah", Charge, 3_600.0, 0.0;
    /// Ohm.
    Ohm, "Ω", "_ohm", Resistance, 1.0, 0.0;
    /// Kiloohm.
    Kiloohm, "kΩ", "_kohm", Resistance, 1e3, 0.0;
    /// Megaohm. The ending is long: `_mohm` could be a thousandth.
    Megaohm, "MΩ", "_megaohm", Resistance, 1e6, 0.0;
    /// Siemens per metre.
    SiemensPerMetre, "S/m", "", Conductivity, 1.0, 0.0;
    /// Microsiemens per centimetre.
    MicrosiemensPerCentimetre, "µS/cm", "_us_cm", Conductivity, 1e-4, 0.0;
    /// Microgram per cubic metre.
    MicrogramPerCubicMetre, "µg/m³", "_ug_m3", MassConcentration, 1e-9, 0.0;
    /// Milligram per cubic metre.
    MilligramPerCubicMetre, "mg/m³", "_mg_m3", MassConcentration, 1e-6, 0.0;
    /// Decibel.
    Decibel, "dB", "_db", Level, 1.0, 0.0;
    /// Decibel above one milliwatt.
    DecibelMilliwatt, "dBm", "_dbm", SignalStrength, 1.0, 0.0;
    /// Lux.
    Lux, "lx", "_lx", Illuminance, 1.0, 0.0;
    /// Watt per square metre.
    WattPerSquareMetre, "W/m²", "_w_m2", Irradiance, 1.0, 0.0;
    /// Radian.
    Radian, "rad", "_rad", Angle, 1.0, 0.0;
    /// Degree of angle.
    Degree, "°", "_deg", Angle, std::f64::consts::PI / 180.0, 0.0;
    /// Degree of latitude (WGS 84), north is positive.
    DegreeLatitude, "lat", "_lat", Latitude, 1.0, 0.0;
    /// Degree of longitude (WGS 84), east is positive.
    DegreeLongitude, "lon", "_lon", Longitude, 1.0, 0.0;
    /// pH.
    Ph, "pH", "_ph", Acidity, 1.0, 0.0;
    /// A number of things.
    Pieces, "count", "", Count, 1.0, 0.0;
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

    /// Other spellings: ASCII, UCUM, and those of `SenML`'s registry (RFC 8428 and RFC 8798).
    /// `C`, `F` and `g` are what they mean on machines (degrees and gravity), not coulomb,
    /// farad and gram.
    fn from_alias(symbol: &str) -> Option<Self> {
        Some(match symbol {
            "C" | "Cel" | "degC" | "deg_C" | "℃" | "ºC" => Self::Celsius,
            "F" | "degF" | "[degF]" | "℉" | "ºF" => Self::Fahrenheit,
            "degK" => Self::Kelvin,
            "[psi]" | "PSI" => Self::Psi,
            "mb" => Self::Millibar,
            "m[Hg]" | "mm[Hg]" | "torr" | "Torr" => Self::MillimetreOfMercury,
            "m/s2" | "m/s^2" | "m/s**2" | "m·s⁻²" => Self::MetrePerSecondSquared,
            "[g]" | "gn" | "g0" | "g_n" | "gₙ" => Self::StandardGravity,
            "ips" | "[in_i]/s" => Self::InchPerSecond,
            "l/min" | "lpm" | "LPM" => Self::LitrePerMinute,
            "l/s" => Self::LitrePerSecond,
            "l/h" => Self::LitrePerHour,
            "l" | "ltr" => Self::Litre,
            "m3/h" | "m^3/h" => Self::CubicMetrePerHour,
            "m3/min" | "m^3/min" => Self::CubicMetrePerMinute,
            "m3/s" | "m^3/s" => Self::CubicMetrePerSecond,
            "m3" | "m^3" => Self::CubicMetre,
            "[gal_us]/min" => Self::GallonPerMinute,
            "RPM" | "r/min" | "rev/min" | "U/min" | "min-1" | "min⁻¹" | "{rot}/min" => {
                Self::RevolutionPerMinute
            }
            "percent" | "pct" | "%EL" | "/100" => Self::Percent,
            "% RH" | "%rH" => Self::RelativeHumidity,
            "[ppm]" => Self::PartsPerMillion,
            "/" => Self::One,
            "V.A" | "V·A" => Self::VoltAmpere,
            "VAr" | "VAR" => Self::Var,
            "kVAr" | "kVAR" => Self::Kilovar,
            "HP" | "[HP]" => Self::Horsepower,
            "/s" => Self::PerSecond,
            "/min" | "beat/min" => Self::PerMinute,
            "um" | "μm" => Self::Micrometre,
            "[in_i]" | "inch" => Self::Inch,
            "[ft_i]" => Self::Foot,
            "sec" => Self::Second,
            "hr" => Self::Hour,
            "N.m" | "N·m" | "N*m" => Self::NewtonMetre,
            "W.h" | "W·h" => Self::WattHour,
            "kW.h" | "kW·h" => Self::KilowattHour,
            "A.h" | "A·h" => Self::AmpereHour,
            "Ohm" | "ohm" | "\u{2126}" => Self::Ohm,
            "kOhm" | "kohm" => Self::Kiloohm,
            "MOhm" | "Mohm" => Self::Megaohm,
            "uS/cm" | "μS/cm" => Self::MicrosiemensPerCentimetre,
            "ug/m3" | "μg/m³" | "ug/m^3" => Self::MicrogramPerCubicMetre,
            "mg/m3" | "mg/m^3" => Self::MilligramPerCubicMetre,
            "dB[SPL]" => Self::Decibel,
            "lux" => Self::Lux,
            "W/m2" | "W/m^2" => Self::WattPerSquareMetre,
            "deg" => Self::Degree,
            "[pH]" => Self::Ph,
            "counts" | "pcs" | "{count}" => Self::Pieces,
            _ => return None,
        })
    }

    /// The unit that a signal's name declares by its ending; the longest ending wins, so
    /// `velocity_mm_s` is never read as seconds of anything. `_s`, `_m` and `_h` are also ends
    /// of compound units, so they declare a unit only after a word of three letters or more
    /// that is not `per`: `uptime_s`, but neither `mass_mol_s` nor `cycles_per_h`.
    pub fn from_signal_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .filter(|unit| {
                let suffix = unit.name_suffix();
                !suffix.is_empty()
                    && name.strip_suffix(suffix).is_some_and(|stem| {
                        !stem.is_empty() && (!is_end_of_compounds(suffix) || ends_in_word(stem))
                    })
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

fn is_end_of_compounds(suffix: &str) -> bool {
    matches!(suffix, "_s" | "_m" | "_h")
}

fn ends_in_word(stem: &str) -> bool {
    let word = stem.rsplit('_').next().unwrap_or_default();
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    letters > 3 || (letters == 3 && !matches!(word, "per" | "mol" | "rad" | "bar" | "kwh"))
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
mod tests;
