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

/// The stores that can be asked now.
pub trait Stores: Send + Sync {
    /// All of them, in a fixed order.
    fn stores(&self) -> Vec<Store>;
}

impl Stores for Vec<Store> {
    fn stores(&self) -> Vec<Store> {
        self.clone()
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
