//! Protobuf messages, one module for each proto package, and [`series`]: the answers that are decoded
//! by the million, by hand.
//!
//! The only crate that holds generated code: `cargo xtask proto` writes it from `proto/`, and
//! `cargo xtask tidy` proves it fresh. Fields of type `bytes` are [`bytes::Bytes`], slices of the
//! buffer that was decoded: one of them keeps that whole buffer alive.

#![warn(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

pub mod series;

/// Package `thanos`: the StoreAPI, the other APIs that a querier asks, and what their messages share.
pub mod thanos {
    #![allow(warnings, clippy::all, clippy::pedantic, reason = "generated code")]

    include!("gen/thanos.rs");

    /// Package `thanos.info`: what a component says about itself.
    pub mod info {
        include!("gen/thanos.info.rs");
    }
}

/// Package `prometheus_copy`: samples as messages.
pub mod prometheus_copy {
    #![allow(warnings, clippy::all, clippy::pedantic, reason = "generated code")]

    include!("gen/prometheus_copy.rs");
}

/// Package `hintspb`: the messages inside the `hints` fields.
pub mod hintspb {
    #![allow(warnings, clippy::all, clippy::pedantic, reason = "generated code")]

    include!("gen/hintspb.rs");
}

/// All files in `proto/` and the well-known types they import, as an encoded
/// `google.protobuf.FileDescriptorSet` without comments, for gRPC server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include!("gen/descriptors.rs");

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::FILE_DESCRIPTOR_SET;

    #[test]
    fn descriptor_set_names_the_services() {
        let set = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let services: Vec<_> = set
            .file
            .iter()
            .flat_map(|file| {
                file.service
                    .iter()
                    .map(|service| format!("{}.{}", file.package(), service.name()))
            })
            .collect();
        let expected = [
            "thanos.Store",
            "thanos.Query",
            "thanos.info.Info",
            "thanos.Rules",
            "thanos.Targets",
            "thanos.Metadata",
            "thanos.Exemplars",
            "thanos.Status",
        ];
        assert_eq!(services, expected);
        assert!(
            set.file
                .iter()
                .any(|file| file.name() == "google/protobuf/any.proto")
        );
    }
}
