//! Which fields are secrets, for the tests of every language.

use rolekeep::describe::Catalogue;

use crate::Face;

pub(crate) fn faces(catalogue: &Catalogue) -> Vec<Face> {
    let records = catalogue.types.0.iter().filter_map(|(name, ty)| {
        let fields: Vec<&str> = ty.secrets().map(|field| field.name).collect();
        (!fields.is_empty()).then(|| format!("  \"{name}\": {fields:?}"))
    });
    let text = format!("{{\n{}\n}}\n", records.collect::<Vec<_>>().join(",\n"));
    vec![Face::new("tests/conformance/secrets.json", text)]
}

#[cfg(test)]
mod tests {
    use rolekeep::ffi;

    use crate::EMITTERS;

    #[test]
    fn nothing_that_holds_a_secret_prints_it() {
        let catalogue = ffi::catalogue();
        let faces: Vec<_> = EMITTERS.iter().flat_map(|emit| emit(&catalogue)).collect();
        let all = |of: &str| {
            let texts = faces.iter().filter(|face| face.path.starts_with(of)).map(|face| face.text.as_str());
            texts.collect::<Vec<_>>().join("\n")
        };
        let rust = all("bindings-mobile/src/face").replace('\n', " ");
        let (swift, python, typescript) =
            (all("bindings-mobile/swift"), all("bindings-python/python/rolekeep/records"), all("bindings-wasm/ts"));
        let mut met = 0;
        for (name, ty) in &catalogue.types.0 {
            for field in ty.secrets() {
                met += 1;
                let derive = format!("uniffi::Record)] #[uniffi::export(Debug, Display)] pub struct {name} {{");
                assert!(rust.contains(&derive) && rust.contains(&format!("hidden!({name});")), "{name}: Kotlin");
                assert!(swift.contains(&format!("extension {name}: CustomReflectable")), "{name}: Swift");
                let form = codec(&typescript, name).and_then(|line| {
                    line.split(&[' ', '"'][..]).find(|field_of| {
                        field_of
                            .split_once(':')
                            .is_some_and(|(key, form)| key == field.name && form.starts_with("secret"))
                    })
                });
                assert!(form.is_some(), "{name}.{}: TypeScript", field.name);
                // What an operation takes is no record in Python.
                if let Some((_, class)) = python.split_once(&format!("\nclass {name}:\n")) {
                    let line = class.lines().find(|line| line.starts_with(&format!("    {}: ", field.name)));
                    assert!(line.is_some_and(|line| line.contains("repr=False")), "{name}.{}: Python", field.name);
                }
            }
        }
        assert!(met >= 6, "reflection knows of {met} secrets");
    }

    fn codec<'t>(typescript: &'t str, record: &str) -> Option<&'t str> {
        typescript.lines().find(|line| line.trim_start().starts_with(&format!("{record}: \"")))
    }
}
