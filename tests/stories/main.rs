//! The stories of the plant, told against the real program.
//!
//! Each module is one story or a few that belong together; what they share lies in `src/`.

mod a_flood_hides_nothing;
mod a_lost_machine_is_restored;
mod alarms_that_pass_wait;
mod another_system_gets_the_order;
mod any_client_speaks_to_the_listener;
mod bad_payloads_are_listed;
mod bearing_wears_out;
mod bench_says_what_it_measured;
mod broker_restarts_mid_batch;
mod chaos;
mod closed_registration_refuses_strangers;
mod codes_foretell_a_failure;
mod demo_ends_with_one_json;
mod evidence_is_computed_again;
mod fewer_people_than_problems;
mod fleet_is_let_in;
mod fuzz_targets_are_listed;
mod house_in_order;
mod influxdb_gets_every_reading;
mod loose_sensor_is_told_apart;
mod many_alarms_one_problem;
mod orders_alone_tell_who_is_frail;
mod people_are_told;
mod people_write_rules;
mod recorded_pump_fault_becomes_a_work_order;
mod recordings_go_in_and_out;
mod restart_changes_nothing;
mod rules_are_tried_on_the_past;
mod starting_and_stopping;
mod the_past_dates_the_order;
mod what_detectors_see_moves;
