//! The features of a snapshot: few numbers that can be followed over months.
//!
//! | feature | unit | meaning |
//! |---|---|---|
//! | `velocity_rms_mm_s` | mm/s | RMS velocity in the severity band: unbalance, misalignment, looseness |
//! | `acceleration_rms_m_s2` | m/s² | RMS acceleration, 10 Hz to 10 kHz: everything, bearings and gears most |
//! | `crest` | 1 | peak over RMS: the first impacts |
//! | `kurtosis` | 1 | the same, steadier |
//! | `envelope_rms_m_s2` | m/s² | RMS of the envelope band: how strongly the housing rings |
//! | `<bearing>.bpfo_m_s2` … | m/s² | amplitude of the envelope at a bearing's defect frequencies |
//!
//! A feature that cannot be had is left out: no velocity without a unit, no bearing line
//! without a speed. The envelope band is fixed for a rate (see [`envelope_band`]), so that a
//! rise is a rise of the machine and not another choice of band.

use telemetry::{DERIVED_PREFIX, SignalName, Unit};

use super::{
    ACCELERATION_BAND, Analyser, Band, Bearing, BearingLines, Defect, MachineClass, Motion,
    Severity, Shape, Spectrum, Trace, Window, severity,
};

/// The envelope band: where housings ring (SKF's enveloper band 3 is 500 Hz to 10 kHz).
const ENVELOPE_BAND: Band = Band {
    low_hz: 500.0,
    high_hz: 10_000.0,
};
/// No band reaches beyond this part of the rate: filters begin to fall there.
const USABLE_RATE: f64 = 0.4;
/// At rates too low for the band its lower end is this part of the rate.
const LOW_RATE: f64 = 0.1;
/// Segments of the velocity spectrum hold this many periods of its lower end: resolution
/// enough for the band, and longer snapshots average.
const SEGMENT_PERIODS: f64 = 10.0;

/// What is told of one snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct WaveformFeatures {
    /// The samples as they are.
    pub shape: Shape,
    /// RMS velocity in the severity band, in mm/s; none without a declared unit or when the
    /// snapshot does not cover the band.
    pub velocity_rms_mm_s: Option<f64>,
    /// RMS acceleration from 10 Hz to 10 kHz or as far as the rate reaches, in m/s²; none
    /// without a declared unit.
    pub acceleration_rms_m_s2: Option<f64>,
    /// RMS of the envelope band, in the unit of the trace.
    pub envelope_rms: Option<f64>,
    /// The unit of the envelope.
    pub envelope_unit: Option<Unit>,
    /// The lines of each bearing in the envelope's spectrum; empty without a speed.
    pub bearings: Vec<BearingLines>,
    /// The zone; none without a class.
    pub severity: Option<Severity>,
}

/// A feature as a signal.
#[derive(Debug, Clone, PartialEq)]
pub struct WaveformSignal {
    /// Its name, `waveform.<axis>.<feature>`.
    pub name: SignalName,
    /// Its value.
    pub value: f64,
    /// Its unit, when there is one.
    pub unit: Option<Unit>,
}

/// The band of the envelope for a rate: 500 Hz to 10 kHz, cut at 0.4 of the rate; of rates
/// below 2.5 kHz from a tenth of the rate on.
pub fn envelope_band(rate_hz: f64) -> Band {
    let high_hz = ENVELOPE_BAND.high_hz.min(USABLE_RATE * rate_hz);
    let low_hz = if 2.0 * ENVELOPE_BAND.low_hz <= high_hz {
        ENVELOPE_BAND.low_hz
    } else {
        LOW_RATE * rate_hz
    };
    Band { low_hz, high_hz }
}

