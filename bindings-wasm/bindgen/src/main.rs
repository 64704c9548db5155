//! Writes the JavaScript of a wasm: `rolekeep-bindgen WASM FOLDER NAME [--without-names] [--defer EXPORT]`.
//!
//! With `--defer` it writes two files, `NAME_bg.wasm` and `NAME_deferred_bg.wasm`; see `split.rs`.

mod relocations;
mod split;

use std::{env, fs, path::Path};

use anyhow::{Context, Result, bail};
use relocations::References;
use split::Parts;
use walrus::{FunctionId, ModuleConfig};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [wasm, folder, name, options @ ..] = arguments.as_slice() else {
        bail!("usage: rolekeep-bindgen WASM FOLDER NAME [--without-names] [--defer EXPORT]")
    };
    let is_named = !options.iter().any(|option| option == "--without-names");
    let deferred = options.iter().position(|option| option == "--defer");
    let deferred = deferred.map(|at| options.get(at + 1).context("--defer: of which export?")).transpose()?;

    // Without the module's default path: the package's own loaders name it, each in the way that its platform needs.
    let mut bindgen = Bindgen::new();
    bindgen.web(true)?.typescript(true).omit_default_module_path(true).remove_name_section(!is_named).out_name(name);
    let glue = Path::new(folder).join(name);
    let Some(deferred) = deferred else {
        bindgen.input_path(wasm).generate(folder)?;
        return tell_of_faults(&glue);
    };

    let wasm = fs::read(wasm).with_context(|| format!("{wasm} cannot be read"))?;
    let references = References::read(&wasm)?;
    // As the library reads it, but that the names are needed until the end.
    let config = |names| {
        let mut config = ModuleConfig::new();
        config.strict_validate(false).generate_dwarf(false).generate_name_section(names);
        config
    };
    let module = config(true).parse(&wasm)?;
    let originals: Vec<FunctionId> = module.funcs.iter().map(|function| function.id()).collect();
    let mut output = bindgen.input_module(name, module).generate_output()?;
    let parts = Parts::find(output.wasm(), &originals, &references, deferred)?;
    output.emit(folder)?;
    let [first, second] = parts.split(output.wasm_mut(), deferred, &config(is_named))?;
    fs::write(Path::new(folder).join(format!("{name}_bg.wasm")), first)?;
    fs::write(Path::new(folder).join(format!("{name}_deferred_bg.wasm")), second)?;
    tell_of_faults(&glue)
}

/// Has somebody told of what ends the work of the wasm later: thrown in a microtask it would end a process, and whoever waits for that
/// work would wait for ever. Where nothing is done later there is nothing to tell.
fn tell_of_faults(glue: &Path) -> Result<()> {
    const LATER: &str = "queueMicrotask(arg0);";
    const TOLD: &str = "queueMicrotask(() => { try { arg0(); } catch (fault) { tellOfFault(fault); } });";
    let edit = |extension, edit: &dyn Fn(String) -> Result<String>| -> Result<()> {
        let path = glue.with_extension(extension);
        let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        Ok(fs::write(&path, edit(text)?)?)
    };
    let code = fs::read_to_string(glue.with_extension("js"))?;
    if !code.contains("queueMicrotask") {
        return Ok(());
    }
    edit("js", &|code| {
        if code.matches(LATER).count() != 1 {
            bail!("wasm-bindgen writes another queueMicrotask than is known here");
        }
        let how = "\nlet tellOfFault = (fault) => { throw fault; };\nexport function onFault(tell) { tellOfFault = tell; }\n";
        Ok(code.replace(LATER, TOLD) + how)
    })?;
    edit("d.ts", &|types| Ok(types + "\nexport function onFault(tell: (fault: unknown) => void): void;\n"))
}
