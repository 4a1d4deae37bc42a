//! The read side of the bucket contract, as the callers of a store gateway see it: a test for each
//! clause that reading can break, and for each scenario that the reference does not survive. The
//! decisions themselves are tested in `rutile-fetcher`.

mod lost;
mod marks;
mod metas;
mod successors;