impl WaveformFeatures {
    /// The features of a trace. `class` gives the zone, `bearings` with a speed their lines.
    pub fn of(
        analyser: &mut Analyser,
        trace: &Trace,
        class: Option<&MachineClass>,
        bearings: &[Bearing],
        speed_rpm: Option<f64>,
    ) -> Self {
        let speed_rpm = speed_rpm.or(class.and_then(|class| class.speed_rpm));
        let spectrum = analyser.severity_spectrum(trace, speed_rpm);
        let band = severity::band_for(speed_rpm);
        let velocity = spectrum
            .integrated(Motion::Velocity)
            .filter(|velocity| severity::covers(velocity, band));
        let acceleration = spectrum.integrated(Motion::Acceleration);
        let within = ACCELERATION_BAND.below(USABLE_RATE * trace.rate_hz());
        let envelope = analyser
            .envelope(trace, envelope_band(trace.rate_hz()))
            .ok();
        let lines = |rpm: f64| -> Vec<BearingLines> {
            let Some(envelope) = envelope.as_ref().filter(|_| !bearings.is_empty()) else {
                return Vec::new();
            };
            let spectrum = analyser.envelope_spectrum(envelope, Window::Hann, usize::MAX);
            let lines = bearings
                .iter()
                .map(|bearing| bearing.lines(&spectrum, rpm / 60.0));
            lines.collect()
        };
        Self {
            shape: Shape::of(trace),
            velocity_rms_mm_s: velocity.map(|velocity| velocity.rms(band)),
            acceleration_rms_m_s2: acceleration
                .zip(within)
                .map(|(spectrum, band)| spectrum.rms(band)),
            bearings: speed_rpm
                .filter(|rpm| *rpm > 0.0)
                .map(lines)
                .unwrap_or_default(),
            envelope_rms: envelope.as_ref().map(super::Envelope::band_rms),
            envelope_unit: trace.motion().unit(),
            severity: class.and_then(|class| class.judge(&spectrum)),
        }
    }

    /// The features as signals of the device: `waveform.<axis>.<feature>`. The axis is what
    /// names the measuring point; sensors of one device that share an axis share the names. A
    /// feature whose name would be longer than a name may be is left out.
    pub fn signals(&self, axis: Option<&str>) -> Vec<WaveformSignal> {
        let stem = match axis {
            Some(axis) => format!("{DERIVED_PREFIX}{axis}."),
            None => DERIVED_PREFIX.to_owned(),
        };
        let mut found = Vec::new();
        let mut add = |name: &str, value: Option<f64>, unit: Option<Unit>| {
            let suffix = unit.map_or("", Unit::name_suffix);
            let name = SignalName::new(&format!("{stem}{name}{suffix}"));
            if let (Ok(name), Some(value)) = (name, value.filter(|value| value.is_finite())) {
                found.push(WaveformSignal { name, value, unit });
            }
        };
        let (velocity, acceleration) = (Unit::MillimetrePerSecond, Unit::MetrePerSecondSquared);
        add("velocity_rms", self.velocity_rms_mm_s, Some(velocity));
        add(
            "acceleration_rms",
            self.acceleration_rms_m_s2,
            Some(acceleration),
        );
        add("crest", self.shape.crest, None);
        add("kurtosis", self.shape.kurtosis, None);
        add("envelope_rms", self.envelope_rms, self.envelope_unit);
        for lines in &self.bearings {
            for part in &lines.defects {
                // The cage's line is low and near others: it is shown, not followed.
                if part.defect != Defect::Cage {
                    let name = format!("{}.{}", lines.bearing, part.defect.as_str());
                    add(&name, part.amplitude(), self.envelope_unit);
                }
            }
        }
        found
    }
}

