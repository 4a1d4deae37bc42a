//! The store gateway's whole filter chain over 100,000 metas, in milliseconds: the best of five.
#![expect(clippy::print_stdout, reason = "its output is the result")]

use std::collections::BTreeSet;
use std::sync::Arc;

use rutile_block::{BlockId, Contract, DeletionMark, Mark, Meta, Source, UploadTime, details};
use rutile_fetcher::filter::label_shard::LabelShard;
use rutile_fetcher::{BlockInfo, FilterChain, MarkState, Marks, PresentMark, Scope, View};
use rutile_model::Labels;
use rutile_objstore::Attributes;
use rutile_runtime::Moment;
use tokio::time::Instant;

const MANY: u64 = 100_000;
const NOW: i64 = 1_767_250_000_000;
const DAY: i64 = 86_400_000;
const SHARD: &str = "
- {action: hashmod, source_labels: [cluster], target_label: shard, modulus: 1}
- {action: keep, source_labels: [shard], regex: '0'}";

fn main() {
    let plain = Scope::default();
    let shard = LabelShard::from_yaml(SHARD, vec![]).unwrap_or_default();
    let sharded = Scope {
        shard,
        ..Scope::default()
    };
    measure(
        "one group, 100,000 single-source blocks",
        &view(1, |_| false, 0),
        &plain,
    );
    measure(
        "one group, a block over each ten, the ten marked",
        &view(1, |n| n % 11 == 10, 3 * DAY / 2),
        &plain,
    );
    measure("10,000 label sets", &view(10_000, |_| false, 0), &plain);
    measure(
        "10,000 label sets, sharded by relabelling",
        &view(10_000, |_| false, 0),
        &sharded,
    );
}

fn measure(name: &str, view: &View, scope: &Scope) {
    let chain = FilterChain::for_store(scope.clone(), Contract::default());
    let mut best = f64::INFINITY;
    let (mut wanted, mut serving) = (0, 0);
    for _ in 0..5 {
        let start = Instant::now();
        let selection = chain.apply(view, NOW);
        best = best.min(start.elapsed().as_secs_f64() * 1000.0);
        wanted = selection.wanted.len();
        let loaded: BTreeSet<BlockId> = selection.wanted.keys().copied().collect();
        serving = selection.serving(&loaded).len();
    }
    println!("filter_chain\t{best:.1} ms\t{name}\t{wanted} wanted, {serving} served");
}

/// `compacted` says which blocks hold the sources of the ten before them; those ten then have marks
/// of that age.
fn view(label_sets: u64, compacted: impl Fn(u64) -> bool, mark_age_ms: i64) -> View {
    let labels: Vec<Labels> = (0..label_sets)
        .map(|n| Labels::from([("cluster", format!("c{n}").as_str()), ("replica", "a")]))
        .collect();
    let mut view = View {
        complete: true,
        fetched_at: Moment::at(NOW),
        ..View::default()
    };
    for n in 0..MANY {
        let id = BlockId::from_parts(n, [0; 10]);
        let mut meta = Meta::new(id);
        meta.thanos.labels = labels[(n % label_sets) as usize].clone();
        meta.thanos.source = Source::Sidecar;
        meta.thanos.upload_time = UploadTime::from_ms(NOW - 2 * DAY);
        if compacted(n) {
            meta.compaction.sources = (n - 10..n)
                .map(|n| BlockId::from_parts(n, [0; 10]))
                .collect();
            for source in &meta.compaction.sources {
                if let Some(info) = view.blocks.get_mut(source) {
                    info.marks.deletion = mark(*source, NOW - mark_age_ms);
                }
            }
        }
        let info = BlockInfo {
            meta: Arc::new(meta),
            meta_modified_ms: Some(NOW - 2 * DAY),
            meta_size: 1000,
            marks: Marks::default(),
        };
        view.blocks.insert(id, info);
    }
    view
}

fn mark(id: BlockId, at_ms: i64) -> MarkState {
    let mark = Mark::Deletion(DeletionMark::new(id, details::COMPACTED, at_ms));
    let attributes = Attributes {
        size: 150,
        last_modified_ms: at_ms,
    };
    MarkState::Present(Arc::new(PresentMark { mark, attributes }))
}
