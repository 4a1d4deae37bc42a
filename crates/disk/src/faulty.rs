//! A disk that fails, by chance or on request.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use rutile_runtime::Entropy;

use crate::error::{Error, Result};
use crate::{DirEntry, Disk, Durability, Metadata, NewFile};

/// What can happen to an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails without having done anything.
    Error,
    /// A write fails for want of space; other operations go through.
    NoSpace,
    /// A write that is not durable succeeds, but only a part of it is there later, as after a
    /// crash of the machine; a durable one fails. Other operations go through.
    Torn,
}

/// How often each fault happens, as chances in a thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FaultRates {
    /// Of [`Fault::Error`].
    pub error: u16,
    /// Of [`Fault::NoSpace`].
    pub no_space: u16,
    /// Of [`Fault::Torn`].
    pub torn: u16,
}

/// Wraps a disk and makes it fail. Clones share the faults.
#[derive(Debug, Clone)]
pub struct FaultyDisk {
    inner: Arc<dyn Disk>,
    plan: Arc<Plan>,
}

#[derive(Debug)]
struct Plan {
    entropy: Arc<dyn Entropy>,
    rates: Mutex<FaultRates>,
    /// What happens to the next operations, before chance comes in.
    next: Mutex<VecDeque<Option<Fault>>>,
}

#[derive(Debug)]
struct FaultyFile {
    disk: Arc<dyn Disk>,
    plan: Arc<Plan>,
    path: String,
    data: Vec<u8>,
}

impl FaultyDisk {
    /// Fails by chance, at `rates`.
    #[must_use]
    pub fn new(inner: Arc<dyn Disk>, entropy: Arc<dyn Entropy>, rates: FaultRates) -> Self {
        let plan = Plan {
            entropy,
            rates: Mutex::new(rates),
            next: Mutex::default(),
        };
        Self {
            inner,
            plan: Arc::new(plan),
        }
    }

    /// Changes the rates, from the next operation on.
    pub fn set_rates(&self, rates: FaultRates) {
        *self.plan.rates.lock() = rates;
    }

    /// Adds to the list of what happens to the next operations; `None` lets one through. Beginning
    /// a file is none: a file is one operation, when it is finished.
    pub fn next(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.plan.next.lock().extend(faults);
    }

    fn guard(&self, operation: &'static str, path: &str) -> Result<&dyn Disk> {
        match self.plan.draw() {
            Some(Fault::Error) => Err(injected(operation, path)),
            Some(Fault::NoSpace | Fault::Torn) | None => Ok(&*self.inner),
        }
    }
}

impl Disk for FaultyDisk {
    fn read(&self, path: &str) -> Result<Bytes> {
        self.guard("read", path)?.read(path)
    }

    fn read_range(&self, path: &str, range: Range<u64>) -> Result<Bytes> {
        self.guard("read", path)?.read_range(path, range)
    }

    fn map(&self, path: &str) -> Result<Bytes> {
        self.guard("map", path)?.map(path)
    }

    fn create(&self, path: &str) -> Result<Box<dyn NewFile>> {
        crate::path::check(path)?;
        Ok(Box::new(FaultyFile {
            disk: Arc::clone(&self.inner),
            plan: Arc::clone(&self.plan),
            path: path.to_owned(),
            data: Vec::new(),
        }))
    }

    fn stat(&self, path: &str) -> Result<Option<Metadata>> {
        self.guard("look at", path)?.stat(path)
    }

    fn list(&self, folder: &str) -> Result<Vec<DirEntry>> {
        self.guard("list", folder)?.list(folder)
    }

    fn create_folder(&self, path: &str) -> Result<()> {
        self.guard("make the folder", path)?.create_folder(path)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.guard("rename", from)?.rename(from, to)
    }

    fn link(&self, from: &str, to: &str) -> Result<()> {
        self.guard("link", from)?.link(from, to)
    }

    fn remove_tree(&self, path: &str) -> Result<()> {
        self.guard("remove", path)?.remove_tree(path)
    }
}

impl Write for FaultyFile {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.data.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl NewFile for FaultyFile {
    fn finish(self: Box<Self>, durability: Durability) -> Result<()> {
        let whole = self.data.as_slice();
        let data = match self.plan.draw() {
            None => whole,
            Some(Fault::Torn) if durability == Durability::Cached => {
                let kept = self.plan.entropy.next_u64() % (whole.len() as u64).max(1);
                whole
                    .get(..usize::try_from(kept).unwrap_or(0))
                    .unwrap_or_default()
            }
            Some(Fault::NoSpace) => {
                return Err(Error::io(
                    "write",
                    &self.path,
                    io::ErrorKind::StorageFull.into(),
                ));
            }
            Some(Fault::Torn | Fault::Error) => return Err(injected("write", &self.path)),
        };
        self.disk.write(&self.path, data, durability)
    }
}

impl Plan {
    fn draw(&self) -> Option<Fault> {
        if let Some(planned) = self.next.lock().pop_front() {
            return planned;
        }
        let rates = *self.rates.lock();
        let mut chance = self.entropy.next_u64() % 1000;
        for (rate, fault) in [
            (rates.error, Fault::Error),
            (rates.no_space, Fault::NoSpace),
            (rates.torn, Fault::Torn),
        ] {
            if chance < u64::from(rate) {
                return Some(fault);
            }
            chance -= u64::from(rate);
        }
        None
    }
}

fn injected(operation: &'static str, path: &str) -> Error {
    Error::io(operation, path, io::Error::other("injected fault"))
}
