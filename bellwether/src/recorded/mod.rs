//! Tables as recorders write them: which separator, which column is the time, how times and
//! numbers are written. Replaying and importing read them the same way.

pub(crate) mod header;
pub(crate) mod number;
pub(crate) mod time;
