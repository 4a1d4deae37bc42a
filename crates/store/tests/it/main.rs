//! The store gateway as a whole, on real blocks.

mod golden_storeapi;
mod support;
