//! The answer.

use serde::Serialize;
use telemetry::Unit;
use utoipa::ToSchema;

/// A spectrum and what is read off it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SpectrumView {
    /// The waveform.
    pub waveform: u64,
    /// `velocity`, `acceleration`, `displacement`, `envelope` or `order`.
    pub kind: String,
    /// The symbol of the unit of amplitudes, which are peak amplitudes; null when the unit of
    /// the samples is not declared.
    #[schema(value_type = Option<String>)]
    pub unit: Option<Unit>,
    /// The symbol of the unit of the axis: `Hz`, or `1` for orders.
    #[schema(value_type = String)]
    pub axis_unit: Unit,
    /// `hann`, `flat_top` or `rectangular`.
    pub window: String,
    /// The part of a line's height the window leaves; amplitudes allow for it.
    pub coherent_gain: f64,
    /// How many lines wide the window makes noise; bands allow for it.
    pub noise_bandwidth_lines: f64,
    /// The distance between two lines on the axis.
    pub resolution: f64,
    /// Segments that were averaged.
    pub averages: u32,
    /// The points, the highest line of each part of the axis.
    pub points: SpectrumPoints,
    /// The highest lines, the highest first.
    pub peaks: Vec<PeakView>,
    /// Root mean squares of the bands.
    pub bands: Vec<BandView>,
    /// The samples as they are.
    pub shape: ShapeView,
    /// The severity zone; null when it cannot be given.
    pub severity: Option<SeverityView>,
    /// Why there is no zone: `no_unit`, `no_class` or `too_short`; null when there is one.
    pub no_severity: Option<String>,
    /// The speed of the shaft; null when it is not known.
    pub speed: Option<SpeedView>,
    /// The lines of the machine's bearings; empty without a speed or a declared bearing.
    pub bearings: Vec<BearingView>,
    /// The band the envelope was taken of; null for other kinds.
    pub envelope: Option<EnvelopeView>,
}

/// Points in two columns.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SpectrumPoints {
    /// Hertz, or orders.
    pub at: Vec<f64>,
    /// Peak amplitudes.
    pub amplitude: Vec<f64>,
}

/// A line that stands out.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct PeakView {
    /// Where on the axis.
    pub at: f64,
    /// Its peak amplitude.
    pub amplitude: f64,
    /// The same place in multiples of the shaft speed; null when that is not known.
    pub order: Option<f64>,
}

/// The root mean square of a band.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BandView {
    /// `velocity_rms`, `acceleration_rms`, `displacement_rms` or `envelope_rms`.
    pub name: String,
    /// The lower end.
    pub low_hz: f64,
    /// The upper end.
    pub high_hz: f64,
    /// The value.
    pub rms: f64,
    /// The symbol of its unit; null when that of the samples is not declared.
    #[schema(value_type = Option<String>)]
    pub unit: Option<Unit>,
}

/// What the samples say without a spectrum, in the base unit of their motion.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct ShapeView {
    /// Root mean square about the mean.
    pub rms: f64,
    /// The greatest distance from the mean.
    pub peak: f64,
    /// Peak over RMS; null when the samples are constant.
    pub crest: Option<f64>,
    /// 3 for noise, more with impacts; null when the samples are constant.
    pub kurtosis: Option<f64>,
    /// 0 for anything symmetric; null when the samples are constant.
    pub skewness: Option<f64>,
    /// The symbol of the unit of RMS and peak.
    #[schema(value_type = Option<String>)]
    pub unit: Option<Unit>,
}

/// How severe the vibration is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SeverityView {
    /// `A` to `D`.
    pub zone: String,
    /// RMS velocity.
    pub velocity_mm_s: f64,
    /// RMS displacement.
    pub displacement_um: f64,
    /// The lower end of the band.
    pub low_hz: f64,
    /// The upper end of the band.
    pub high_hz: f64,
    /// The upper ends of zones A, B and C for velocity.
    pub velocity_limits_mm_s: [f64; 3],
    /// The upper ends of zones A, B and C for displacement.
    pub displacement_limits_um: [f64; 3],
    /// Whose limits: `ISO 10816-3:2009` or `model`.
    pub source: String,
}

/// The speed of the shaft.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SpeedView {
    /// In revolutions a minute.
    pub rpm: f64,
    /// `given`, `measured` or `rated`.
    pub source: String,
    /// Whether it was as good as constant over the snapshot.
    pub steady: bool,
}

/// The lines of one bearing.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BearingView {
    /// Its name.
    pub name: String,
    /// One entry a part.
    pub defects: Vec<DefectView>,
}

/// The lines of one part of a bearing.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DefectView {
    /// `bpfo`, `bpfi`, `bsf2` (twice the spin) or `ftf`.
    pub defect: String,
    /// Where geometry puts its first line on the axis.
    pub at: f64,
    /// The same in multiples of the shaft speed.
    pub order: f64,
    /// How far the first line stands above its surroundings; null when it is beyond the axis.
    pub prominence: Option<f64>,
    /// The first line and its multiples as they were found, within 2 %.
    pub harmonics: Vec<LineView>,
    /// The lines beside the first.
    pub sidebands: Vec<LineView>,
}

/// A line that was found.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct LineView {
    /// Where on the axis.
    pub at: f64,
    /// Its peak amplitude.
    pub amplitude: f64,
    /// The median amplitude around it.
    pub floor: f64,
}

/// The band of an envelope.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EnvelopeView {
    /// The lower end.
    pub low_hz: f64,
    /// The upper end.
    pub high_hz: f64,
    /// `given`, `most_impulsive` or, when no band could be told apart, `usual`.
    pub source: String,
    /// How impulsive it is (spectral kurtosis: 0 for noise); null when the band was not chosen
    /// by it.
    pub spectral_kurtosis: Option<f64>,
}
