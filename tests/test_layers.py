"""The order in which the package is built: a module imports only from layers above its own, or from its own layer."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "dagan"
LAYERS = (
    {"errors", "config", "files", "types"},
    {"face", "images"},
    {"data"},
    {"geometry"},
    {"nn"},
    {"transfer"},
    {"models"},
    {"released"},
    {"losses"},
    {"presets"},
    {"runtime"},
    {"inference"},
    {"depth"},
    {"observers"},
    {"training"},
    {"evaluation"},
    {"cli"},
)
PLACE = {name: place for place, names in enumerate(LAYERS) for name in names}
HEAVY = {
    "av",
    "matplotlib",
    "mediapipe",
    "onnxruntime",
    "scipy",
    "skimage",
    "trimesh",
}  # imported in the function that needs it
BANNED = {"cv2", "torchvision"}
MODULES = sorted(PACKAGE.rglob("*.py"))
LAYERED = [path for path in MODULES if path.parent != PACKAGE or path.stem in PLACE]


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def imported(nodes: Iterator[ast.AST]) -> set[str]:
    """Full names of the modules that import statements name; `from dagan import x` counts as dagan.x."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}: write the full name"
            inside = {f"dagan.{alias.name}" for alias in node.names}
            names |= inside if node.module == "dagan" else {str(node.module)}
    return names


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when the module is imported: everything but function bodies and `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        types_only = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        if not types_only and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from at_import(child)


def layer_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def test_every_module_has_a_layer():
    others = {layer_of(path) for path in MODULES} - set(PLACE)
    assert others == {"__init__", "__main__"}


@pytest.mark.parametrize("path", LAYERED, ids=name_of)
def test_imports_point_upwards_only(path):
    own = PLACE[layer_of(path)]
    ours = {name.split(".")[1] for name in imported(ast.walk(parsed(path))) if name.startswith("dagan.")}
    below = {name for name in ours - {"__version__"} if PLACE.get(name, len(LAYERS)) > own}
    assert not below, f"{name_of(path)} ({layer_of(path)}) imports from {sorted(below)}, which come after it"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_heavy_packages_are_imported_where_they_are_used(path):
    assert not {name.split(".")[0] for name in imported(at_import(parsed(path)))} & HEAVY


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_banned_packages_are_imported_nowhere(path):
    assert not {name.split(".")[0] for name in imported(ast.walk(parsed(path)))} & BANNED


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_file_can_run_code_when_it_is_loaded(path):
    calls = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]
    loads = [call for call in calls if ast.unparse(call.func) == "torch.load"]
    assert all("weights_only=True" in map(ast.unparse, call.keywords) for call in loads)
    assert not any(ast.unparse(call.func) in {"pickle.load", "pickle.loads"} for call in calls)


@pytest.mark.parametrize("path", sorted((PACKAGE / "cli").glob("*.py")), ids=name_of)
def test_commands_import_only_the_standard_library_before_they_run(path):
    allowed = {"dagan.__version__", "dagan.errors"}
    heavy = {
        name
        for name in imported(at_import(parsed(path))) - allowed
        if name.split(".")[0] not in sys.stdlib_module_names and not name.startswith("dagan.cli")
    }
    assert not heavy, f"{name_of(path)} imports {sorted(heavy)} at its top; import them in run()"
