//! What the functions and data of a linked wasm refer to, as the linker tells it (`--emit-relocs`).

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use anyhow::{Context, Result, bail, ensure};
use wasmparser::{
    DataKind, KnownCustom, Linking, Operator, Parser, Payload, RelocationEntry, RelocationType, SymbolInfo, TypeRef,
};

/// A function by its index, or a piece of data by its address and length.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Symbol {
    Function(u32),
    Data(Range<u32>),
}

impl Symbol {
    /// The address, if it is data.
    pub fn data(&self) -> Option<&Range<u32>> {
        match self {
            Self::Data(piece) => Some(piece),
            Self::Function(_) => None,
        }
    }
}

/// Who refers to what.
#[derive(Default)]
pub struct References {
    of: HashMap<Symbol, Vec<Symbol>>,
    /// What is referred to by data that no symbol names: it is always needed.
    pub unnamed: Vec<Symbol>,
}

impl References {
    /// Reads a module.
    pub fn read(wasm: &[u8]) -> Result<Self> {
        let (mut functions, mut segments) = (Vec::new(), Vec::new());
        let (mut imported, mut symbols, mut relocations) = (0, Vec::new(), Vec::new());
        let (mut section, mut code, mut data) = (0, None, None);
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            match &payload {
                Payload::ImportSection(imports) => {
                    for import in imports.clone().into_imports() {
                        imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::CodeSectionStart { range, .. } => code = Some((section, range.start)),
                Payload::CodeSectionEntry(body) => functions.push(body.range()),
                Payload::DataSection(reader) => {
                    data = Some((section, reader.range().start));
                    for segment in reader.clone() {
                        let segment = segment?;
                        let DataKind::Active { offset_expr, .. } = segment.kind else { bail!("a passive segment") };
                        let Operator::I32Const { value } = offset_expr.get_operators_reader().read()? else {
                            bail!("a segment without a constant address")
                        };
                        let start = segment.range.end - segment.data.len();
                        segments.push((u32::try_from(value)?, start..segment.range.end));
                    }
                }
                Payload::CustomSection(custom) => match custom.as_known() {
                    KnownCustom::Linking(linking) => {
                        for part in linking.subsections() {
                            if let Linking::SymbolTable(table) = part? {
                                symbols = table.into_iter().collect::<Result<_, _>>()?;
                            }
                        }
                    }
                    KnownCustom::Reloc(reader) => relocations.push(reader),
                    _ => {}
                },
                _ => {}
            }
            // The entries of the code are no sections of their own, nor are the beginning and the end.
            let is_section =
                !matches!(payload, Payload::Version { .. } | Payload::CodeSectionEntry(_) | Payload::End(_));
            section += usize::from(is_section);
        }
        ensure!(!relocations.is_empty() && !symbols.is_empty(), "the module was linked without --emit-relocs");

        let pieces = pieces(&symbols, &segments)?;
        let mut references = Self::default();
        for relocation in relocations {
            let target = Some(relocation.section_index() as usize);
            let in_code = code.filter(|(index, _)| Some(*index) == target).map(|(_, start)| start);
            let in_data = data.filter(|(index, _)| Some(*index) == target).map(|(_, start)| start);
            for entry in relocation.entries() {
                let entry = entry?;
                let Some(to) = referred(&entry, &symbols, &segments)? else { continue };
                if let Some(start) = in_code {
                    let at = start + entry.offset as usize;
                    let index = functions.partition_point(|range| range.end <= at);
                    ensure!(
                        functions.get(index).is_some_and(|range| range.contains(&at)),
                        "a relocation outside of code"
                    );
                    let from = Symbol::Function(imported + u32::try_from(index)?);
                    references.of.entry(from).or_default().push(to);
                } else if let Some(start) = in_data {
                    let at = start + entry.offset as usize;
                    let (address, range) = segments
                        .iter()
                        .find(|(_, range)| range.contains(&at))
                        .context("a relocation outside of data")?;
                    let address = address + u32::try_from(at - range.start)?;
                    let holding: Vec<_> = holding(&pieces, address).collect();
                    if holding.is_empty() {
                        references.unnamed.push(to.clone());
                    }
                    for piece in holding {
                        references.of.entry(Symbol::Data(piece.clone())).or_default().push(to.clone());
                    }
                } else {
                    // Whoever it is that refers to it, it must not be lost.
                    bail!("references of a section that is not understood");
                }
            }
        }
        Ok(references)
    }

    /// Everything that these lead to, themselves included.
    pub fn reached(&self, from: impl IntoIterator<Item = Symbol>) -> HashSet<Symbol> {
        let mut open: Vec<Symbol> = from.into_iter().collect();
        let mut reached: HashSet<Symbol> = open.iter().cloned().collect();
        while let Some(symbol) = open.pop() {
            for next in self.of.get(&symbol).into_iter().flatten() {
                if reached.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        reached
    }
}

/// The addresses of all named data, ordered.
fn pieces(symbols: &[SymbolInfo<'_>], segments: &[(u32, Range<usize>)]) -> Result<Vec<Range<u32>>> {
    let mut pieces = Vec::new();
    for symbol in symbols {
        pieces.extend(address(symbol, segments)?.filter(|piece| !piece.is_empty()));
    }
    pieces.sort_by_key(|piece| (piece.start, piece.end));
    pieces.dedup();
    Ok(pieces)
}

/// The pieces that hold an address; several names may stand for overlapping pieces.
fn holding(pieces: &[Range<u32>], address: u32) -> impl Iterator<Item = &Range<u32>> {
    let end = pieces.partition_point(|piece| piece.start <= address);
    pieces[..end].iter().filter(move |piece| piece.end > address)
}

/// Where the data of a symbol is; none: it is no data, or the linker's own mark, which holds nothing.
fn address(symbol: &SymbolInfo<'_>, segments: &[(u32, Range<usize>)]) -> Result<Option<Range<u32>>> {
    let SymbolInfo::Data { symbol: Some(place), .. } = symbol else { return Ok(None) };
    let Some((start, _)) = segments.get(place.index as usize) else {
        ensure!(place.size == 0, "a symbol of a segment that is not there");
        return Ok(None);
    };
    Ok(Some(start + place.offset..start + place.offset + place.size))
}

/// What a relocation refers to; none: what is in both parts anyway.
fn referred(
    entry: &RelocationEntry,
    symbols: &[SymbolInfo<'_>],
    segments: &[(u32, Range<usize>)],
) -> Result<Option<Symbol>> {
    use RelocationType as Ty;
    match entry.ty {
        Ty::FunctionIndexLeb | Ty::TableIndexSleb | Ty::TableIndexI32 | Ty::FunctionIndexI32 => {
            match symbols.get(entry.index as usize) {
                Some(SymbolInfo::Func { index, .. }) => Ok(Some(Symbol::Function(*index))),
                _ => bail!("a reference to a function that is none"),
            }
        }
        Ty::MemoryAddrLeb | Ty::MemoryAddrSleb | Ty::MemoryAddrI32 => {
            let symbol = symbols.get(entry.index as usize).context("a reference to data that is not there")?;
            Ok(address(symbol, segments)?.filter(|piece| !piece.is_empty()).map(Symbol::Data))
        }
        Ty::TypeIndexLeb | Ty::GlobalIndexLeb | Ty::GlobalIndexI32 | Ty::TableNumberLeb => Ok(None),
        // Of sections that describe the program.
        Ty::FunctionOffsetI32 | Ty::SectionOffsetI32 => Ok(None),
        other => bail!("a relocation that is not understood: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{References, Symbol, holding};

    #[test]
    fn an_address_lies_in_all_pieces_that_overlap_there() {
        let pieces = [0..100, 10..20, 15..16, 20..30];
        let of = |address| holding(&pieces, address).cloned().collect::<Vec<_>>();
        assert_eq!(of(15), [0..100, 10..20, 15..16]);
        assert_eq!(of(20), [0..100, 20..30]);
        assert_eq!(of(100), []);
    }

    #[test]
    fn what_is_reached_goes_through_data_and_in_circles() {
        let (data, function) = (Symbol::Data(4..8), Symbol::Function);
        let mut references = References::default();
        references.of.insert(function(1), vec![data.clone(), function(1)]);
        references.of.insert(data.clone(), vec![function(2), function(1)]);
        references.of.insert(function(3), vec![function(2)]);
        let reached = references.reached([function(1)]);
        assert!(reached.contains(&function(2)) && reached.contains(&data) && !reached.contains(&function(3)));
    }

    #[test]
    fn a_module_without_relocations_is_refused() {
        assert!(References::read(b"\0asm\x01\0\0\0").is_err());
    }
}
