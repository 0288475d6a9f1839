//! Rolling bearings: at which frequencies damage repeats, and how much there is at them.
//!
//! With the outer ring at rest, n rolling elements of diameter d on a pitch diameter D and the
//! contact angle φ, r = d / D · cos φ, in multiples of the shaft speed:
//!
//! | part | frequency | formula |
//! |---|---|---|
//! | cage | FTF | (1 − r) / 2 |
//! | outer ring | BPFO | n (1 − r) / 2 |
//! | inner ring | BPFI | n (1 + r) / 2 |
//! | rolling element | BSF | D / (2 d) · (1 − r²) |
//!
//! A damaged rolling element meets both rings in one turn, so its lines are mostly at 2 · BSF.
//! Real bearings slip by one or two percent, so lines are looked for near the frequency.
//! Damage of the inner ring passes the load once a turn, of a rolling element once a turn of
//! the cage: its lines carry sidebands at that distance.
//!
//! # Source
//! Harris, "Rolling Bearing Analysis"; Randall and Antoni, "Rolling element bearing
//! diagnostics, a tutorial", Mech. Syst. Signal Process. 25 (2011), equations 1 to 4.

use super::{Band, Spectrum};
use crate::AnalyticsError;

/// How far a line may lie from where geometry puts it, as a part: slip (Randall and Antoni).
const SLIP: f64 = 0.02;
/// Lines around a frequency that the floor is taken from, each way.
const FLOOR_LINES: usize = 40;
/// A line below this part of the largest one of its spectrum is none: 60 dB down lies what windows
/// leak and converters round, and without noise a ratio of two such nothings can be anything.
/// So no line stands more than a thousand times above its surroundings.
const NEGLIGIBLE: f64 = 1e-3;
/// Harmonics that are looked at, the first among them.
const HARMONICS: u32 = 5;
/// Sidebands each way of the first line.
const SIDEBANDS: i32 = 2;

/// The geometry of a bearing.
#[derive(Debug, Clone, PartialEq)]
pub struct Bearing {
    name: String,
    balls: u32,
    /// d / D · cos φ.
    ratio: f64,
    /// D / d.
    pitch_over_ball: f64,
}

/// Which part is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Defect {
    /// The outer ring: BPFO.
    OuterRing,
    /// The inner ring: BPFI.
    InnerRing,
    /// A rolling element: twice BSF, because it meets both rings in one turn.
    RollingElement,
    /// The cage: FTF.
    Cage,
}

impl Defect {
    /// Every part.
    pub const ALL: [Self; 4] = [
        Self::OuterRing,
        Self::InnerRing,
        Self::RollingElement,
        Self::Cage,
    ];

    /// The word in names of features and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OuterRing => "bpfo",
            Self::InnerRing => "bpfi",
            Self::RollingElement => "bsf2",
            Self::Cage => "ftf",
        }
    }
}

/// Defect frequencies in multiples of the shaft speed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DefectOrders {
    /// Ball pass frequency of the outer ring.
    pub bpfo: f64,
    /// Ball pass frequency of the inner ring.
    pub bpfi: f64,
    /// Ball spin frequency.
    pub bsf: f64,
    /// Fundamental train (cage) frequency.
    pub ftf: f64,
}

impl Bearing {
    /// Geometry in millimetres and degrees; a diameter in any other unit does as well, when
    /// both are in it.
    ///
    /// # Errors
    /// [`AnalyticsError::Waveform`] for numbers no bearing has: fewer than 3 elements or more
    /// than 1,000, elements as wide as the pitch circle, an angle of 90° or more.
    pub fn new(
        name: &str,
        balls: u32,
        ball_diameter_mm: f64,
        pitch_diameter_mm: f64,
        contact_angle_deg: f64,
    ) -> Result<Self, AnalyticsError> {
        let fits = ball_diameter_mm > 0.0
            && pitch_diameter_mm.is_finite()
            && ball_diameter_mm < pitch_diameter_mm;
        if !(3..=1000).contains(&balls) || !fits || !(0.0..90.0).contains(&contact_angle_deg) {
            return Err(AnalyticsError::Waveform {
                problem: format!(
                    "no bearing has {balls} elements of {ball_diameter_mm} mm on a pitch circle \
                     of {pitch_diameter_mm} mm at {contact_angle_deg}°"
                ),
            });
        }
        let cosine = contact_angle_deg.to_radians().cos();
        Ok(Self {
            name: name.to_owned(),
            balls,
            ratio: ball_diameter_mm / pitch_diameter_mm * cosine,
            pitch_over_ball: pitch_diameter_mm / ball_diameter_mm,
        })
    }

