//! One store fails: the others' data is complete, and the answer says who failed and why.

use std::{sync::Arc, time::Duration};

use rutile_discovery::EndpointSpec;
use rutile_fanout::{FanoutConfig, Stores};
use rutile_model::{ErrorKind, Labels};
use rutile_proto::thanos::{
    LabelNamesRequest, LabelValuesRequest, PartialResponseStrategy, SeriesRequest,
};
use rutile_runtime::TaskGroup;
use rutile_storeapi::{RequestContext, StoreApi, memory::MemoryStore};

use crate::{
    scripted::{Scripted, Then, cut_after, large},
    support::{Cluster, collect, everything, labels_of, pods, series, serve, store},
};

fn good() -> MemoryStore {
    store(&pods(0..50), &Labels::empty())
}

/// Like the good one to the endpoint set.
fn bad_store(labels: &[Labels], then: Then) -> Arc<Scripted> {
    let all: Vec<_> = labels.iter().map(series).collect();
    Scripted::new(good(), &all, then)
}

fn config() -> FanoutConfig {
    FanoutConfig {
        response_timeout: Some(Duration::from_millis(300)),
        ..FanoutConfig::default()
    }
}

fn abort() -> SeriesRequest {
    SeriesRequest {
        partial_response_strategy: PartialResponseStrategy::Abort.into(),
        ..everything()
    }
}

/// Asks with and without partial response. `added` is what the bad store sends before it fails.
async fn check(bad: Arc<dyn StoreApi>, added: &[Labels], reason: &str) {
    let tasks = TaskGroup::new("test");
    let good = EndpointSpec::fixed(serve(Arc::new(good()), &tasks).await.to_string());
    let bad = EndpointSpec::fixed(serve(bad, &tasks).await.to_string());
    check_endpoints(good, bad, added, reason, tasks).await;
}

async fn check_endpoints(
    good: EndpointSpec,
    bad: EndpointSpec,
    added: &[Labels],
    reason: &str,
    tasks: TaskGroup,
) {
    let name = bad.name.clone();
    let cluster = Cluster::over(vec![good, bad], config(), tasks).await;
    let ctx = RequestContext::default();

    let items = cluster
        .fanout
        .series_items(&ctx, everything(), &[])
        .unwrap();
    let (found, warnings, error) = collect(items).await;
    let mut expected: Vec<_> = pods(0..50).iter().chain(added).cloned().collect();
    expected.sort();
    expected.dedup();
    assert!(error.is_none(), "{reason}: {error:?}");
    assert_eq!(
        found.iter().map(labels_of).collect::<Vec<_>>(),
        expected,
        "{reason}"
    );
    let [warning] = &warnings[..] else {
        panic!("{reason}: one warning in {warnings:?}")
    };
    assert!(warning.contains(reason), "{reason}: {warning}");
    assert!(
        warning.contains(&name) || matches!(reason, "from below"),
        "{reason}: {warning}"
    );

    let items = cluster.fanout.series_items(&ctx, abort(), &[]).unwrap();
    let (_, warnings, error) = collect(items).await;
    let error = error.expect(reason).to_string();
    assert!(
        error.contains(&name) && error.contains(reason),
        "{reason}: {error}"
    );
    assert!(warnings.is_empty(), "{reason}: {warnings:?}");
}

#[tokio::test]
async fn refuses() {
    let then = Then::Fail(ErrorKind::Exhausted, "over the limit");
    check(bad_store(&[], then), &[], "over the limit").await;
}

#[tokio::test]
async fn fails_in_the_middle() {
    let sent = pods(48..60);
    let then = Then::Fail(ErrorKind::Internal, "lost its disk");
    check(bad_store(&sent, then), &sent, "lost its disk").await;
}

#[tokio::test]
async fn hangs() {
    check(bad_store(&[], Then::Hang), &[], "it sent nothing for 300ms").await;
}

#[tokio::test]
async fn hangs_in_the_middle() {
    let sent = pods(10..12);
    check(
        bad_store(&sent, Then::Hang),
        &sent,
        "it sent nothing for 300ms",
    )
    .await;
}

#[tokio::test]
async fn sends_garbage() {
    let sent = pods(10..12);
    check(
        bad_store(&sent, Then::Garbage),
        &sent,
        "cannot decode a SeriesResponse",
    )
    .await;
}

#[tokio::test]
async fn is_not_sorted() {
    let mut sent = pods(60..63);
    sent.swap(1, 2);
    sent.push(pods(70..71).remove(0));
    check(
        bad_store(&sent, Then::End),
        &[sent[0].clone(), sent[1].clone()],
        "not sorted by their labels",
    )
    .await;
}

