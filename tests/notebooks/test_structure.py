"""Required parts of every lesson, checked in its notebooks, and the course map of lesson 00."""

import ast
import contextlib
import re

import nbformat
import pytest
from lessons import NOTEBOOKS, lesson_paths, solution_of

HEADER = re.compile(
    r"# (?P<number>\d\d) · .+\n\n\*\*You will\*\* .+\n\n"
    r"(?P<minutes>\d+) minutes · needs: .+ · runs offline in .+\n\n.+",
    re.DOTALL,
)
LONGEST_CELL, LONGEST_SOLUTION, PROSE_SENTENCES = 12, 8, 5
LINK = re.compile(r"\[[^\]]+\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.fixture(params=["student", "solution"])
def notebook(request, lesson):
    return nbformat.read(lesson if request.param == "student" else solution_of(lesson), 4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def prose(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def test_it_begins_with_a_header(lesson, notebook):
    header = HEADER.match(notebook.cells[0].source)
    assert header, (
        "expected `# NN · title`, `**You will** ...`, `N minutes · needs: ... · runs offline in ...`, a question"
    )
    assert header["number"] == lesson.name[:2]


def test_a_code_cell_is_short(notebook):
    for cell in code(notebook):
        lines = [line for line in cell.source.split("\n") if line.strip() and "SOLUTION" not in line]
        assert len(lines) <= LONGEST_CELL, f"{len(lines)} lines:\n{cell.source}"


def test_a_solution_has_at_most_eight_lines(lesson):
    for cell in code(nbformat.read(solution_of(lesson), 4)):
        for block in re.findall(r"### BEGIN SOLUTION\n(.*?)\n\s*### END SOLUTION", cell.source, re.DOTALL):
            assert len(block.split("\n")) <= LONGEST_SOLUTION, cell.source


def test_all_imports_are_in_one_cell(notebook):
    importing = [
        cell for cell in code(notebook) if any(isinstance(s, (ast.Import, ast.ImportFrom)) for s in parsed(cell))
    ]
    assert importing == code(notebook)[:1]


def parsed(cell) -> list[ast.stmt]:
    tree = compile(cell.source, "cell", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return list(ast.walk(tree))


def test_no_output_is_stored(notebook):
    for cell in code(notebook):
        assert cell.outputs == []
        assert cell.execution_count is None


def test_no_cell_asks_nbval_to_compare_outputs(notebook):
    """Notebooks are stored without outputs, so a comparison would always pass."""
    for cell in notebook.cells:
        assert "NBVAL" not in cell.source.upper().replace("NBVAL-LAX", "")
        assert set(cell.metadata.get("tags", [])) <= {"exercise", "check"}


WORK = (ast.BinOp, ast.Call, ast.Subscript, ast.Compare)
ENOUGH = 4  # operations; an expression with fewer is a common idiom, such as an identity matrix


def doings(tree: ast.AST) -> set[str]:
    """All expressions of some length, without the names of variables. An expression may use two lines."""
    found, values = set(), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, WORK):
            values.setdefault(node.targets[0].id, node.value)

    def unnamed(node: ast.AST, names: dict[str, str], inside: tuple[str, ...] = ()) -> str:
        if isinstance(node, ast.Name):
            if node.id in values and node.id not in inside:
                return unnamed(values[node.id], names, (*inside, node.id))
            return names.setdefault(node.id, f"v{len(names)}")
        if isinstance(node, ast.AST):
            parts = [unnamed(value, names, inside) for _, value in ast.iter_fields(node) if value is not None]
            return f"{type(node).__name__}({', '.join(parts)})"
        return f"[{', '.join(unnamed(each, names, inside) for each in node)}]" if isinstance(node, list) else repr(node)

    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp | ast.Call):
            found |= {told for told in (unnamed(node, {}), ast.dump(node)) if weight(told) >= ENOUGH}
    return found


def weight(told: str) -> int:
    return sum(told.count(f"{kind.__name__}(") for kind in WORK)


def leaks(cells: list) -> list[str]:
    """The answers with a long expression that also occurs in a cell before the exercise, or in the exercise's text."""
    found, seen = [], set()
    for cell in cells:
        if cell.cell_type == "code" and cell.metadata.get("tags") == ["exercise"]:
            if doings(ast.parse(cell.source)) & seen:
                found.append(cell.source)
        elif cell.cell_type == "code":
            seen |= doings(compile(cell.source, "cell", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT))
        else:
            for words in re.findall(r"`([^`]+)`", cell.source):
                with contextlib.suppress(SyntaxError):
                    seen |= doings(ast.parse(words))
    return found


def test_no_answer_is_shown_before_its_question(lesson):
    assert leaks(nbformat.read(solution_of(lesson), 4).cells) == []


ANSWER = "def mine(K, y, lam):\n    identity = torch.eye(len(K))\n    return torch.linalg.solve(K + lam * identity, y)"


@pytest.mark.parametrize(
    ("kind", "source", "leaking"),
    [
        ("code", "a = torch.linalg.solve(G + r * torch.eye(len(G)), z)", True),
        ("code", "r = 0.1\nE = torch.eye(len(G))\na = torch.linalg.solve(G + r * E, z)", True),
        ("markdown", "Say `torch.linalg.solve(K + lam * torch.eye(len(K)), y)`.", True),
        ("code", "a = ridge.solve(K, y, lam)\nassert torch.allclose(K @ a + lam * a, y)", False),
        ("code", "E = torch.eye(len(K), dtype=K.dtype)", False),
        ("markdown", "`torch.linalg.solve(A, b)` gives x", False),
    ],
)
def test_an_answer_is_recognised_by_its_expressions(kind, source, leaking):
    cell = nbformat.v4.new_code_cell if kind == "code" else nbformat.v4.new_markdown_cell
    answer = nbformat.v4.new_code_cell(ANSWER, metadata={"tags": ["exercise"]})
    assert bool(leaks([cell(source), answer])) == leaking


def test_questions_come_before_results(notebook):
    assert any("widgets.predict(" in cell.source for cell in code(notebook))


def test_the_correct_answers_of_its_questions_are_computed(notebook):
    for cell in code(notebook):
        for call in parsed(cell):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "widgets.predict":
                (key,) = [keyword.value for keyword in call.keywords if keyword.arg == "answer"]
                assert not isinstance(key, ast.Constant), f"the answer {ast.unparse(key)} is a constant: compute it"


def test_it_has_exercises_of_all_kinds(notebook):
    kinds = [m[1] for text in prose(notebook) for m in re.finditer(r"^### Exercise \d+ · (.+)$", text, re.MULTILINE)]
    assert kinds == ["by hand", "in code", "explore"]


def test_it_proves_its_claims_and_shows_where_they_fail(notebook):
    headings = {
        m[1]: i for i, cell in enumerate(notebook.cells) for m in re.finditer(r"^## (.+)$", cell.source, re.MULTILINE)
    }
    claims, breaks = headings["What we claimed"], headings["Where this breaks"]
    assert sum(cell.source.count("assert ") for cell in notebook.cells[claims:breaks]) >= 3
    assert any(cell.cell_type == "code" for cell in notebook.cells[breaks:]), "a cell must run the setting that fails"


def test_link_targets_exist(lesson):
    """Lessons link only to lessons, so links work in notebooks/, in solutions/ and in a folder of working copies."""
    there = {path.name for path in lesson_paths()}
    notebook = nbformat.read(lesson, 4)
    links = [link for text in prose(notebook) for link in LINK.findall(text) if "://" not in link]
    assert set(links) <= there
    assert all("://" not in link or link.startswith("https://") for link in links)


def test_the_last_cell_links_to_the_neighbours(lesson):
    """It links to the previous and the next lesson, if they exist."""
    names = [path.name for path in lesson_paths()]
    at = names.index(lesson.name)
    last = nbformat.read(lesson, 4).cells[-1]
    assert last.cell_type == "markdown"
    assert set(LINK.findall(last.source)) >= set(names[max(at - 1, 0) : at] + names[at + 1 : at + 2])


def test_the_course_map_lists_all_lessons():
    start = "\n".join(prose(nbformat.read(NOTEBOOKS / "00_start_here.ipynb", 4)))
    rows = re.findall(r"^\| (\d\d) \| (.+?) \| (.+?) \| (\d+) \|$", start, re.MULTILINE)
    assert [number for number, *_ in rows] == [f"{i:02d}" for i in range(11)]
    there = {path.name[:2]: path.name for path in lesson_paths()}
    for number, title, status, _ in rows:
        link = LINK.search(title)
        assert (link[1] if link else None) == there.get(number), f"lesson {number} in the map"
        assert ("to come" in status) == (number not in there)


def test_the_map_and_the_headers_agree_on_minutes():
    start = "\n".join(prose(nbformat.read(NOTEBOOKS / "00_start_here.ipynb", 4)))
    minutes = dict(re.findall(r"^\| (\d\d) \|.*\| (\d+) \|$", start, re.MULTILINE))
    for path in lesson_paths():
        assert HEADER.match(nbformat.read(path, 4).cells[0].source)["minutes"] == minutes[path.name[:2]]


def test_paragraphs_are_short(notebook):
    """Counts the sentences in each paragraph of a cell, without headings, tables, lists and formulas."""
    for text in prose(notebook):
        plain = re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL)
        plain = re.sub(r"^([#|>]| *[-*] |  ).*$", "", plain, flags=re.MULTILINE)
        assert len(re.findall(r"[.?!](?=\s|$)", plain)) <= PROSE_SENTENCES, text