    /// What it is called, such as `drive end`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its defect frequencies.
    pub fn orders(&self) -> DefectOrders {
        let (n, r) = (f64::from(self.balls), self.ratio);
        DefectOrders {
            bpfo: n * (1.0 - r) / 2.0,
            bpfi: n * (1.0 + r) / 2.0,
            bsf: self.pitch_over_ball / 2.0 * (1.0 - r * r),
            ftf: (1.0 - r) / 2.0,
        }
    }

    /// The frequency lines of a damaged part repeat at, in multiples of the shaft speed.
    pub fn order(&self, defect: Defect) -> f64 {
        let orders = self.orders();
        match defect {
            Defect::OuterRing => orders.bpfo,
            Defect::InnerRing => orders.bpfi,
            Defect::RollingElement => 2.0 * orders.bsf,
            Defect::Cage => orders.ftf,
        }
    }

    /// The distance of sidebands in multiples of the shaft speed; none where there are none.
    fn sideband(&self, defect: Defect) -> Option<f64> {
        match defect {
            Defect::InnerRing => Some(1.0),
            Defect::RollingElement => Some(self.orders().ftf),
            Defect::OuterRing | Defect::Cage => None,
        }
    }

    /// Looks for the lines of each part's damage in a spectrum (of the envelope, mostly). In a
    /// spectrum by order `speed_hz` is 1.
    pub fn lines(&self, spectrum: &Spectrum, speed_hz: f64) -> BearingLines {
        let all = spectrum.density.get(1..).unwrap_or_default();
        let largest = (1..=all.len())
            .max_by(|a, b| spectrum.density[*a].total_cmp(&spectrum.density[*b]))
            .map_or(0.0, |line| spectrum.amplitude(line));
        let least = NEGLIGIBLE * largest;
        let lines = |defect: Defect| self.defect_lines(defect, (spectrum, least), speed_hz);
        BearingLines {
            bearing: self.name.clone(),
            defects: Defect::ALL.into_iter().map(lines).collect(),
        }
    }

    fn defect_lines(&self, defect: Defect, of: (&Spectrum, f64), speed_hz: f64) -> DefectLines {
        let frequency_hz = self.order(defect) * speed_hz;
        let harmonic = |h: u32| Line::near(of, frequency_hz * f64::from(h));
        let harmonics: Vec<Line> = (1..=HARMONICS).map_while(harmonic).collect();
        // Sidebands lie beside the line that was found, not beside where it should be.
        let centre = harmonics
            .first()
            .map_or(frequency_hz, |line| line.frequency_hz);
        let steps = (-SIDEBANDS..=SIDEBANDS).filter(|step| *step != 0);
        let sidebands = self.sideband(defect).into_iter().flat_map(|distance| {
            let at = move |step: i32| centre + f64::from(step) * distance * speed_hz;
            steps
                .clone()
                .filter_map(move |step| Line::near(of, at(step)))
        });
        DefectLines {
            defect,
            frequency_hz,
            sidebands: sidebands.collect(),
            harmonics,
        }
    }
}

/// What was found near a frequency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Where the highest line near it is, in hertz.
    pub frequency_hz: f64,
    /// Its peak amplitude in the unit of the spectrum.
    pub amplitude: f64,
    /// The median amplitude of the lines around it: what noise alone would give; at least what is
    /// negligible beside the largest line of the spectrum.
    pub floor: f64,
}

impl Line {
    /// The highest line near a frequency; none when the spectrum does not reach so far.
    /// What is negligible in it comes with the spectrum.
    fn near((spectrum, least): (&Spectrum, f64), frequency_hz: f64) -> Option<Self> {
        let reach = (SLIP * frequency_hz).max(1.5 * spectrum.resolution_hz);
        let low_hz = (frequency_hz - reach).max(spectrum.resolution_hz);
        let high_hz = frequency_hz + reach;
        if high_hz > spectrum.highest_hz() {
            return None;
        }
        let lines = spectrum.lines(Band { low_hz, high_hz });
        let around = lines.start.saturating_sub(FLOOR_LINES).max(1)
            ..(lines.end + FLOOR_LINES).min(spectrum.density.len());
        let highest = lines.max_by(|a, b| spectrum.density[*a].total_cmp(&spectrum.density[*b]))?;
        let mut floor: Vec<f64> = around.map(|line| spectrum.amplitude(line)).collect();
        let middle = floor.len() / 2;
        let floor = *floor.select_nth_unstable_by(middle, f64::total_cmp).1;
        let peak = spectrum.refined(highest);
        Some(Self {
            frequency_hz: peak.frequency_hz,
            amplitude: peak.amplitude,
            floor: floor.max(least),
        })
    }
}

