//! The filters: pure functions of what the view says of blocks, the settings and the time. Each
//! states its rule; [`crate::FilterChain`] states their order.

pub mod consistency;
pub mod deduplicate;
pub mod deletion_mark;
pub mod label_shard;
pub mod replica_labels;
pub mod time_partition;
