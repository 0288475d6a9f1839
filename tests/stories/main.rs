//! The stories of the plant, told against the real program.
//!
//! Each module is one story or a few that belong together; what they share lies in `src/`.

mod any_client_speaks_to_the_listener;
mod bad_payloads_are_listed;
mod bearing_wears_out;
mod bench_says_what_it_measured;
mod broker_restarts_mid_batch;
mod closed_registration_refuses_strangers;
mod demo_ends_with_one_json;
mod full_disk;
mod house_in_order;
mod power_is_cut;
mod presses;
mod recorded_pump_fault_becomes_a_work_order;
mod restart_changes_nothing;
mod starting_and_stopping;