/// The lines of one part's damage.
#[derive(Debug, Clone, PartialEq)]
pub struct DefectLines {
    /// The part.
    pub defect: Defect,
    /// Where geometry puts its first line, in hertz.
    pub frequency_hz: f64,
    /// The first line and its multiples, as far as the spectrum reaches, five at most.
    pub harmonics: Vec<Line>,
    /// The lines beside the first, two each way, for parts that have any.
    pub sidebands: Vec<Line>,
}

impl DefectLines {
    /// The first line's amplitude; none when the spectrum does not reach it.
    pub fn amplitude(&self) -> Option<f64> {
        self.harmonics.first().map(|line| line.amplitude)
    }

    /// How far the first line stands above its surroundings, as a ratio; noise gives 2 to 4.
    pub fn prominence(&self) -> Option<f64> {
        let line = self.harmonics.first()?;
        (line.floor > 0.0).then(|| line.amplitude / line.floor)
    }
}

/// The lines of all parts of a bearing.
#[derive(Debug, Clone, PartialEq)]
pub struct BearingLines {
    /// The bearing's name.
    pub bearing: String,
    /// One entry a part, in the order of [`Defect::ALL`].
    pub defects: Vec<DefectLines>,
}

#[cfg(test)]
mod tests {
    use super::{
        super::{testing::*, *},
        *,
    };

    #[test]
    fn published_bearings_have_their_published_frequencies() {
        // SKF 6205-2RS, drive end of the Case Western Reserve rig: 9 balls of 0.3126 in on
        // 1.537 in. Its bearing page gives BPFI 5.4152, BPFO 3.5848, FTF 0.39828 and, as
        // "rolling element", 4.7135 (twice the spin).
        let skf = Bearing::new("6205", 9, 0.3126, 1.537, 0.0)
            .unwrap()
            .orders();
        assert_near(skf.bpfi, 5.4152, 1e-4);
        assert_near(skf.bpfo, 3.5848, 1e-4);
        assert_near(skf.ftf, 0.398_28, 2e-4);
        assert_near(2.0 * skf.bsf, 4.7135, 1e-4);
        // Rexnord ZA-2115 of the IMS run-to-failure rig at 2000 rpm: 16 rollers of 0.331 in on
        // 2.815 in at 15.17°. Qiu et al., J. Sound Vib. 289 (2006): BPFO 236.4 Hz, BPFI
        // 296.9 Hz; roller 139.9 Hz, cage 14.8 Hz.
        let rexnord = Bearing::new("ZA-2115", 16, 0.331, 2.815, 15.17)
            .unwrap()
            .orders();
        let hz = 2000.0 / 60.0;
        assert_near(rexnord.bpfo * hz, 236.4, 1e-3);
        assert_near(rexnord.bpfi * hz, 296.9, 1e-3);
        assert_near(rexnord.bsf * hz, 139.9, 1e-3);
        assert_near(rexnord.ftf * hz, 14.8, 3e-3);
    }

    #[test]
    fn geometry_no_bearing_has_is_refused() {
        for (balls, ball, pitch, angle) in [
            (2, 8.0, 39.0, 0.0),
            (9, 0.0, 39.0, 0.0),
            (9, 39.0, 39.0, 0.0),
            (9, 8.0, f64::INFINITY, 0.0),
            (9, 8.0, 39.0, 90.0),
            (9, f64::NAN, 39.0, 0.0),
        ] {
            assert!(Bearing::new("x", balls, ball, pitch, angle).is_err());
        }
    }

    #[test]
    fn the_parts_share_one_cage() {
        let bearing = Bearing::new("x", 12, 7.0, 46.0, 20.0).unwrap();
        let orders = bearing.orders();
        // All elements pass one ring or the other: BPFO + BPFI = n, and BPFO = n · FTF.
        assert_near(orders.bpfo + orders.bpfi, 12.0, 1e-12);
        assert_near(orders.bpfo, 12.0 * orders.ftf, 1e-12);
        assert_near(
            bearing.order(Defect::RollingElement),
            2.0 * orders.bsf,
            1e-12,
        );
    }

