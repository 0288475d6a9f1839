//! Any detector as one type, chosen by name: what a stage holds and an asset model names.

use serde::{Deserialize, Serialize};

use super::{
    agreement::Agreement,
    among::Among,
    cusum::Cusum,
    detector::{Detector, Part},
    innovation::Innovation,
    learned::Learned,
    level::Level,
    pca::Pca,
    tail::Tail,
};

macro_rules! detectors {
    ($($(#[$doc:meta])* $kind:ident = $name:literal),* $(,)?) => {
        /// Which detector.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            /// Every detector.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The name that an asset model uses.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// Fits this detector; see [`Detector::fit`].
            pub fn fit(self, learned: &Learned, order: &[usize]) -> Option<Any> {
                match self {
                    $(Self::$kind => $kind::fit(learned, order).map(|d| Any::$kind(Box::new(d))),)*
                }
            }
        }

        /// A fitted detector of any kind. Boxed: their sizes differ by a factor of twenty.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub enum Any {
            $($(#[$doc])* $kind(Box<$kind>),)*
        }

        impl Any {
            /// Which detector it is.
            pub const fn kind(&self) -> Kind {
                match self {
                    $(Self::$kind(_) => Kind::$kind,)*
                }
            }

            /// The name in evidence.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $kind::NAME,)*
                }
            }

            /// The version in evidence.
            pub const fn version(&self) -> u16 {
                match self {
                    $(Self::$kind(_) => $kind::VERSION,)*
                }
            }

            /// Whether one row beyond the limit is an alarm; see [`Detector::IS_HELD`].
            pub const fn is_held(&self) -> bool {
                match self {
                    $(Self::$kind(_) => $kind::IS_HELD,)*
                }
            }

            /// Scores a sample; see [`Detector::score`].
            pub fn score(&mut self, at: i64, value: impl Fn(usize) -> f64) -> Option<f64> {
                match self {
                    $(Self::$kind(detector) => detector.score(at, value),)*
                }
            }

            /// What each signal adds to the last score.
            pub fn parts(&self) -> Vec<Part> {
                match self {
                    $(Self::$kind(detector) => detector.parts(),)*
                }
            }

            /// Slot and deviation of each signal in the last sample.
            pub fn each_deviation(&self, visit: impl FnMut(usize, f64)) {
                match self {
                    $(Self::$kind(detector) => detector.each_deviation(visit),)*
                }
            }

            /// Whether a state that came from outside can be worked with.
            pub fn is_consistent(&self, slots: usize) -> bool {
                match self {
                    $(Self::$kind(detector) => detector.is_consistent(slots),)*
                }
            }
        }
    };
}

detectors! {
    /// Level and innovation in agreement: the default for two signals and more.
    Agreement = "agreement",
    /// Tail-calibrated statistics: the default for a signal alone.
    Tail = "tail",
    /// The level view alone.
    Level = "level",
    /// The innovation view alone.
    Innovation = "innovation",
    /// T² and Q.
    Pca = "pca",
    /// One-sided CUSUM of logarithms, for features that grow with damage.
    Cusum = "cusum",
    /// The machine among its peers; says something once it has heard of some.
    Among = "fleet",
}

impl Kind {
    /// What runs when nothing is configured: one signal is compared with its past, several
    /// with each other.
    pub const fn default_for(signals: usize) -> Self {
        if signals < 2 {
            Self::Tail
        } else {
            Self::Agreement
        }
    }

    /// The detector of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_detector_is_found_by_its_name_and_fits() {
        let mut learned = Learned::new(400, 1);
        for row in 0..400_i64 {
            learned.push(row * 1_000_000, |_| 5.0 + (row as f64 * 1.7).sin());
        }
        for &kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
            let any = kind.fit(&learned, &[0]).unwrap();
            assert_eq!(any.kind(), kind);
            assert!(any.is_consistent(1) && !any.is_consistent(0));
            let bytes = postcard::to_stdvec(&any).unwrap();
            assert_eq!(postcard::from_bytes::<Any>(&bytes).unwrap(), any);
        }
        assert_eq!(Kind::from_name("none"), None);
    }
}
