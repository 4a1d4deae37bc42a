//! The targets: each reads bytes that a bucket, a disk or a client may hold, and goes on with the
//! result as its users do.

mod block;
mod chunk;
mod index;
mod model;
mod promql;
mod proto;

/// A decoder to feed.
pub struct Target {
    /// As in `RUTILE_FUZZ_TARGET`, and the name of its folder in `corpus/`.
    pub name: &'static str,
    /// Decodes any bytes; only panics and allocations count.
    pub run: fn(&[u8]),
    /// What any input may cost at once, in bytes: tables and buffers of a fixed size.
    pub fixed: usize,
}

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target {
        name,
        run,
        fixed: 1 << 20,
    }
}

/// A target that compiles regular expressions: `x{1000}` is short, its program is not. Programs are
/// bounded at 16 MiB; a vector that grows to that asks for twice as much.
const fn compiling(name: &'static str, run: fn(&[u8])) -> Target {
    Target {
        name,
        run,
        fixed: 32 << 20,
    }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    target("chunk_xor", chunk::xor),
    target("chunk_histogram", chunk::histogram),
    target("chunk_float_histogram", chunk::float_histogram),
    target("chunk_xor2", chunk::xor2),
    target("chunk_histogram_st", chunk::histogram_st),
    target("chunk_float_histogram_st", chunk::float_histogram_st),
    target("chunk_aggregate", chunk::aggregate),
    target("segment", chunk::segment),
    target("index", index::file),
    target("index_header", index::header),
    target("postings", index::postings),
    target("postings_cached", index::postings_cached),
    target("series_entry", index::series_entry),
    target("tombstones", index::tombstones),
    target("meta", block::meta),
    target("deletion_mark", block::deletion_mark),
    target("no_compact_mark", block::no_compact_mark),
    target("no_downsample_mark", block::no_downsample_mark),
    target("block_key", block::key),
    compiling("matcher", model::matcher),
    target("durations", model::durations),
    compiling("relabel", model::relabel),
    compiling("promql_parse", promql::parse),
    compiling("promql_evaluate", promql::evaluate),
    compiling("series_request", proto::series_request),
    target("series_response", proto::series_response),
    target("series_decoder", proto::series_decoder),
];