    /// An impact train at a part's frequency, a little slip, much noise: the part is found.
    #[test]
    fn impacts_at_a_part_stand_out_there_and_nowhere_else() {
        let bearing = Bearing::new("6205", 9, 0.3126, 1.537, 0.0).unwrap();
        let speed_hz = 1797.0 / 60.0;
        for defect in [Defect::OuterRing, Defect::InnerRing] {
            let hits = bearing.order(defect) * speed_hz * 0.99;
            let clean = impacts(65_536, 12_000.0, hits, 3000.0);
            let noisy = clean
                .iter()
                .zip(noise(65_536, 0.3, 9))
                .map(|(a, b)| a + b)
                .collect();
            let mut analyser = Analyser::new();
            let band = Band::new(2000.0, 4000.0).unwrap();
            let envelope = analyser.envelope(&trace(noisy, 12_000.0), band).unwrap();
            let spectrum = analyser.envelope_spectrum(&envelope, Window::Hann, usize::MAX);
            for found in bearing.lines(&spectrum, speed_hz).defects {
                let prominence = found.prominence().unwrap();
                assert_eq!(
                    prominence > 10.0,
                    found.defect == defect,
                    "{:?} {prominence}",
                    found.defect
                );
                if found.defect == defect {
                    assert_near(found.harmonics[0].frequency_hz, hits, 2e-3);
                    let second = found.harmonics[1];
                    assert!(second.amplitude > 5.0 * second.floor, "harmonics too");
                }
            }
        }
    }

    /// A sine without any noise: what the window leaks where the bearing's lines would be is a
    /// million times above nothing, and no line.
    #[test]
    fn where_there_is_nothing_nothing_stands_out() {
        let bearing = Bearing::new("6205", 9, 0.3126, 1.537, 0.0).unwrap();
        let tau = std::f64::consts::TAU;
        let value = |n: usize| (tau * 25.0 * n as f64 / 12_000.0).sin();
        let trace = trace((0..48_000).map(value).collect(), 12_000.0);
        let spectrum = Analyser::new().spectrum(&trace, Window::Hann, usize::MAX);
        for found in bearing.lines(&spectrum, 30.0).defects {
            let prominence = found.prominence().unwrap();
            assert!(prominence < 2.0, "{:?} {prominence}", found.defect);
        }
        // The line of the sine itself stands a thousand times above it all, and not more.
        let sine = bearing.lines(&spectrum, 25.0 / bearing.order(Defect::OuterRing));
        let prominence = sine.defects[0].prominence().unwrap();
        assert!((900.0..=1_001.0).contains(&prominence), "{prominence}");
    }

    #[test]
    fn load_turns_the_lines_of_the_inner_ring_into_sidebands() {
        let bearing = Bearing::new("6205", 9, 0.3126, 1.537, 0.0).unwrap();
        let (speed, rate, count) = (30.0, 12_000.0, 48_000);
        let hits = bearing.order(Defect::InnerRing) * speed;
        let tau = std::f64::consts::TAU;
        // The envelope of a loaded inner ring in closed form: 1 + cos at BPFI, times the load.
        let value = |n: usize| {
            let t = n as f64 / rate;
            let load = 1.0 + 0.6 * (tau * speed * t).cos();
            (1.0 + 0.5 * (tau * hits * t).cos()) * load * (tau * 3000.0 * t).cos()
        };
        let mut analyser = Analyser::new();
        let trace = trace((0..count).map(value).collect(), rate);
        let envelope = analyser
            .envelope(&trace, Band::new(2000.0, 4000.0).unwrap())
            .unwrap();
        let spectrum = analyser.envelope_spectrum(&envelope, Window::Hann, usize::MAX);
        let found = &bearing.lines(&spectrum, speed).defects[1];
        assert_near(found.amplitude().unwrap(), 0.5, 0.02);
        // 0.5 · 0.6 / 2 each side, at one turn's distance.
        let (lower, upper) = (found.sidebands[1], found.sidebands[2]);
        assert_near(upper.frequency_hz - lower.frequency_hz, 2.0 * speed, 1e-2);
        assert_near(lower.amplitude, 0.15, 0.05);
        assert_near(upper.amplitude, 0.15, 0.05);
    }
}
