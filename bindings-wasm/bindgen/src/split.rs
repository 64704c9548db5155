//! One program as two wasm files: what its entry points lead to, and what only the deferred entry point leads to.
//!
//! Which function belongs where is not chosen but follows from who refers to whom: the first file has all that can be
//! reached without the deferred entry point, by calls, by function pointers in code and by function pointers in data.
//! So nothing in it can call what is not loaded. The second has the rest and imports the memory, the tables and the
//! functions of the first.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    ops::Range,
};

use anyhow::{Context, Result, bail, ensure};
use walrus::{
    ConstExpr, DataId, DataKind, ElementItems, ElementKind, ExportItem, FunctionId, FunctionKind, GlobalKind,
    ImportKind, ImportedFunction, LocalFunction, MemoryId, Module, ModuleConfig,
    ir::{Value, Visitor, dfs_in_order},
};

use crate::relocations::{References, Symbol};

/// The module that the second file imports from: the first.
const FIRST: &str = "first";

/// A segment of its own costs as many bytes.
const LEAST_GAP: u32 = 8;

/// The functions and the data that the first file goes without.
pub struct Parts {
    /// By their place in the module: those of the second file, and those that nobody needs.
    moved: HashMap<usize, Use>,
    /// Addresses of what is for the second file alone.
    moved_data: Vec<Range<u32>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Second,
    Nobody,
}

impl Parts {
    /// Those of a module whose JavaScript was made, which has added functions and removed others. `originals` are the
    /// functions as the linker numbered them.
    pub fn find(module: &Module, originals: &[FunctionId], references: &References, deferred: &str) -> Result<Self> {
        let numbers: HashMap<FunctionId, u32> = originals.iter().copied().zip(0..).collect();
        let symbol = |function: FunctionId| numbers.get(&function).copied().map(Symbol::Function);
        let entry = module.exports.get_func(deferred).context("the deferred entry point is not exported")?;
        let exported = module.exports.iter().filter(|export| export.name != deferred);
        let exported = exported.filter_map(|export| match export.item {
            ExportItem::Function(function) => Some(function),
            _ => None,
        });
        let mut roots: Vec<FunctionId> = exported.chain(module.start).collect();
        for (id, added) in module.funcs.iter_local().filter(|(id, _)| !numbers.contains_key(id)) {
            roots.push(id);
            roots.extend(called(added));
        }
        let unnamed = references.unnamed.iter().cloned();
        let at_first = references.reached(roots.into_iter().filter_map(symbol).chain(unnamed));
        let later = references.reached(symbol(entry));

        let mut moved = HashMap::new();
        for (id, _) in module.funcs.iter_local() {
            let Some(symbol) = symbol(id).filter(|symbol| !at_first.contains(symbol)) else { continue };
            moved.insert(id.index(), if later.contains(&symbol) { Use::Second } else { Use::Nobody });
        }
        ensure!(moved.contains_key(&entry.index()), "the deferred entry point is reached without it");
        let name = |id| module.funcs.get(id).name.as_deref().unwrap_or("a function without a name");
        for (id, function) in module.funcs.iter_local().filter(|(id, _)| !moved.contains_key(&id.index())) {
            if let Some(called) = called(function).into_iter().find(|called| moved.contains_key(&called.index())) {
                bail!("{} calls {}, which is deferred", name(id), name(called));
            }
        }
        let pieces = |symbols: &HashSet<Symbol>| symbols.iter().filter_map(|symbol| symbol.data().cloned()).collect();
        let kept = merged(pieces(&at_first), 0);
        let moved_data =
            merged(pieces(&later), LEAST_GAP).into_iter().flat_map(|piece| without(piece, &kept)).collect();
        Ok(Self { moved, moved_data })
    }

    /// Both files of a module, the first and the second.
    pub fn split(&self, module: &mut Module, deferred: &str, config: &ModuleConfig) -> Result<[Vec<u8>; 2]> {
        for name in ["linking", "reloc.CODE", "reloc.DATA"] {
            module.customs.remove_raw(name);
        }
        // Written and read twice, as a module cannot be copied. Writing orders functions anew; names that are numbers
        // say which is which.
        let names: HashMap<usize, Option<String>> = module
            .funcs
            .iter_mut()
            .map(|one| (one.id().index(), one.name.replace(one.id().index().to_string())))
            .collect();
        let wasm = module.emit_wasm();
        let half = || -> Result<(Module, HashMap<FunctionId, Use>)> {
            let mut half = config.parse(&wasm)?;
            let mut moved = HashMap::new();
            for function in half.funcs.iter_mut() {
                let before: usize = function.name.take().context("a function lost its number")?.parse()?;
                function.name = names.get(&before).cloned().flatten();
                moved.extend(self.moved.get(&before).map(|by| (function.id(), *by)));
            }
            ensure!(moved.len() == self.moved.len(), "functions were lost");
            Ok((half, moved))
        };
        let ((mut first, moved), (mut second, moved_in_second)) = (half()?, half()?);
        // The memory has a name of this build alone, so that files of two builds do not load together.
        let mut build = DefaultHasher::new();
        wasm.hash(&mut build);
        let shared = self.keep_second(&mut second, &moved_in_second, deferred, build.finish())?;
        self.keep_first(&mut first, &moved, deferred, &shared)?;
        Ok([first.emit_wasm(), second.emit_wasm()])
    }

