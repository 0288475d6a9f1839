//! From samples to the answer.

use analytics::{
    AnalyticsError,
    vibration::{
        ACCELERATION_BAND, Analyser, Band, BearingLines, Defect, DefectLines, Envelope, Line,
        MachineClass, MachineVibration, Motion, Shape, Spectrum, SpeedProfile, Trace, Window,
        envelope_band, severity_band_for,
    },
};
use telemetry::{Machine, Unit, Waveform};

use super::{
    Kind, POINTS, SpectrumParams, WindowName,
    view::{
        BandView, BearingView, DefectView, EnvelopeView, LineView, PeakView, SeverityView,
        ShapeView, SpectrumPoints, SpectrumView, SpeedView,
    },
};

/// Peaks that are told.
const PEAKS: usize = 20;

/// What an answer is made of.
struct Asked<'a> {
    trace: &'a Trace,
    machine: &'a MachineVibration,
    speed: Option<(SpeedProfile, &'static str)>,
    params: &'a SpectrumParams,
}

/// The spectrum that was asked for, with the word and the unit of it.
struct Made {
    spectrum: Spectrum,
    kind: &'static str,
    unit: Option<Unit>,
    envelope: Option<(Envelope, EnvelopeView)>,
}

pub(super) fn analyse(
    id: u64,
    waveform: &Waveform,
    machine: Option<&Machine>,
    speeds: &[(f64, f64)],
    params: &SpectrumParams,
) -> Result<SpectrumView, AnalyticsError> {
    let trace = Trace::of_waveform(waveform)?;
    let machine = machine.map(MachineVibration::from).unwrap_or_default();
    let asked = Asked {
        speed: speed(params, speeds, machine.rated_speed_rpm)?,
        trace: &trace,
        machine: &machine,
        params,
    };
    let mut analyser = Analyser::new();
    let made = asked.made(&mut analyser)?;
    let spectrum = &made.spectrum;
    let rpm = asked.speed.as_ref().map(|(profile, _)| profile.mean_rpm());
    let is_order = matches!(params.kind, Kind::Order);
    // What one turn a second, or one turn, is on the axis.
    let turn = if is_order {
        Some(1.0)
    } else {
        rpm.map(|rpm| rpm / 60.0)
    };
    let lines = |turn: f64| -> Vec<BearingView> {
        let all = machine.bearings.iter();
        all.map(|one| bearing(one.lines(spectrum, turn), turn))
            .collect()
    };
    let peak = |peak: analytics::vibration::Peak| PeakView {
        at: peak.frequency_hz,
        amplitude: peak.amplitude,
        order: turn.map(|turn| peak.frequency_hz / turn),
    };
    let (severity, no_severity) = asked.severity(&mut analyser, rpm);
    let window = spectrum.window;
    Ok(SpectrumView {
        waveform: id,
        kind: made.kind.to_owned(),
        unit: made.unit,
        axis_unit: if is_order { Unit::One } else { Unit::Hertz },
        window: window.as_str().to_owned(),
        coherent_gain: window.coherent_gain(),
        noise_bandwidth_lines: window.noise_bandwidth(),
        resolution: spectrum.resolution_hz,
        averages: spectrum.averages,
        points: points(spectrum, params),
        peaks: spectrum
            .peaks(visible(spectrum, params), PEAKS)
            .into_iter()
            .map(peak)
            .collect(),
        bands: asked.bands(&mut analyser, rpm, &made),
        shape: shape(&trace),
        severity,
        no_severity: no_severity.map(str::to_owned),
        speed: asked.speed.as_ref().map(|(profile, source)| SpeedView {
            rpm: profile.mean_rpm(),
            source: (*source).to_owned(),
            steady: profile.is_steady(),
        }),
        bearings: turn.map(lines).unwrap_or_default(),
        envelope: made.envelope.map(|(_, view)| view),
    })
}

