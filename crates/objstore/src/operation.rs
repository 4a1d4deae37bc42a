//! The operations of a bucket, for messages, metrics and fault rules.

use std::fmt;

/// One kind of call on a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// [`crate::BucketReader::list`].
    List,
    /// [`crate::BucketReader::get`].
    Get,
    /// [`crate::BucketReader::get_range`].
    GetRange,
    /// [`crate::BucketReader::get_ranges`].
    GetRanges,
    /// [`crate::BucketReader::attributes`].
    Attributes,
    /// [`crate::BucketReader::exists`].
    Exists,
    /// [`crate::Bucket::put`].
    Put,
    /// [`crate::Bucket::start_multipart`].
    StartMultipart,
    /// [`crate::MultipartUpload::put_part`].
    PutPart,
    /// [`crate::MultipartUpload::complete`].
    CompleteMultipart,
    /// [`crate::MultipartUpload::abort`].
    AbortMultipart,
    /// [`crate::Bucket::unfinished_uploads`].
    ListUnfinished,
    /// [`crate::Bucket::delete`].
    Delete,
    /// [`crate::open()`] and [`crate::open_reader`].
    Open,
}

impl Operation {
    /// The name in messages; where a call has a metric of its own, the name there.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::List => "iter",
            Self::Get => "get",
            Self::GetRange => "get_range",
            Self::GetRanges => "get_ranges",
            Self::Attributes => "attributes",
            Self::Exists => "exists",
            Self::Put => "upload",
            Self::StartMultipart => "start_multipart",
            Self::PutPart => "put_part",
            Self::CompleteMultipart => "complete_multipart",
            Self::AbortMultipart => "abort_multipart",
            Self::ListUnfinished => "list_unfinished",
            Self::Delete => "delete",
            Self::Open => "open",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
