//! Assets of kinds that the policy declares (FLT-7): what the scenarios do not play, as it needs a rival or a second opening.

use std::sync::Arc;

use rolekeep::{
    Code, Policy, Reason, UserManagement,
    asset_kinds::{DeleteAssetKind, PutAssetKind},
    assets::{AssignAsset, CreateAsset, DeleteAsset, ListAssets, ReassignAsset, UnassignAsset, UpdateAsset},
    drones::{AssignDrone, CreateDrone, DroneModel, ListDrones},
    regions::CreateRegion,
    setup::Seed,
    storage::MemoryStorage,
};

use serde_json::json;

use super::kit::{Interposed, caller, store, user};
use crate::cheap;

const KIND: &str = "[asset_kinds.vehicle]\nmodels = ['Truck', 'Jeep']\nstatuses = ['READY', 'IN_REPAIR']\n";

fn policy(allow: &str) -> Policy {
    let text = format!("{KIND}[roles.admin]\nallow = ['admin:all']\n[roles.role]\nallow = [{allow}]\n");
    Policy::from_toml(&text).unwrap()
}

fn truck(code: &str) -> CreateAsset {
    CreateAsset::new("vehicle", code, "Truck")
}

async fn opened(allow: &str) -> UserManagement {
    let um = store(policy(allow)).await;
    um.system().regions().create(CreateRegion::new("east", "East")).await.unwrap();
    um
}

/// What decides about an asset is guarded where an operation on others moves it along.
#[tokio::test]
async fn sec_10_deleting_a_region_takes_no_asset_into_ones_reach() {
    let free = "{ permission = 'vehicle:update', when = 'not has resource.region_id' }";
    let delete = "'region:read', 'region:delete'";
    for (more, is_allowed) in [("", false), (", 'vehicle:set_authority'", true)] {
        let um = opened(&format!("{delete}, {free}{more}")).await;
        um.system().assets().create(truck("t1").region("east")).await.unwrap();
        let (me, _) = caller(&um, "mia", &["role"]).await;
        assert_eq!(me.regions().delete("east").await.is_ok(), is_allowed, "{more}");
        let asset = um.system().assets().get(rolekeep::assets::GetAsset::new("vehicle", "t1")).await.unwrap();
        assert_eq!(asset.region_id.is_none(), is_allowed, "{more}");
    }
}

/// A relation that conditions read is guarded, on the asset as it was and as it will be.
#[tokio::test]
async fn sec_10_who_is_assigned_to_an_asset_is_guarded_by_its_kind() {
    let mine = "'user:read', { permission = ['vehicle:read', 'vehicle:list'], when = 'resource.assigned_users contains principal.id' }";
    let um = opened(&format!("{mine}, 'vehicle:assign'")).await;
    um.system().assets().create(truck("t1")).await.unwrap();
    let (me, id) = caller(&um, "mia", &["role"]).await;
    let refused = me.assets().assign(AssignAsset::new("vehicle", "t1", id)).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound, "it does not see it");
    assert_eq!(me.assets().list(ListAssets::new("vehicle")).await.unwrap().total, Some(0));

    let um = opened(&format!("{mine}, 'vehicle:read', 'vehicle:assign'")).await;
    um.system().assets().create(truck("t1")).await.unwrap();
    let (me, id) = caller(&um, "mia", &["role"]).await;
    let refused = me.assets().assign(AssignAsset::new("vehicle", "t1", id)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Forbidden, "nobody takes an asset into its own reach");
}

/// A new asset and the end of its kind: one of the two is refused, whichever is first.
#[tokio::test]
async fn sec_16_no_asset_is_left_without_its_kind() {
    let (um, storage) = Interposed::open(policy("")).await;
    user(&um, "root", &["admin"]).await;
    let system = um.system();
    storage.before_next_commit(async move {
        system.asset_kinds().delete(DeleteAssetKind::new("vehicle")).await.unwrap();
    });
    let refused = um.system().assets().create(truck("t1")).await.unwrap_err();
    assert!(storage.has_acted());
    assert_eq!(refused.fields()[0].field, "kind", "{refused:?}");

    for is_first in [true, false] {
        let (um, storage) = Interposed::open(policy("")).await;
        user(&um, "root", &["admin"]).await;
        if !is_first {
            // The guards of the kind are there.
            um.system().assets().create(truck("t0")).await.unwrap();
            um.system().assets().delete(DeleteAsset::new("vehicle", "t0")).await.unwrap();
        }
        let system = um.system();
        storage.before_next_commit(async move {
            system.assets().create(truck("t1")).await.unwrap();
        });
        let refused = um.system().asset_kinds().delete(DeleteAssetKind::new("vehicle")).await.unwrap_err();
        assert!(storage.has_acted());
        assert_eq!(refused.reason(), Reason::InUse, "{is_first}");
    }
}

/// The same of a word.
#[tokio::test]
async fn sec_16_words_in_use_stay_also_of_an_asset_that_changes_meanwhile() {
    let (um, storage) = Interposed::open(policy("")).await;
    user(&um, "root", &["admin"]).await;
    um.system().assets().create(truck("t1")).await.unwrap();
    let ready = || PutAssetKind::new("vehicle").models(["Truck"]).statuses(["READY"]);
    let system = um.system();
    storage.before_next_commit(async move {
        system.assets().update(UpdateAsset::new("vehicle", "t1").status("IN_REPAIR")).await.unwrap();
    });
    assert_eq!(um.system().asset_kinds().put(ready()).await.unwrap_err().reason(), Reason::InUse);
    assert!(storage.has_acted());
}

