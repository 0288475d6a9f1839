//! The tiers in which a series is kept: readings as they came, and roll-ups.

/// A way to keep a piece of a series, the finest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Every reading.
    Raw,
    /// One row a minute.
    Minute,
    /// One row an hour.
    Hour,
    /// One row a day of UTC.
    Day,
}

impl Tier {
    /// The roll-ups, the finest first.
    pub(crate) const ROLL_UPS: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];
    /// All tiers, the finest first.
    pub(crate) const ALL: [Self; 4] = [Self::Raw, Self::Minute, Self::Hour, Self::Day];

    /// The microseconds a row spans; times are whole microseconds, so a reading spans one.
    pub(crate) const fn step(self) -> i64 {
        match self {
            Self::Raw => 1,
            Self::Minute => 60_000_000,
            Self::Hour => 3_600_000_000,
            Self::Day => 86_400_000_000,
        }
    }

    /// Its place among all tiers, which is also its number on disk.
    pub(crate) const fn number(self) -> usize {
        self as usize
    }

    /// The tier as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// A set of tiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tiers(u8);

impl Tiers {
    pub(crate) const RAW: Self = Self(1);

    pub(crate) const fn has(self, tier: Tier) -> bool {
        self.0 & 1 << tier.number() != 0
    }

    pub(crate) const fn with(self, tier: Tier) -> Self {
        Self(self.0 | 1 << tier.number())
    }

    pub(crate) const fn without(self, tier: Tier) -> Self {
        Self(self.0 & !(1 << tier.number()))
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn finest(self) -> Option<Tier> {
        Tier::ALL.into_iter().find(|tier| self.has(*tier))
    }

    /// Those in the set, the coarsest first.
    pub(crate) fn coarsest_first(self) -> impl Iterator<Item = Tier> {
        Tier::ALL
            .into_iter()
            .rev()
            .filter(move |tier| self.has(*tier))
    }
}
