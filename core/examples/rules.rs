//! Rules without accounts: the host knows Ada, and asks what she may do.
use rolekeep::{Policy, PrincipalData, Resource, Rules};

fn main() -> rolekeep::Result<()> {
    let rules = Rules::compile(&Policy::from_toml(include_str!("../../docs/examples/documents.toml"))?)?;
    let ada = rules.resolve_principal(&PrincipalData::new("ada").roles(["author"]).attribute("department", "maps"))?;
    let document = |owner: &str| Resource::of("document").with("owner", owner).with("department", "maps");
    println!("own: {}", rules.check(&ada, "document:edit", &document("ada"))?);
    println!("other: {}", rules.check(&ada, "document:edit", &document("bob"))?);
    println!("{}", rules.explain(&ada, "document:edit", &document("bob"))?.text);
    Ok(())
}