impl Analyser {
    /// The spectrum velocity and zones are read from: Hann windows over ten periods of the
    /// lower end of the severity band.
    pub fn severity_spectrum(&mut self, trace: &Trace, speed_rpm: Option<f64>) -> Spectrum {
        let low_hz = severity::band_for(speed_rpm).low_hz;
        let segment = (SEGMENT_PERIODS * trace.rate_hz() / low_hz).ceil() as usize;
        self.spectrum(trace, Window::Hann, segment)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Foundation, MachineGroup, testing::*},
        *,
    };

    fn bearing() -> Bearing {
        Bearing::new("de", 9, 7.94, 39.04, 0.0).unwrap()
    }

    #[test]
    fn the_envelope_band_fits_the_rate() {
        for (rate, low, high) in [
            (51_200.0, 500.0, 10_000.0),
            (25_600.0, 500.0, 10_000.0),
            (12_000.0, 500.0, 4800.0),
            (2_000.0, 200.0, 800.0),
            (800.0, 80.0, 320.0),
        ] {
            assert_eq!(
                envelope_band(rate),
                Band {
                    low_hz: low,
                    high_hz: high
                },
                "{rate}"
            );
        }
    }

    #[test]
    fn a_worn_bearing_shows_in_its_own_feature_long_before_the_velocity() {
        let speed = Some(1500.0);
        let class = MachineClass::of(MachineGroup::Medium, Foundation::Rigid, speed);
        let hum = sines(25_600, 25_600.0, &[(25.0, 0.2)]);
        let quiet = noise(25_600, 0.5, 3);
        let hits = impacts(
            25_600,
            25_600.0,
            bearing().order(Defect::OuterRing) * 25.0,
            4000.0,
        );
        let with = |worn: f64| {
            let parts = hum.samples().iter().zip(&quiet).zip(&hits);
            let samples = parts.map(|((a, b), c)| a + b + worn * c).collect();
            let trace = trace(samples, 25_600.0);
            WaveformFeatures::of(
                &mut Analyser::new(),
                &trace,
                Some(&class),
                &[bearing()],
                None,
            )
        };
        let (new, old) = (with(0.0), with(1.0));
        let outer =
            |features: &WaveformFeatures| features.bearings[0].defects[0].amplitude().unwrap();
        assert!(
            outer(&old) > 5.0 * outer(&new),
            "{} {}",
            outer(&old),
            outer(&new)
        );
        let velocity = |features: &WaveformFeatures| features.velocity_rms_mm_s.unwrap();
        assert_near(velocity(&old), velocity(&new), 0.05);
        assert_eq!(old.severity.unwrap().zone, new.severity.unwrap().zone);
        assert!(old.shape.kurtosis > new.shape.kurtosis);
    }

    #[test]
    fn features_are_named_after_the_axis_with_the_unit_last() {
        let trace = trace(noise(25_600, 1.0, 3), 25_600.0);
        let features = WaveformFeatures::of(
            &mut Analyser::new(),
            &trace,
            None,
            &[bearing()],
            Some(1500.0),
        );
        let names: Vec<String> = features
            .signals(Some("x"))
            .iter()
            .map(|one| {
                assert_eq!(
                    Unit::from_signal_name(one.name.as_str()),
                    one.unit,
                    "{}",
                    one.name
                );
                one.name.to_string()
            })
            .collect();
        assert_eq!(
            names,
            [
                "waveform.x.velocity_rms_mm_s",
                "waveform.x.acceleration_rms_m_s2",
                "waveform.x.crest",
                "waveform.x.kurtosis",
                "waveform.x.envelope_rms_m_s2",
                "waveform.x.de.bpfo_m_s2",
                "waveform.x.de.bpfi_m_s2",
                "waveform.x.de.bsf2_m_s2",
            ]
        );
        let plain = features.signals(None);
        assert_eq!(plain[0].name.as_str(), "waveform.velocity_rms_mm_s");
        let long = "x".repeat(60);
        assert_eq!(features.signals(Some(&long)), [], "names too long for one");
    }

    #[test]
    fn nothing_is_said_that_is_not_known() {
        let plain = Trace::of(Motion::Undeclared, noise(25_600, 1.0, 3), 25_600.0).unwrap();
        let class = MachineClass::of(MachineGroup::Medium, Foundation::Rigid, None);
        let features = WaveformFeatures::of(
            &mut Analyser::new(),
            &plain,
            Some(&class),
            &[bearing()],
            None,
        );
        assert_eq!(features.velocity_rms_mm_s, None);
        assert_eq!(features.acceleration_rms_m_s2, None);
        assert_eq!(features.severity, None);
        assert_eq!(features.bearings, [], "no speed");
        assert!(features.envelope_rms.is_some());
        let flat = trace(vec![1.0; 25_600], 25_600.0);
        let features = WaveformFeatures::of(
            &mut Analyser::new(),
            &flat,
            Some(&class),
            &[bearing()],
            Some(1500.0),
        );
        assert_eq!(features.shape.crest, None);
        let signals = features.signals(None);
        assert!(
            signals.iter().all(|one| one.value.abs() < 1e-9),
            "{signals:?}"
        );
    }

    #[test]
    fn the_unit_sent_does_not_matter() {
        let g: Vec<f32> = noise(25_600, 0.1, 3)
            .into_iter()
            .map(|v| v as f32)
            .collect();
        let si: Vec<f32> = g
            .iter()
            .map(|v| (f64::from(*v) * 9.806_65) as f32)
            .collect();
        let of = |samples: &[f32], unit| {
            let trace = Trace::new(samples, 25_600.0, Some(unit)).unwrap();
            WaveformFeatures::of(
                &mut Analyser::new(),
                &trace,
                None,
                &[bearing()],
                Some(1500.0),
            )
        };
        let a = of(&g, Unit::StandardGravity).signals(None);
        let b = of(&si, Unit::MetrePerSecondSquared).signals(None);
        assert_eq!(a.len(), 8);
        for (a, b) in a.iter().zip(&b) {
            assert_near(a.value, b.value, 1e-5);
        }
    }
}
