//! What the proxy needs to know of the stores behind it.

use std::{fmt, sync::Arc};

use rutile_storeapi::StoreApi;

use crate::Metadata;

/// A store that can be asked.
#[derive(Clone)]
pub struct Store {
    /// How it is called in warnings and by `__address__`.
    pub name: Arc<str>,
    /// What it serves.
    pub metadata: Arc<Metadata>,
    /// The store itself.
    pub api: Arc<dyn StoreApi>,
}

/// A store that cannot be asked: what it may hold is missing from answers.
#[derive(Debug, Clone)]
pub struct Absent {
    /// How it is called in warnings and by `__address__`.
    pub name: Arc<str>,
    /// What it served when it could be asked; [`Metadata::unknown`] if it never could.
    pub metadata: Arc<Metadata>,
    /// Why it cannot be asked.
    pub error: String,
}

/// All stores at one time, each of them in one of the lists.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Those that can be asked, in a fixed order.
    pub stores: Vec<Store>,
    /// Those that cannot, in a fixed order.
    pub absent: Vec<Absent>,
}

impl Known {
    pub(crate) fn is_empty(&self) -> bool {
        self.stores.is_empty() && self.absent.is_empty()
    }

    /// What all of them say of themselves, or said.
    pub(crate) fn metadata(&self) -> impl Iterator<Item = &Metadata> {
        let stores = self.stores.iter().map(|store| &*store.metadata);
        let absent = self.absent.iter().map(|store| &*store.metadata);
        stores.chain(absent)
    }
}

impl Absent {
    /// What an answer says that lacks it.
    pub(crate) fn warning(&self) -> String {
        missing(&self.name, &self.error)
    }
}

/// What an answer says that lacks what an endpoint may have.
pub(crate) fn missing(name: &str, error: &str) -> String {
    format!("{name} was not asked, its data may be missing: {error}")
}

/// The stores behind a proxy.
pub trait Stores: Send + Sync {
    /// All of them, as they are now.
    fn known(&self) -> Known;

    /// Those that can be asked now.
    fn stores(&self) -> Vec<Store> {
        self.known().stores
    }
}

impl Stores for Vec<Store> {
    fn known(&self) -> Known {
        Known {
            stores: self.clone(),
            absent: Vec::new(),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("name", &self.name)
            .field("metadata", &self.metadata)
            .finish_non_exhaustive()
    }
}
