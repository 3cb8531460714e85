"""The order in which the package is built: a module imports only from layers above its own, or from its own layer."""

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "dagan"
LAYERS = (
    {"errors", "config", "files", "types", "workers"},
    {"face", "images"},
    {"data"},
    {"provenance"},
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
    {"preparation"},
    {"training"},
    {"evaluation"},
    {"cli"},
)
PLACE = {name: place for place, names in enumerate(LAYERS) for name in names}
HEAVY = {
    "av",
    "c2pa",
    "cryptography",
    "dlib",
    "jinja2",
    "matplotlib",
    "mediapipe",
    "onnxruntime",
    "openvino",
    "pi_heif",
    "pyarrow",
    "ray",
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


def used(node: ast.AST) -> Iterator[ast.AST]:
    """Everything but `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield child
            yield from used(child)


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


def module_of(path: Path) -> str:
    return ".".join(("dagan", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def imported_modules(path: Path) -> set[str]:
    """Those of the package, by full name, wherever in the file: `from dagan.x import y` is dagan.x.y if that is one."""
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom):
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {part if part in NAMES else str(node.module) for part in parts}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & NAMES - {"dagan"}  # `import dagan` imports nothing


NAMES = {module_of(path) for path in MODULES}


def test_every_module_has_a_layer():
    others = {layer_of(path) for path in MODULES} - set(PLACE)
    assert others == {"__init__", "__main__"}


@pytest.mark.parametrize("path", LAYERED, ids=name_of)
def test_imports_point_upwards_only(path):
    own = PLACE[layer_of(path)]
    ours = {name.split(".")[1] for name in imported(ast.walk(parsed(path))) if name.startswith("dagan.")}
    below = {name for name in ours - {"__version__"} if PLACE.get(name, len(LAYERS)) > own}
    assert not below, f"{name_of(path)} ({layer_of(path)}) imports from {sorted(below)}, which come after it"


def test_no_module_is_imported_by_what_it_imports():
    """Not in functions either: of two files that need each other, one has a second subject."""
    imports = {module_of(path): imported_modules(path) for path in LAYERED}
    imports = {name: {other for other in others if other in imports} for name, others in imports.items()}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(f"these modules import each other in a circle: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_runtimes_that_report_to_their_makers_are_imported_in_one_place(path):
    imported_here = {name.split(".")[0] for name in imported(used(parsed(path)))}
    assert not imported_here & {"openvino", "onnxruntime"}, "use dagan.runtime.packages"


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