fn speed(
    params: &SpectrumParams,
    measured: &[(f64, f64)],
    rated: Option<f64>,
) -> Result<Option<(SpeedProfile, &'static str)>, AnalyticsError> {
    let constant = |rpm: f64| SpeedProfile::new(&[(0.0, rpm)]);
    Ok(match (params.speed_rpm, measured, rated) {
        (Some(rpm), _, _) => Some((constant(rpm)?, "given")),
        (None, [_, ..], _) => Some((SpeedProfile::new(measured)?, "measured")),
        (None, [], Some(rpm)) => Some((constant(rpm)?, "rated")),
        (None, [], None) => None,
    })
}

fn failed(problem: &str) -> AnalyticsError {
    AnalyticsError::Waveform {
        problem: problem.to_owned(),
    }
}

impl Asked<'_> {
    fn window(&self) -> Window {
        match self.params.window {
            WindowName::Hann => Window::Hann,
            WindowName::FlatTop => Window::FlatTop,
            WindowName::Rectangular => Window::Rectangular,
        }
    }

    /// Samples of a segment, so that as many as asked for, overlapping by half, fit.
    fn segment(&self, samples: usize) -> usize {
        2 * samples / (self.params.segments.unwrap_or(1) as usize + 1)
    }

    fn made(&self, analyser: &mut Analyser) -> Result<Made, AnalyticsError> {
        let (motion, kind) = match self.params.kind {
            Kind::Envelope => return self.envelope(analyser),
            Kind::Order => return self.orders(analyser),
            Kind::Velocity => (Motion::Velocity, "velocity"),
            Kind::Acceleration => (Motion::Acceleration, "acceleration"),
            Kind::Displacement => (Motion::Displacement, "displacement"),
        };
        let segment = self.segment(self.trace.samples().len());
        let own = analyser.spectrum(self.trace, self.window(), segment);
        // Without a declared unit there is nothing to integrate: the numbers as they came.
        let spectrum = own.integrated(motion).unwrap_or(own);
        Ok(Made {
            unit: spectrum.motion.unit(),
            kind,
            spectrum,
            envelope: None,
        })
    }

    fn orders(&self, analyser: &mut Analyser) -> Result<Made, AnalyticsError> {
        let speed = self.speed.as_ref();
        let (profile, _) = speed.ok_or_else(|| {
            failed("orders need a speed: declare speed_signal or rated_speed_rpm in the model, or give speed_rpm")
        })?;
        let angular = self.trace.by_angle(profile)?;
        Ok(Made {
            spectrum: analyser.order_spectrum(&angular, self.window()),
            kind: "order",
            unit: self.trace.motion().unit(),
            envelope: None,
        })
    }

    fn envelope(&self, analyser: &mut Analyser) -> Result<Made, AnalyticsError> {
        let params = self.params;
        let (band, source, kurtosis) = match (params.band_low_hz, params.band_high_hz) {
            (Some(low), Some(high)) => (Band::new(low, high)?, "given", None),
            _ => match analyser.impulsive_band(self.trace) {
                Some((band, kurtosis)) => (band, "most_impulsive", Some(kurtosis)),
                None => (envelope_band(self.trace.rate_hz()), "usual", None),
            },
        };
        let envelope = analyser.envelope(self.trace, band)?;
        let segment = self.segment(envelope.samples.len());
        let spectrum = analyser.envelope_spectrum(&envelope, self.window(), segment);
        let view = EnvelopeView {
            low_hz: envelope.band.low_hz,
            high_hz: envelope.band.high_hz,
            source: source.to_owned(),
            spectral_kurtosis: kurtosis,
        };
        Ok(Made {
            spectrum,
            kind: "envelope",
            unit: self.trace.motion().unit(),
            envelope: Some((envelope, view)),
        })
    }

    fn severity(
        &self,
        analyser: &mut Analyser,
        rpm: Option<f64>,
    ) -> (Option<SeverityView>, Option<&'static str>) {
        if self.trace.motion() == Motion::Undeclared {
            return (None, Some("no_unit"));
        }
        let Some(class) = &self.machine.class else {
            return (None, Some("no_class"));
        };
        let class = MachineClass {
            speed_rpm: rpm.or(class.speed_rpm),
            ..*class
        };
        let spectrum = analyser.severity_spectrum(self.trace, class.speed_rpm);
        let Some(severity) = class.judge(&spectrum) else {
            return (None, Some("too_short"));
        };
        let view = SeverityView {
            zone: severity.zone.as_str().to_owned(),
            velocity_mm_s: severity.velocity_mm_s,
            displacement_um: severity.displacement_um,
            low_hz: severity.band.low_hz,
            high_hz: severity.band.high_hz,
            velocity_limits_mm_s: class.limits.velocity_mm_s,
            displacement_limits_um: class.limits.displacement_um,
            source: self.machine.limits_source.to_owned(),
        };
        (Some(view), None)
    }

    fn bands(&self, analyser: &mut Analyser, rpm: Option<f64>, made: &Made) -> Vec<BandView> {
        let spectrum = analyser.severity_spectrum(self.trace, rpm);
        let usual = severity_band_for(rpm);
        let mut bands = Vec::new();
        for (name, motion, band) in [
            ("velocity_rms", Motion::Velocity, usual),
            ("acceleration_rms", Motion::Acceleration, ACCELERATION_BAND),
            ("displacement_rms", Motion::Displacement, usual),
        ] {
            let within = band.below(spectrum.highest_hz());
            if let (Some(of), Some(band)) = (spectrum.integrated(motion), within) {
                bands.push(BandView {
                    name: name.to_owned(),
                    low_hz: band.low_hz,
                    high_hz: band.high_hz,
                    rms: of.rms(band),
                    unit: motion.unit(),
                });
            }
        }
        if let Some((envelope, _)) = &made.envelope {
            bands.push(BandView {
                name: "envelope_rms".to_owned(),
                low_hz: envelope.band.low_hz,
                high_hz: envelope.band.high_hz,
                rms: envelope.band_rms(),
                unit: made.unit,
            });
        }
        bands
    }
}

