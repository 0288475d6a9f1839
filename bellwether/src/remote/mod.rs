//! The verbs that speak to a running Bellwether through its API: devices, onboarding, dead
//! letters, cases.

pub(crate) mod cases;
pub(crate) mod client;
pub(crate) mod dead_letters;
pub(crate) mod devices;
pub(crate) mod onboard;
