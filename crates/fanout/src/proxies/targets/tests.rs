use prost_types::Timestamp;
use rutile_proto::thanos::TargetHealth;

use super::*;

fn set(labels: &[(&str, &str)]) -> ZLabelSet {
    let label = |(name, value): &(&str, &str)| Label {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    ZLabelSet {
        labels: labels.iter().map(label).collect(),
    }
}

fn active(url: &str, replica: &str, health: TargetHealth, scraped: i64) -> ActiveTarget {
    ActiveTarget {
        // Not sorted.
        discovered_labels: Some(set(&[("replica", replica), ("__a__", url)])),
        labels: Some(set(&[("instance", url), ("replica", replica)])),
        scrape_pool: "p".to_owned(),
        scrape_url: url.to_owned(),
        last_error: format!("of {replica}"),
        last_scrape: Some(Timestamp {
            seconds: scraped,
            nanos: 0,
        }),
        health: health.into(),
        ..ActiveTarget::default()
    }
}

fn dropped(address: &str, replica: &str) -> DroppedTarget {
    DroppedTarget {
        discovered_labels: Some(set(&[("replica", replica), ("__a__", address)])),
    }
}

#[test]
fn replicas_are_one() {
    let (down, up, unknown) = (TargetHealth::Down, TargetHealth::Up, TargetHealth::Unknown);
    let of_first = TargetDiscovery {
        active_targets: vec![
            active("b", "1", up, 10),
            active("a", "1", up, 10),
            active("c", "1", unknown, 10),
        ],
        dropped_targets: vec![dropped("z", "1"), dropped("y", "1")],
    };
    let of_second = TargetDiscovery {
        active_targets: vec![
            active("a", "2", down, 9),
            active("b", "2", up, 11),
            active("d", "2", up, 10),
        ],
        dropped_targets: vec![dropped("z", "2")],
    };
    let merged = merge(vec![of_first, of_second], &["replica".to_owned()]);

    let text = |target: &ActiveTarget| format!("{} {}", target.scrape_url, target.last_error);
    let texts: Vec<_> = merged.active_targets.iter().map(text).collect();
    assert_eq!(texts, ["a of 2", "b of 2", "c of 1", "d of 2"]);
    let first = &merged.active_targets[0];
    assert_eq!(first.discovered_labels, Some(set(&[("__a__", "a")])));
    assert_eq!(first.labels, Some(set(&[("instance", "a")])));
    let without_replica = |address| DroppedTarget {
        discovered_labels: Some(set(&[("__a__", address)])),
    };
    assert_eq!(
        merged.dropped_targets,
        [without_replica("y"), without_replica("z")]
    );
}

/// The label by which replicas differ sorts before those by which targets differ.
#[test]
fn replicas_are_one_wherever_their_label_sorts() {
    let of = |replica: &str| TargetDiscovery {
        active_targets: ["1", "2"]
            .map(|zone| ActiveTarget {
                discovered_labels: Some(set(&[("replica", replica), ("zone", zone)])),
                ..ActiveTarget::default()
            })
            .to_vec(),
        dropped_targets: ["1", "2"]
            .map(|zone| DroppedTarget {
                discovered_labels: Some(set(&[("replica", replica), ("zone", zone)])),
            })
            .to_vec(),
    };
    let merged = merge(vec![of("a"), of("b")], &["replica".to_owned()]);
    assert_eq!(merged.active_targets.len(), 2, "{merged:?}");
    assert_eq!(merged.dropped_targets.len(), 2, "{merged:?}");
}
