// swift-tools-version: 6.0
import PackageDescription

// On Linux the library is found by the linker: swift build -Xlinker -L../../target/debug
#if os(Linux)
let library = Target.systemLibrary(name: "RolekeepFFI", path: "Headers/RolekeepFFI")
#else
let library = Target.binaryTarget(name: "RolekeepFFI", path: "RolekeepFFI.xcframework")
#endif

let package = Package(
    name: "Rolekeep",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [.library(name: "Rolekeep", targets: ["Rolekeep"])],
    targets: [
        library,
        // uniffi 0.32 writes asynchronous callbacks (Persister) that Swift 6 does not take yet.
        .target(name: "Rolekeep", dependencies: ["RolekeepFFI"], swiftSettings: [.swiftLanguageMode(.v5)]),
        .executableTarget(name: "Taste", dependencies: ["Rolekeep"], path: "Examples"),
    ]
)
