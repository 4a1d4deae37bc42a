//! The endpoint set.

use std::sync::Arc;

use rutile_fanout::{FanoutConfig, Stores};
use rutile_model::Labels;

use crate::support::{Cluster, collect, everything, labels_of, store};

#[tokio::test]
async fn stores_are_found_and_shown() {
    let up = Labels::from([("__name__", "up")]);
    let eu = Labels::from([("cluster", "eu")]);
    let us = Labels::from([("cluster", "us")]);
    let cluster = Cluster::of(
        vec![
            Arc::new(store(std::slice::from_ref(&up), &eu)),
            Arc::new(store(std::slice::from_ref(&up), &us)),
        ],
        FanoutConfig::default(),
    )
    .await;
    assert_eq!(cluster.endpoints.stores().len(), 2);
    let statuses = cluster.endpoints.statuses();
    assert_eq!(statuses.len(), 2);
    for status in statuses {
        assert_eq!(status.component, "debug");
        assert_eq!((status.min_time, status.max_time), (1_000, 1_099));
        assert_eq!(status.last_error, None);
        assert!(status.last_check_ms.is_some());
        assert!(status.label_sets == [eu.clone()] || status.label_sets == [us.clone()]);
    }
    let shown = cluster.registry.render();
    for labels in ["{cluster=\\\"eu\\\"}", "{cluster=\\\"us\\\"}"] {
        let line = format!(
            "thanos_store_nodes_grpc_connections{{external_labels=\"{labels}\",store_type=\"debug\"}} 1"
        );
        assert!(shown.contains(&line), "{shown}");
    }

    let items = cluster
        .fanout
        .series_items(&Default::default(), everything(), &[])
        .unwrap();
    let (series, warnings, error) = collect(items).await;
    let found: Vec<_> = series.iter().map(labels_of).collect();
    assert_eq!(found, [up.extended_with(&eu), up.extended_with(&us)]);
    assert!(
        warnings.is_empty() && error.is_none(),
        "{warnings:?} {error:?}"
    );
    let shown = cluster.registry.render();
    let labels = "grpc_method=\"Series\",grpc_service=\"thanos.Store\",grpc_type=\"server_stream\"";
    for line in [
        format!("grpc_client_started_total{{{labels}}} 2\n"),
        format!("grpc_client_handled_total{{grpc_code=\"OK\",{labels}}} 2\n"),
        format!("grpc_client_handling_seconds_count{{{labels}}} 2\n"),
    ] {
        assert!(shown.contains(&line), "{line} in {shown}");
    }
}
