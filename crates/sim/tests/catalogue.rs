//! The table of `docs/CONTRACT.md` says of every scenario what the simulation does about it.

use rutile_sim::{NEIGHBOURS, SCENARIOS};

#[test]
fn the_table_of_scenarios_is_that_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/CONTRACT.md");
    let text = std::fs::read_to_string(path).unwrap();
    for number in 1..=67 {
        let name = format!("S{number}");
        let start = format!("| {name} | ");
        let row = text.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("{name} has no row"));
        let counted = SCENARIOS.iter().find(|(known, _)| *known == name);
        let neighbour = NEIGHBOURS.iter().any(|(known, _)| known.starts_with(&name));
        match counted {
            Some((_, what)) => assert_eq!(row, format!("{start}{what} | counted |")),
            None if neighbour => assert!(row.ends_with("counted, each by itself |"), "{row}"),
            None => assert!(!row.ends_with("counted |"), "{row}"),
        }
    }
}
