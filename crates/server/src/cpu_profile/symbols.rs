//! What lies at an address of this process.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::ptr::without_provenance_mut;

use backtrace::SymbolName;
use object::{Object, ObjectSegment, ObjectSymbol, ReadCache, SymbolIndex, SymbolKind};

/// A piece of a file that is mapped to be executed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) memory: Range<usize>,
    pub(super) file_offset: u64,
    pub(super) path: String,
}

/// A function that was running at an address, and where.
#[derive(Debug)]
pub(super) struct Symbol {
    pub(super) name: String,
    /// As the linker knows it.
    pub(super) system_name: String,
    /// Empty if it is not known.
    pub(super) file: String,
    /// 0 if it is not known.
    pub(super) line: u32,
}

/// The file of this program, which is read in pieces.
pub(super) fn program() -> Option<ReadCache<File>> {
    File::open("/proc/self/exe").ok().map(ReadCache::new)
}

/// The table of symbols of this program.
///
/// Our debug information is that of lines only: it has no paths in the names of functions that are
/// nowhere inlined (`poll`, `{async_fn#0}`). This has.
#[derive(Debug)]
pub(super) struct Functions<'f> {
    file: object::File<'f, &'f ReadCache<File>>,
    /// By address in the file.
    starts: Vec<(u64, SymbolIndex)>,
    memory: Range<usize>,
    /// The address in memory of what has address 0 in the file.
    base: u64,
}

impl<'f> Functions<'f> {
    /// `None` if the file cannot be read as a program, or is none of the `mappings`.
    pub(super) fn new(program: &'f ReadCache<File>, mappings: &[Mapping]) -> Option<Self> {
        let path = std::env::current_exe().ok()?;
        let mut mappings = mappings.iter();
        let mapping = mappings.find(|mapping| Path::new(&mapping.path) == path)?;
        let file = object::File::parse(program).ok()?;
        // A mapping begins where its page does, which may be before its segment.
        let base = file.segments().find_map(|segment| {
            let offset = segment.address().wrapping_sub(segment.file_range().0);
            let start = mapping.file_offset.wrapping_add(offset);
            let base = (mapping.memory.start as u64).wrapping_sub(start);
            segment.permissions().executable().then_some(base)
        })?;
        let functions = file.symbols();
        let functions = functions.filter(|symbol| symbol.kind() == SymbolKind::Text);
        let defined = functions.filter(ObjectSymbol::is_definition);
        let starts = defined.map(|symbol| (symbol.address(), symbol.index()));
        let mut starts: Vec<_> = starts.collect();
        starts.sort_unstable_by_key(|(address, index)| (*address, index.0));
        let memory = mapping.memory.clone();
        Some(Self {
            file,
            starts,
            memory,
            base,
        })
    }

    fn name(&self, address: usize) -> Option<&'f str> {
        if !self.memory.contains(&address) {
            return None;
        }
        let address = (address as u64).wrapping_sub(self.base);
        let after = self.starts.partition_point(|(start, _)| *start <= address);
        let (_, index) = self.starts.get(after.checked_sub(1)?)?;
        self.file.symbol_by_index(*index).ok()?.name().ok()
    }
}

/// The functions at `address`, inlined ones first; none if it has no symbol.
pub(super) fn look_up(address: usize, functions: Option<&Functions<'_>>) -> Vec<Symbol> {
    let mut symbols = lines(address);
    let name = functions.and_then(|functions| functions.name(address));
    if let (Some(function), Some(name)) = (symbols.last_mut(), name) {
        function.name = format!("{:#}", SymbolName::new(name.as_bytes()));
        name.clone_into(&mut function.system_name);
    }
    symbols
}

fn lines(address: usize) -> Vec<Symbol> {
    let mut symbols = Vec::new();
    // It takes what it is given for a return address, and looks before it.
    backtrace::resolve(without_provenance_mut(address + 1), |symbol| {
        let Some(name) = symbol.name() else {
            return;
        };
        let file = symbol.filename().map(|path| path.display().to_string());
        symbols.push(Symbol {
            name: format!("{name:#}"),
            system_name: name.as_str().unwrap_or_default().to_owned(),
            file: file.unwrap_or_default(),
            line: symbol.lineno().unwrap_or(0),
        });
    });
    symbols
}

/// Frees what looking up keeps: tens of megabytes.
pub(super) fn forget() {
    backtrace::clear_symbol_cache();
}

/// The mappings of this process that are executed, by address.
pub(super) fn mappings() -> Vec<Mapping> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    maps.lines().filter_map(executable).collect()
}

/// Where the kernel's own library lies.
pub(super) fn vdso() -> Option<Range<usize>> {
    let mut mappings = mappings().into_iter();
    Some(mappings.find(|mapping| mapping.path == "[vdso]")?.memory)
}

/// Reads a line of `/proc/PID/maps` (proc_pid_maps(5)).
fn executable(line: &str) -> Option<Mapping> {
    let mut columns = line.split_ascii_whitespace();
    let (start, end) = columns.next()?.split_once('-')?;
    let permissions = columns.next()?;
    let file_offset = u64::from_str_radix(columns.next()?, 16).ok()?;
    let path = columns.skip(2).collect::<Vec<_>>().join(" ");
    let address = |text: &str| usize::from_str_radix(text, 16).ok();
    (permissions.contains('x') && !path.is_empty()).then_some(Mapping {
        memory: address(start)?..address(end)?,
        file_offset,
        path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executed_files_are_mappings() {
        let line = "7f01-7f0a r-xp 00002000 08:01 1234      /a folder/lib.so";
        let mapping = Mapping {
            memory: 0x7f01..0x7f0a,
            file_offset: 0x2000,
            path: "/a folder/lib.so".to_owned(),
        };
        assert_eq!(executable(line), Some(mapping));
        for other in [
            "7f01-7f0a r--p 0 08:01 1 /lib.so",
            "7f01-7f0a r-xp 0 0:0 0",
            "",
            "x",
        ] {
            assert_eq!(executable(other), None, "{other}");
        }
    }

    #[test]
    fn a_function_is_found_by_its_address() {
        let address = (mappings as fn() -> Vec<Mapping>) as usize;
        let mappings = mappings();
        let file = program().unwrap();
        let functions = Functions::new(&file, &mappings).unwrap();
        let symbols = look_up(address, Some(&functions));
        let function = symbols.last().unwrap();
        assert_eq!(
            function.name,
            "rutile_server::cpu_profile::symbols::mappings"
        );
        assert!(
            function.file.ends_with("symbols.rs") && function.line > 0,
            "{function:?}"
        );
        assert!(look_up(1, Some(&functions)).is_empty());
    }
}
