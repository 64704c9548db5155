//! Swift: the areas as properties, lists that iterate, and secrets that are not shown.

use std::{collections::BTreeSet, fmt::Write};

use rolekeep::describe::{Catalogue, Shape, TypeRef};

use super::{MARK, camel, input, is_all_default, operations, pascal, simple};

pub(super) fn areas(catalogue: &Catalogue) -> String {
    let properties = catalogue.areas.iter().map(|area| {
        let (name, class) = (camel(area.name), pascal(area.name));
        let about = area.about.trim();
        format!("    /// {about}\n    public var {name}: {class} {{ get{class}() }}\n")
    });
    let properties = properties.collect::<Vec<_>>().join("\n");
    let mut text = format!(
        "{MARK}\n/// The operations, grouped: `try await me.users.create(…)`.\nextension Caller {{\n{properties}}}\n"
    );
    let mut pages = BTreeSet::new();
    for (area, operation) in operations(catalogue) {
        let (TypeRef::Page(item), Some(name)) = (&operation.output, input(catalogue, operation)) else { continue };
        let Some(Shape::Record(fields)) = catalogue.types.0.get(name).map(|ty| &ty.shape) else { continue };
        // In the order of the initialiser, which has no other; without `page`, as a cursor is one.
        let arguments = fields.iter().map(|field| field.name).filter(|name| *name != "page").map(|name| match name {
            "cursor" => "cursor: cursor".to_owned(),
            name => format!("{0}: input.{0}", camel(name)),
        });
        let (class, method, item) = (pascal(area.name), camel(operation.name), simple(item));
        let default = if is_all_default(catalogue, name) { format!(" = {name}()") } else { String::new() };
        let _ = write!(
            text,
            "\nextension {class} {{\n    /// All rows of `{method}`, from the first page to the last; `limit` of them are \
             read at a time.\n    public func {method}All(input: {name}{default}) -> AllRows<{item}> {{\n        AllRows {{ \
             cursor in\n            let page = try await self.{method}(input: {name}({}))\n            return (page.items, \
             page.nextCursor)\n        }}\n    }}\n}}\n",
            arguments.collect::<Vec<_>>().join(", ")
        );
        pages.insert(item);
    }
    for item in pages {
        let _ = write!(
            text,
            "\nextension {item}Page: Sequence {{\n    /// The rows of the page.\n    \
             public func makeIterator() -> IndexingIterator<[{item}]> {{ items.makeIterator() }}\n}}\n"
        );
    }
    text
}

/// What `dump` and debuggers see of records that hold secrets; `print` asks the Rust side.
pub(super) fn secrets(catalogue: &Catalogue) -> String {
    let records = catalogue.types.0.iter().filter(|(_, ty)| ty.secrets().next().is_some()).map(|(name, _)| {
        format!(
            "\nextension {name}: CustomReflectable {{\n    /// Nothing: it holds secrets.\n    \
             public var customMirror: Mirror {{ Mirror(self, children: [:]) }}\n}}\n"
        )
    });
    MARK.to_owned() + &records.collect::<String>()
}