/// What the host gives at an opening is an edit, too; and what was declared meanwhile is no part of it.
#[tokio::test]
async fn flt_7_a_file_without_a_kind_in_use_opens_no_store() {
    let storage = Arc::new(MemoryStorage::new());
    let open = async |policy: Policy| cheap::builder().storage(storage.clone()).policy(policy).open().await;
    let um = open(policy("")).await.unwrap();
    user(&um, "root", &["admin"]).await;
    um.system().assets().create(truck("t1")).await.unwrap();
    let radar = PutAssetKind::new("radar").models(["R1"]).statuses(["ON"]);
    um.system().asset_kinds().put(radar).await.unwrap();

    let without = Policy::from_toml("[roles.admin]\nallow = ['admin:all']\n").unwrap();
    assert_eq!(open(without).await.err().map(|error| error.reason()), Some(Reason::InUse));

    let um = open(policy("'vehicle:read'").description("Another one")).await.unwrap();
    let kinds: Vec<String> =
        um.system().asset_kinds().list().await.unwrap().into_iter().map(|kind| kind.kind).collect();
    assert_eq!(kinds, ["radar", "vehicle"]);
    um.system().assets().delete(DeleteAsset::new("vehicle", "t1")).await.unwrap();
    let without = Policy::from_toml("[roles.admin]\nallow = ['admin:all']\n").unwrap();
    let um = open(without).await.unwrap();
    assert_eq!(um.system().asset_kinds().list().await.unwrap().len(), 1);
}

/// An asset that somebody may not see is told of in the words of one that is not there.
#[tokio::test]
async fn sec_9_a_hidden_asset_is_as_one_that_is_not_there() {
    let here =
        "'region:read', { permission = ['vehicle:read', 'vehicle:delete'], when = 'not has resource.region_id' }";
    let um = opened(here).await;
    um.system().assets().create(truck("t1").region("east")).await.unwrap();
    let (me, _) = caller(&um, "mia", &["role"]).await;
    for code in ["t1", "nothing"] {
        let read = me.assets().get(rolekeep::assets::GetAsset::new("vehicle", code)).await.unwrap_err();
        assert_eq!((read.code(), read.message()), (Code::NotFound, "no such vehicle"), "{code}");
        let gone = me.assets().delete(DeleteAsset::new("vehicle", code)).await.unwrap_err();
        assert_eq!((gone.code(), gone.message()), (Code::NotFound, "no such vehicle"), "{code}");
    }
}

const ADA: &str = "0190a0b0-0000-7000-8000-000000000001";

/// A seed of so many drones, all flown by Ada.
fn drones(count: usize) -> Seed {
    let drone = |at: usize| {
        let id = format!("0190a0b0-0000-7000-8001-{at:012}");
        json!({"id": id, "code": format!("d-{at}"), "model": "FlyOS_MQ5", "status": "ACTIVE", "operator": "ada@example.org"})
    };
    let drones: Vec<_> = (0..count).map(drone).collect();
    json!({"users": [{"id": ADA, "email": "ada@example.org"}], "drones": drones}).try_into().unwrap()
}

/// Drones and assets of all kinds are counted together, those of the same commit as well, and nobody comes between.
#[tokio::test]
async fn sec_15_a_user_is_assigned_a_thousand_assets_and_no_more() {
    let (um, storage) = Interposed::open(policy("")).await;
    let system = um.system();
    assert_eq!(system.setup().seed(drones(1_001)).await.unwrap_err().reason(), Reason::LimitReached);
    assert_eq!(system.drones().list(ListDrones::new()).await.unwrap().total, Some(0));
    system.setup().seed(drones(998)).await.unwrap();
    let ada: rolekeep::UserId = ADA.parse().unwrap();
    let bob = user(&um, "bob", &[]).await.id;

    let count = async || {
        let drones = system.drones().list(ListDrones::new().operator_id(ada)).await.unwrap().total.unwrap();
        drones + system.assets().list(ListAssets::new("vehicle").operator_id(ada)).await.unwrap().total.unwrap()
    };
    let assign = async |code: &str| system.assets().assign(AssignAsset::new("vehicle", code, ada)).await;
    for code in ["t1", "t2", "t3"] {
        system.assets().create(truck(code)).await.unwrap();
    }
    assign("t1").await.unwrap();
    let rival = um.clone();
    storage.before_next_commit(async move {
        rival.system().assets().assign(AssignAsset::new("vehicle", "t3", ada)).await.unwrap();
    });
    assert_eq!(assign("t2").await.unwrap_err().reason(), Reason::LimitReached);
    assert!(storage.has_acted());
    assert_eq!(count().await, 1_000);

    let spare = CreateDrone::new("spare", DroneModel::Mq5);
    let made = system.drones().create(spare.clone().operator_id(ada)).await;
    assert_eq!(made.unwrap_err().reason(), Reason::LimitReached);
    let made = system.assets().create(truck("t4").operator_id(ada)).await;
    assert_eq!(made.unwrap_err().reason(), Reason::LimitReached);
    system.drones().create(spare.operator_id(bob)).await.unwrap();
    assert_eq!(
        system.drones().assign(AssignDrone::new("spare", ada)).await.unwrap_err().reason(),
        Reason::LimitReached
    );
    let moved = system.assets().reassign(ReassignAsset::new("vehicle", "t2", ada)).await;
    assert_eq!(moved.unwrap_err().reason(), Reason::LimitReached);

    // What it is assigned already it may operate again, and for one that goes another may come.
    system.assets().assign(AssignAsset::new("vehicle", "t1", bob)).await.unwrap();
    assign("t1").await.unwrap();
    system.assets().unassign(UnassignAsset::new("vehicle", "t1", ada)).await.unwrap();
    assign("t2").await.unwrap();
    assert_eq!((count().await, assign("t1").await.unwrap_err().reason()), (1_000, Reason::LimitReached));
}