#[tokio::test]
async fn has_only_a_part() {
    let sent = pods(10..12);
    check(
        bad_store(&sent, Then::Warn("from below")),
        &sent,
        "from below",
    )
    .await;
}

#[tokio::test]
async fn dies_in_the_middle() {
    let tasks = TaskGroup::new("test");
    let large: Vec<_> = pods(90..99)
        .iter()
        .map(|labels| large(labels, 50_000))
        .collect();
    let bad = serve(Scripted::new(good(), &large, Then::End), &tasks).await;
    let good = EndpointSpec::fixed(serve(Arc::new(good()), &tasks).await.to_string());
    // Four series and a part of the fifth come through, and the Info answers on other connections.
    let name = cut_after(230_000, bad, &tasks).await.to_string();
    let bad = EndpointSpec {
        strict: true,
        ..EndpointSpec::fixed(&name)
    };
    let cluster = Cluster::over(vec![good, bad], config(), tasks).await;
    let items = cluster
        .fanout
        .series_items(&RequestContext::default(), everything(), &[])
        .unwrap();
    let (found, warnings, error) = collect(items).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(
        found[..50].iter().map(labels_of).collect::<Vec<_>>(),
        pods(0..50)
    );
    let of_bad: Vec<_> = found[50..].iter().map(labels_of).collect();
    assert!((1..9).contains(&of_bad.len()), "{} series", of_bad.len());
    assert_eq!(of_bad, pods(90..99)[..of_bad.len()]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains(&name), "{warnings:?}");
}

#[tokio::test]
async fn nobody_is_there() {
    let tasks = TaskGroup::new("test");
    let good = EndpointSpec::fixed(serve(Arc::new(good()), &tasks).await.to_string());
    // A port that was free a moment ago, and whose connections are closed at once.
    let address = cut_after(0, "127.0.0.1:1".parse().unwrap(), &tasks).await;
    let bad = EndpointSpec {
        strict: true,
        ..EndpointSpec::fixed(address.to_string())
    };
    check_endpoints(good, bad, &[], "thanos.Store/Series failed", tasks).await;
}

#[tokio::test]
async fn no_store_at_all() {
    let cluster = Cluster::of(Vec::new(), config()).await;
    assert!(cluster.endpoints.stores().is_empty());
    let ctx = RequestContext::default();
    let error = cluster
        .fanout
        .series_items(&ctx, abort(), &[])
        .err()
        .unwrap();
    assert_eq!(error.to_string(), "No StoreAPIs available");
    let items = cluster
        .fanout
        .series_items(&ctx, everything(), &[])
        .unwrap();
    assert!(
        matches!(collect(items).await, (series, warnings, None) if series.is_empty() && warnings.is_empty())
    );
}

#[tokio::test]
async fn label_calls() {
    for (then, reason) in [
        (
            Then::Fail(ErrorKind::Internal, "lost its disk"),
            "lost its disk",
        ),
        (Then::Hang, "it sent nothing for 300ms"),
    ] {
        let bad = bad_store(&[], then);
        let cluster = Cluster::of(vec![Arc::new(good()), bad], config()).await;
        let ctx = RequestContext::default();
        let names = LabelNamesRequest {
            end: 10_000,
            ..LabelNamesRequest::default()
        };
        let answer = cluster
            .fanout
            .label_names(ctx.clone(), names.clone())
            .await
            .unwrap();
        assert_eq!(answer.names, ["__name__", "pod"]);
        assert!(
            matches!(&answer.warnings[..], [warning] if warning.contains(reason)),
            "{answer:?}"
        );
        let values = LabelValuesRequest {
            label: "pod".to_owned(),
            end: 10_000,
            limit: 2,
            ..LabelValuesRequest::default()
        };
        let answer = cluster
            .fanout
            .label_values(ctx.clone(), values.clone())
            .await
            .unwrap();
        assert_eq!(answer.values, ["00", "01"]);
        assert!(
            matches!(&answer.warnings[..], [warning] if warning.contains(reason)),
            "{answer:?}"
        );

        let names = LabelNamesRequest {
            partial_response_disabled: true,
            ..names
        };
        let error = cluster
            .fanout
            .label_names(ctx.clone(), names)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        let values = LabelValuesRequest {
            partial_response_disabled: true,
            ..values
        };
        let error = cluster
            .fanout
            .label_values(ctx.clone(), values)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
}
