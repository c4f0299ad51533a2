"""Numbers of float64 computations are created in float64: a number once rounded to float32 stays rounded."""

import ast
import math
from pathlib import Path

import mpmath
import pytest

import amfs_lab
from amfs_lab.explore import OuterLoopExplorer, TrajectoryExplorer
from amfs_lab.explore.outer_loop import outer_loop
from amfs_lab.explore.outer_loop.plane import hessians, landscape

MAKERS = {"tensor", "linspace", "logspace", "arange", "eye", "zeros", "ones", "full", "rand", "randn", "empty"}
PACKAGE = Path(amfs_lab.__file__).parent


def best_by_hand(optima, curvature, stretch):
    """θ* = (Σ H_t)⁻¹ Σ H_t θ_t, computed with forty digits."""
    with mpmath.workdps(40):
        total, pulled = mpmath.zeros(2), mpmath.zeros(2, 1)
        for t, place in enumerate(optima):
            turn = mpmath.radians(50 * t)
            R = mpmath.matrix([[mpmath.cos(turn), -mpmath.sin(turn)], [mpmath.sin(turn), mpmath.cos(turn)]])
            h = mpmath.mpf(curvature) if t == len(optima) - 1 else mpmath.mpf(1)
            H = R * mpmath.diag([h * mpmath.sqrt(stretch), h / mpmath.sqrt(stretch)]) * R.T
            total, pulled = total + H, pulled + H * mpmath.matrix(place)
        return [float(x) for x in mpmath.lu_solve(total, pulled)]


@pytest.mark.parametrize(("kind", "preset"), [(OuterLoopExplorer, "valleys"), (OuterLoopExplorer, None)])
@pytest.mark.parametrize("stretch", [1.0, 3.7, 10.0])
def test_theta_star_is_exact(kind, preset, stretch):
    state = kind(preset, stretch=stretch).state
    optima = [(state[f"x_{t}"], state[f"y_{t}"]) for t in range(1, outer_loop.TASKS + 1)]
    found = landscape(state, outer_loop.TASKS, state.curvature, stretch).best.tolist()
    assert found == pytest.approx(best_by_hand(optima, state.curvature, stretch), rel=0, abs=1e-15)


def test_theta_star_of_trajectories_is_exact():
    explorer = TrajectoryExplorer("valleys")
    state = explorer.state
    optima = [(state[f"x_{t}"], state[f"y_{t}"]) for t in range(1, state.tasks + 1)]
    expected = best_by_hand(optima, state.curvature, state.stretch)
    assert [*explorer.arrays.best_x, *explorer.arrays.best_y] == pytest.approx(expected, rel=0, abs=1e-15)


def test_hessians_have_the_eigenvalues_they_are_made_from():
    for H in hessians(1.0, 4.0, 3):
        assert H.det().item() == pytest.approx(1, rel=0, abs=4e-15)
        assert H.trace().item() == pytest.approx(2.5, rel=0, abs=2e-15)
        assert math.isclose(H[0, 1], H[1, 0], rel_tol=0, abs_tol=0)


def rounded_first(tree: ast.AST):
    """Calls like `torch.tensor(...).double()`: the tensor is created in float32, and widened too late."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        widened = node.func.attr == "double" or (node.func.attr == "to" and "float64" in ast.unparse(node))
        made = [
            each
            for each in ast.walk(node.func.value)
            if isinstance(each, ast.Call)
            and isinstance(each.func, ast.Attribute)
            and ast.unparse(each.func.value) == "torch"
            and each.func.attr in MAKERS
            and all(keyword.arg != "dtype" for keyword in each.keywords)
        ]
        if widened and made:
            yield ast.unparse(node)


def test_no_tensor_is_created_in_float32_and_then_widened():
    assert list(rounded_first(ast.parse("torch.cat([torch.linspace(0, 1, 5)]).double()")))
    assert list(rounded_first(ast.parse("torch.tensor([0.1]).to(torch.float64)")))
    assert not list(rounded_first(ast.parse("torch.tensor([0.1], dtype=torch.float64).double()")))
    found = {
        f"{path.relative_to(PACKAGE)}: {each}"
        for path in PACKAGE.rglob("*.py")
        for each in rounded_first(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert not found
