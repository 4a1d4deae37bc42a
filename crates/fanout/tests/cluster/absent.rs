//! Endpoints that cannot be asked: answers say that they lack their data, or fail without partial
//! response.

use std::{
    slice,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
};

use rutile_discovery::{ClientConfig, Compression, EndpointSpec, Entry};
use rutile_fanout::{EndpointStatus, FanoutConfig, Stores};
use rutile_model::{ErrorKind, Labels, MatchOp, Matcher};
use rutile_proto::thanos::{
    LabelNamesRequest, LabelValuesRequest, PartialResponseStrategy, SeriesRequest,
    label_matcher::Type,
};
use rutile_runtime::{ManualClock, TaskGroup};
use rutile_storeapi::{ItemStream, RequestContext, Result, StoreApi};

use crate::support::{
    Cluster, Switched, collect, eventually, everything, labels_of, matcher, often, serve, store,
};

/// A store in `eu` that went away, and one in `us` that is there.
struct Region {
    cluster: Cluster,
    eu: Arc<Switched>,
    eu_address: String,
    us_address: String,
}

fn up() -> Labels {
    Labels::from([("__name__", "up")])
}

fn in_region(region: &str) -> Labels {
    Labels::from([("region", region)])
}

async fn region() -> Region {
    let tasks = TaskGroup::new("test");
    let eu = Arc::new(Switched {
        store: store(&[up()], &in_region("eu")),
        is_ready: AtomicBool::new(true),
    });
    let us = store(&[up()], &in_region("us"));
    let eu_address = serve(Arc::clone(&eu) as _, &tasks).await.to_string();
    let us_address = serve(Arc::new(us), &tasks).await.to_string();
    let specs = [&eu_address, &us_address].map(EndpointSpec::fixed).into();
    let clock = Arc::new(ManualClock::new(0));
    let cluster = Cluster::with(specs, FanoutConfig::default(), often(), clock, tasks).await;
    let region = Region {
        cluster,
        eu,
        eu_address,
        us_address,
    };
    region.switch(false).await;
    region
}

impl Region {
    /// Makes the store in `eu` ready or not, and waits until that is known.
    async fn switch(&self, is_ready: bool) {
        self.eu.is_ready.store(is_ready, Ordering::SeqCst);
        let wanted = if is_ready { 2 } else { 1 };
        let stores = || self.cluster.endpoints.stores().len() == wanted;
        eventually("it is known", stores).await;
    }

    /// The series and the warnings of an answer.
    async fn ask(
        &self,
        request: SeriesRequest,
        store_matchers: &[Vec<Matcher>],
    ) -> (Vec<Labels>, Vec<String>) {
        let ctx = RequestContext::default();
        let items = self
            .cluster
            .fanout
            .series_items(&ctx, request, store_matchers);
        let (series, warnings, error) = collect(items.unwrap()).await;
        assert!(error.is_none(), "{error:?}");
        (series.iter().map(labels_of).collect(), warnings)
    }

    /// What is said of the store that is not there.
    fn missing(&self) -> String {
        self.missing_because("its last Info failed: not ready")
    }

    fn missing_because(&self, reason: &str) -> String {
        let address = &self.eu_address;
        format!("{address} was not asked, its data may be missing: {reason}")
    }

    /// Whether these are the one warning that is expected.
    fn check(&self, warnings: &[String]) {
        assert_eq!(*warnings, [self.missing()]);
    }

    /// Whether a request without partial response fails because of the store that is not there.
    fn check_fails<T>(&self, answer: Result<T>) {
        let error = answer.err().expect("it is an error");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.to_string(), self.missing());
    }

    fn series(&self, request: SeriesRequest) -> Result<ItemStream> {
        let ctx = RequestContext::default();
        self.cluster.fanout.series_items(&ctx, request, &[])
    }
}

fn strict() -> SeriesRequest {
    SeriesRequest {
        partial_response_disabled: true,
        partial_response_strategy: PartialResponseStrategy::Abort.into(),
        ..everything()
    }
}

#[tokio::test]
async fn series_that_are_missing_are_a_warning_or_an_error() {
    let region = region().await;
    let (series, warnings) = region.ask(everything(), &[]).await;
    assert_eq!(series, [up().extended_with(&in_region("us"))]);
    region.check(&warnings);
    region.check_fails(region.series(strict()));
    let mut of_us = strict();
    of_us.matchers.push(matcher("region", Type::Eq, "us"));
    let (series, warnings) = region.ask(of_us, &[]).await;
    assert_eq!((series.len(), warnings), (1, Vec::new()));
    region.switch(true).await;
    let (series, warnings) = region.ask(strict(), &[]).await;
    assert_eq!((series.len(), warnings), (2, Vec::new()));
}