    /// Leaves the second file; answers what it imports from the first, and by which names.
    fn keep_second(
        &self,
        module: &mut Module,
        moved: &HashMap<FunctionId, Use>,
        deferred: &str,
        build: u64,
    ) -> Result<Vec<Shared>> {
        let others: Vec<_> =
            module.exports.iter().filter(|export| export.name != deferred).map(|one| one.id()).collect();
        others.into_iter().for_each(|export| module.exports.delete(export));
        module.start = None;
        keep_elements(module, |function| moved.get(&function) == Some(&Use::Second))?;
        let segments: Vec<_> = module.data.iter().map(|segment| segment.id()).collect();
        for id in segments {
            let (memory, start) = place(module, id)?;
            let value = std::mem::take(&mut module.data.get_mut(id).value);
            module.memories.get_mut(memory).data_segments.remove(&id);
            module.data.delete(id);
            for piece in self.data_of(start, value.len()) {
                let kind = DataKind::Active { memory, offset: constant(start + piece.start as u32) };
                let id = module.data.add(kind, value[piece].to_vec());
                module.memories.get_mut(memory).data_segments.insert(id);
            }
        }

        for import in module.imports.iter_mut() {
            FIRST.clone_into(&mut import.module);
        }
        for function in module.funcs.iter_mut().filter(|function| !moved.contains_key(&function.id())) {
            let (id, ty) = (function.id(), function.ty());
            if matches!(function.kind, FunctionKind::Local(_)) {
                let import = module.imports.add(FIRST, "", id);
                function.kind = FunctionKind::Import(ImportedFunction { import, ty });
            }
        }
        for table in module.tables.iter_mut() {
            table.import = Some(module.imports.add(FIRST, "", table.id()));
        }
        for memory in module.memories.iter_mut() {
            memory.import = Some(module.imports.add(FIRST, "", memory.id()));
        }
        let globals: Vec<_> = module.globals.iter().map(|global| global.id()).collect();
        for id in globals {
            module.globals.get_mut(id).kind = GlobalKind::Import(module.imports.add(FIRST, "", id));
        }
        walrus::passes::gc::run(module);

        let mut shared = Vec::new();
        for (number, import) in module.imports.iter_mut().enumerate() {
            // No name of an export of our own begins like this.
            import.name = format!("${number:x}");
            if let ImportKind::Memory(_) = import.kind {
                import.name = format!("{build:x}");
            }
            let at = match import.kind {
                ImportKind::Function(id) => Place::Function(id.index()),
                ImportKind::Table(id) => Place::Table(id.index()),
                ImportKind::Memory(id) => Place::Memory(id.index()),
                ImportKind::Global(id) => Place::Global(id.index()),
                ImportKind::Tag(_) => bail!("tags are not understood"),
            };
            shared.push(Shared { at, name: import.name.clone() });
        }
        Ok(shared)
    }

    /// Leaves the first file, with what the second imports.
    fn keep_first(
        &self,
        module: &mut Module,
        moved: &HashMap<FunctionId, Use>,
        deferred: &str,
        shared: &[Shared],
    ) -> Result<()> {
        module.exports.remove(deferred)?;
        keep_elements(module, |function| !moved.contains_key(&function))?;
        let segments: Vec<_> = module.data.iter().map(|segment| segment.id()).collect();
        for id in segments {
            let (_, start) = place(module, id)?;
            let value = &mut module.data.get_mut(id).value;
            // Zeros weigh nothing.
            self.data_of(start, value.len()).for_each(|piece| value[piece].fill(0));
        }
        // Both halves were read from the same bytes, so that what is in one place in one is there in the other.
        let mut items: HashMap<Place, ExportItem> = HashMap::new();
        items.extend(module.funcs.iter().map(|one| (Place::Function(one.id().index()), one.id().into())));
        items.extend(module.tables.iter().map(|one| (Place::Table(one.id().index()), one.id().into())));
        items.extend(module.memories.iter().map(|one| (Place::Memory(one.id().index()), one.id().into())));
        items.extend(module.globals.iter().map(|one| (Place::Global(one.id().index()), one.id().into())));
        for Shared { at, name } in shared {
            module.exports.add(name, *items.get(at).context("the second file needs what the first does not have")?);
        }
        walrus::passes::gc::run(module);
        Ok(())
    }

