//! What lies in `deploy/` must stay true.

use clap::Parser;

use super::*;
use crate::cli::Cli;

#[test]
fn the_unit_starts_a_command_line_there_is() {
    let unit = include_str!("../../../deploy/systemd/bellwether.service");
    let start = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap();
    let cli = Cli::try_parse_from(start.split(' ')).unwrap();
    let crate::cli::Verb::Run(args) = cli.verb else {
        panic!("the unit does not run");
    };
    let config = Config::load(None, [], &args.config.overrides()).unwrap();
    assert_eq!(config.data_dir, Path::new("/var/lib/bellwether"));
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn the_variables_of_the_container_files_are_keys_there_are() {
    let container = include_str!("../../../deploy/container/Containerfile");
    let compose = include_str!("../../../deploy/container/compose.yaml");
    let from_container = container
        .lines()
        .filter_map(|line| line.strip_prefix("ENV ")?.split_once('='));
    let from_compose = compose
        .lines()
        .filter_map(|line| line.trim().split_once(": "));
    let variables: Vec<(String, String)> = from_container
        .chain(from_compose)
        .filter(|(name, _)| name.starts_with("BELLWETHER_"))
        .map(|(name, text)| (name.to_owned(), text.trim_matches('"').to_owned()))
        .collect();
    assert_eq!(variables.len(), 3);
    let config = Config::load(None, variables, &[]).unwrap();
    assert_eq!(config.data_dir, Path::new("/var/lib/bellwether"));
    assert_eq!(config.analytics.learning_rows, 2_000);
}