#[tokio::test]
async fn names_and_values_that_are_missing_are_a_warning_or_an_error() {
    let region = region().await;
    let ctx = RequestContext::default();
    let names = |partial_response_disabled| LabelNamesRequest {
        partial_response_disabled,
        end: 10_000,
        ..LabelNamesRequest::default()
    };
    let values = |partial_response_disabled| LabelValuesRequest {
        label: "region".to_owned(),
        partial_response_disabled,
        end: 10_000,
        ..LabelValuesRequest::default()
    };
    let fanout = &region.cluster.fanout;
    let found = fanout.label_names(ctx.clone(), names(false)).await.unwrap();
    assert_eq!(found.names, ["__name__", "region"]);
    region.check(&found.warnings);
    region.check_fails(fanout.label_names(ctx.clone(), names(true)).await);

    let found = fanout
        .label_values(ctx.clone(), values(false))
        .await
        .unwrap();
    assert_eq!(found.values, ["us"]);
    region.check(&found.warnings);
    region.check_fails(fanout.label_values(ctx.clone(), values(true)).await);
}

#[tokio::test]
async fn what_it_could_not_have_is_not_missing() {
    let region = region().await;
    let of = |region: &str| {
        let mut request = everything();
        request.matchers.push(matcher("region", Type::Eq, region));
        request
    };
    let later = SeriesRequest {
        min_time: 5_000,
        ..everything()
    };
    assert!(region.ask(of("us"), &[]).await.1.is_empty());
    assert!(region.ask(later, &[]).await.1.is_empty());
    let (series, warnings) = region.ask(of("eu"), &[]).await;
    assert!(series.is_empty());
    region.check(&warnings);

    let store_match = |address: &str| {
        let matcher = Matcher::new(MatchOp::Equal, "__address__", address).unwrap();
        vec![vec![matcher]]
    };
    let only_us = store_match(&region.us_address);
    assert!(region.ask(everything(), &only_us).await.1.is_empty());
    let only_eu = store_match(&region.eu_address);
    region.check(&region.ask(everything(), &only_eu).await.1);
}

#[tokio::test]
async fn what_is_removed_is_not_missing_and_what_never_answered_is() {
    let region = region().await;
    let us = EndpointSpec::fixed(&region.us_address);
    region.cluster.endpoints.replace(vec![us.clone()]);
    assert!(region.ask(everything(), &[]).await.1.is_empty());

    // It is back in the list, and was not heard of since: nobody knows any more what it has.
    let eu = EndpointSpec::fixed(&region.eu_address);
    region.cluster.endpoints.replace(vec![us, eu]);
    let later = SeriesRequest {
        min_time: 1_000_000,
        max_time: 2_000_000,
        ..everything()
    };
    // Nobody has asked it yet: this test has one thread.
    let missing = region.missing_because("it has not answered Info yet");
    assert_eq!(region.ask(later.clone(), &[]).await.1, [missing]);
    region.cluster.endpoints.checked_once().await;
    let missing = region.missing_because("it never answered Info: not ready");
    assert_eq!(region.ask(later, &[]).await.1, [&*missing]);
    let error = region.series(strict()).err().unwrap();
    assert_eq!(error.to_string(), missing);
    let statuses = region.cluster.endpoints.statuses();
    let is_eu = |status: &&EndpointStatus| status.name == region.eu_address;
    let status = statuses.iter().find(is_eu).unwrap();
    assert_eq!(status.last_error.as_deref(), Some("not ready"));
    assert_eq!((&*status.component, status.last_check_ms), ("", None));

    region.switch(true).await;
    assert!(region.ask(everything(), &[]).await.1.is_empty());
}

#[tokio::test]
async fn a_name_that_is_not_found_is_missing() {
    let region = region().await;
    let entry = Entry::new("dns+stores.test:1", false, false, ClientConfig::default());
    let specs = EndpointSpec::of(&entry.unwrap(), Vec::new());
    region.cluster.endpoints.replace(specs);
    region.cluster.endpoints.checked_once().await;
    let missing = "dns+stores.test:1 was not asked, its data may be missing: \
                   it never answered Info: no address was found for the endpoint";
    assert_eq!(region.ask(everything(), &[]).await.1, [missing]);
}

#[tokio::test]
async fn with_other_settings_it_is_still_missing() {
    let region = region().await;
    let mut eu = EndpointSpec::fixed(&region.eu_address);
    eu.client.compression = Compression::Snappy;
    let us = EndpointSpec::fixed(&region.us_address);
    region.cluster.endpoints.replace(vec![us, eu]);
    // Nobody has asked it yet: this test has one thread.
    let why = "its settings have changed, and it has not answered since";
    let missing = region.missing_because(why);
    assert_eq!(region.ask(everything(), &[]).await.1, [missing]);
    region.cluster.endpoints.checked_once().await;
    region.check(&region.ask(everything(), &[]).await.1);
}

#[tokio::test]
async fn whoever_asks_this_querier_learns_of_it() {
    let region = region().await;
    let info = region.cluster.fanout.info(RequestContext::default()).await;
    let info = rutile_fanout::Metadata::new(info.unwrap());
    assert_eq!(info.label_sets, [in_region("eu"), in_region("us")]);
    let missing = slice::from_ref(&region.eu_address);
    let absent = region.cluster.endpoints.known().absent;
    let names: Vec<_> = absent.iter().map(|store| store.name.to_string()).collect();
    assert_eq!(names, missing);
}