fn shape(trace: &Trace) -> ShapeView {
    let shape = Shape::of(trace);
    ShapeView {
        rms: shape.rms,
        peak: shape.peak,
        crest: shape.crest,
        kurtosis: shape.kurtosis,
        skewness: shape.skewness,
        unit: trace.motion().unit(),
    }
}

/// The part of the axis that was asked for.
fn visible(spectrum: &Spectrum, params: &SpectrumParams) -> Band {
    let low_hz = params.from.unwrap_or(0.0).clamp(0.0, spectrum.highest_hz());
    let high_hz = params.to.unwrap_or(f64::MAX).min(spectrum.highest_hz());
    Band { low_hz, high_hz }
}

/// The highest line of each of so many equal parts.
fn points(spectrum: &Spectrum, params: &SpectrumParams) -> SpectrumPoints {
    let band = visible(spectrum, params);
    let first = (band.low_hz / spectrum.resolution_hz) as usize;
    let last = (band.high_hz / spectrum.resolution_hz).ceil() as usize;
    let lines: Vec<usize> = (first..=last.min(spectrum.density.len() - 1)).collect();
    let size = lines
        .len()
        .div_ceil(params.points.unwrap_or(POINTS) as usize)
        .max(1);
    let highest = |part: &[usize]| {
        let density = |line: &usize| spectrum.density[*line];
        part.iter()
            .copied()
            .max_by(|a, b| density(a).total_cmp(&density(b)))
    };
    let kept: Vec<usize> = lines.chunks(size).filter_map(highest).collect();
    SpectrumPoints {
        at: kept.iter().map(|line| spectrum.frequency(*line)).collect(),
        amplitude: kept.iter().map(|line| spectrum.amplitude(*line)).collect(),
    }
}

fn bearing(lines: BearingLines, turn: f64) -> BearingView {
    let defect = |found: &DefectLines| DefectView {
        defect: Defect::as_str(found.defect).to_owned(),
        at: found.frequency_hz,
        order: found.frequency_hz / turn,
        prominence: found.prominence(),
        harmonics: found.harmonics.iter().map(line).collect(),
        sidebands: found.sidebands.iter().map(line).collect(),
    };
    BearingView {
        defects: lines.defects.iter().map(defect).collect(),
        name: lines.bearing,
    }
}

fn line(line: &Line) -> LineView {
    LineView {
        at: line.frequency_hz,
        amplitude: line.amplitude,
        floor: line.floor,
    }
}
