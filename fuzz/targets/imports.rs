//! What an application imports: any bytes in any format and shape. However they are cut, the same becomes of them; what is made is whole,
//! and the log of it verifies.
#![no_main]

#[path = "store.rs"]
mod store;

use base64::{Engine, prelude::BASE64_STANDARD};
use libfuzzer_sys::fuzz_target;
use rolekeep::imports::{
    AbortImport, BeginImport, FeedImport, FinishImport, ImportFormat, ImportItem, ImportLevel, ImportShape,
    OnExisting,
};

const FORMATS: [ImportFormat; 3] = [ImportFormat::Csv, ImportFormat::JsonLines, ImportFormat::Json];
const SHAPES: [ImportShape; 6] = [
    ImportShape::Rolekeep,
    ImportShape::Auth0,
    ImportShape::Firebase,
    ImportShape::Supabase,
    ImportShape::Django,
    ImportShape::Keycloak,
];

fuzz_target!(|bytes: &[u8]| {
    let Some((how, source)) = bytes.split_first_chunk::<3>() else { return };
    let [format, shape, cut] = how.map(usize::from);
    let begin = BeginImport::new("old", FORMATS[format % FORMATS.len()])
        .shape(SHAPES[shape % SHAPES.len()])
        .level(if shape & 64 == 0 { ImportLevel::Strict } else { ImportLevel::Lenient })
        .on_existing(if shape & 128 == 0 { OnExisting::Skip } else { OnExisting::Update })
        .without_unknown_hashes(format & 64 != 0)
        .match_email(format & 128 != 0);
    let whole = outcome(begin.clone(), source, source.len().max(1));
    assert_eq!(whole, outcome(begin, source, cut + 1), "in pieces of {}", cut + 1);
});

/// What became of the records, as they are told and counted; nothing where the source has an end too early or none.
fn outcome(begin: BeginImport, source: &[u8], size: usize) -> Option<Vec<String>> {
    store::with(async |um| {
        let system = um.system();
        let import = store::accepted(system.imports().begin(begin).await)?;
        let (mut items, mut at, mut end): (Vec<ImportItem>, usize, usize) = (Vec::new(), 0, 0);
        while at < source.len() || end < source.len() {
            end = (end + size).min(source.len());
            let data = BASE64_STANDARD.encode(&source[at..end]);
            let piece = FeedImport::new(import.id, i64::try_from(at).expect("a place"), data);
            let fed = match store::accepted(system.imports().feed(piece.is_last(end == source.len())).await) {
                Some(fed) => fed,
                None => {
                    let _ = store::accepted(system.imports().abort(AbortImport::new(import.id)).await);
                    return None;
                }
            };
            at = usize::try_from(fed.import.position).expect("a place");
            items.extend(fed.items);
        }
        let done = store::accepted(system.imports().finish(FinishImport::new(import.id)).await)?;
        assert_eq!(usize::try_from(done.counts.read).ok(), Some(items.len()));
        // Ids and times are others each time.
        let told = items.iter().map(|item| {
            let errors: Vec<_> = item.errors.iter().map(|error| (&error.field, &error.code)).collect();
            format!("{} {:?} {:?} {errors:?}", item.number, item.outcome, item.foreign_id)
        });
        Some(told.chain([format!("{:?}", done.counts)]).collect())
    })
}