    /// What is for the second file alone of a segment that begins at an address, as places in it.
    fn data_of(&self, start: u32, length: usize) -> impl Iterator<Item = Range<usize>> {
        let end = start + length as u32;
        let pieces = self.moved_data.iter().map(move |piece| piece.start.max(start)..piece.end.min(end));
        let pieces = pieces.filter(|piece| !piece.is_empty());
        pieces.map(move |piece| (piece.start - start) as usize..(piece.end - start) as usize)
    }
}

/// Where something is in a module.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Function(usize),
    Table(usize),
    Memory(usize),
    Global(usize),
}

/// Something of the first file that the second needs, and the name by which it gets it.
struct Shared {
    at: Place,
    name: String,
}

/// The functions that a function calls or refers to.
fn called(function: &LocalFunction) -> Vec<FunctionId> {
    struct Called(Vec<FunctionId>);
    impl<'i> Visitor<'i> for Called {
        fn visit_function_id(&mut self, function: &FunctionId) {
            self.0.push(*function);
        }
    }
    let mut called = Called(Vec::new());
    dfs_in_order(&mut called, function, function.entry_block());
    called.0
}

/// Leaves the slots of tables to these functions; the others stay empty.
fn keep_elements(module: &mut Module, is_kept: impl Fn(FunctionId) -> bool) -> Result<()> {
    let segments: Vec<_> = module.elements.iter().map(|segment| segment.id()).collect();
    for id in segments {
        let segment = module.elements.get(id);
        let ElementKind::Active { table, offset: ConstExpr::Value(Value::I32(start)) } = segment.kind else {
            bail!("a table that is not filled at a constant place")
        };
        let ElementItems::Functions(functions) = segment.items.clone() else { bail!("a table of expressions") };
        module.tables.get_mut(table).elem_segments.remove(&id);
        module.elements.delete(id);
        let slots: Vec<_> = (start..).zip(functions).collect();
        for run in slots.chunk_by(|(_, one), (_, next)| is_kept(*one) == is_kept(*next)) {
            let Some((start, _)) = run.first().filter(|(_, function)| is_kept(*function)) else { continue };
            let kind = ElementKind::Active { table, offset: ConstExpr::Value(Value::I32(*start)) };
            let items = ElementItems::Functions(run.iter().map(|(_, function)| *function).collect());
            let id = module.elements.add(kind, items);
            module.tables.get_mut(table).elem_segments.insert(id);
        }
    }
    Ok(())
}

/// Where a segment of data goes.
fn place(module: &Module, id: DataId) -> Result<(MemoryId, u32)> {
    match module.data.get(id).kind {
        DataKind::Active { memory, offset: ConstExpr::Value(Value::I32(start)) } => Ok((memory, start as u32)),
        _ => bail!("a segment without a constant address"),
    }
}

fn constant(address: u32) -> ConstExpr {
    ConstExpr::Value(Value::I32(address as i32))
}

/// Ordered and without overlaps; those that are no further apart are made one.
fn merged(mut pieces: Vec<Range<u32>>, gap: u32) -> Vec<Range<u32>> {
    pieces.sort_by_key(|piece| piece.start);
    let mut merged: Vec<Range<u32>> = Vec::new();
    for piece in pieces {
        match merged.last_mut() {
            Some(last) if piece.start <= last.end + gap => last.end = last.end.max(piece.end),
            _ => merged.push(piece),
        }
    }
    merged
}

/// What is left of a piece without others, which are ordered.
fn without(piece: Range<u32>, others: &[Range<u32>]) -> Vec<Range<u32>> {
    let (mut left, mut start) = (Vec::new(), piece.start);
    for other in others.iter().filter(|other| other.start < piece.end && other.end > piece.start) {
        if other.start > start {
            left.push(start..other.start);
        }
        start = start.max(other.end);
    }
    if start < piece.end {
        left.push(start..piece.end);
    }
    left
}

#[cfg(test)]
mod tests {
    use super::{merged, without};

    #[test]
    fn pieces_that_overlap_or_lie_near_each_other_become_one() {
        assert_eq!(merged(vec![8..12, 0..4, 2..6], 0), [0..6, 8..12]);
        assert_eq!(merged(vec![8..12, 0..4, 2..6, 20..21], 2), [0..12, 20..21]);
        assert_eq!(merged(vec![0..10, 2..4, 11..12], 0), [0..10, 11..12]);
    }

    #[test]
    fn what_the_first_file_keeps_is_never_moved() {
        let kept = [2..4, 6..8];
        assert_eq!(without(0..10, &kept), [0..2, 4..6, 8..10]);
        assert_eq!(without(2..4, &kept), []);
        assert_eq!(without(1..7, &kept), [1..2, 4..6]);
        assert_eq!(without(0..30, &kept[..1]), [0..2, 4..30]);
    }
}
