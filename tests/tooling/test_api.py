"""What lists the public API of Swift, by its text."""

import importlib.util
import unittest
from pathlib import Path

FILE = Path(__file__).resolve().parents[2] / "tests/api/swift.py"
SPEC = importlib.util.spec_from_file_location("swift_api", FILE)
assert SPEC is not None and SPEC.loader is not None
swift = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(swift)


def listed(text: str) -> list[str]:
    return [f"{path}: {line}" for path, line in swift.declarations(swift.without_comments(text))]


class SwiftApi(unittest.TestCase):
    def test_members_and_where_they_live(self) -> None:
        text = """
        public struct Page: Equatable {
            public let items: [Int]
            let secret: Int
            public var first: Int { items[0] }
            public init(items: [Int] = [], /** How many. */ limit: Int? = nil) { self.items = items }
            public enum Kind { case one, two(of: Int) }
        }
        """
        expected = ["Page: public struct Page: Equatable", "Page: public let items: [Int]", "Page: public var first: Int"]
        expected += ["Page: public init(items: [Int] = [], limit: Int? = nil)", "Page.Kind: public enum Kind", "Page.Kind: case one, two(of: Int)"]
        self.assertEqual(listed(text), expected)

    def test_a_declaration_may_take_several_lines(self) -> None:
        text = 'public\nenum Wrong: Error {\n    case Failed(\n        // why\n        detail: String\n    )\n}\nopen func a(\n    b: Int\n)async throws  -> Int {\n    print("}")\n}'
        expected = ["Wrong: public enum Wrong: Error", "Wrong: case Failed(detail: String)", "Rolekeep: open func a(b: Int) async throws -> Int"]
        self.assertEqual(listed(text), expected)

    def test_what_is_within_something_hidden_is_hidden(self) -> None:
        self.assertEqual(listed("fileprivate struct A { public func b() { let c = 1 } }\nstruct D { public struct E {} }"), [])
        self.assertEqual(listed("public func f() {\n    func g() {}\n    public let h = 1\n}"), ["Rolekeep: public func f()"])

    def test_braces_in_strings_and_remarks_are_none(self) -> None:
        text = 'public var a: String {\n    // {\n    return "{" + "\\"{"\n}\n/* } */ public let b: Int'
        self.assertEqual(listed(text), ["Rolekeep: public var a: String", "Rolekeep: public let b: Int"])

    def test_protocols_and_extensions(self) -> None:
        text = "public protocol P {\n    func a() -> Int\n}\nextension A: P {\n    public func a() -> Int { 1 }\n    private func b() {}\n}"
        self.assertEqual(listed(text), ["P: public protocol P", "P: func a() -> Int", "A: extension A: P", "A: public func a() -> Int"])


if __name__ == "__main__":
    unittest.main()
