"""What was handed in is found, whatever it is packed in, and nobody decides whose work it is."""

import os
import random
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from grader.classroom.collect import entries, roster
from grader.classroom.collect.entries import NEVER
from grader.classroom.collect.find import find
from grader.classroom.mark.errors import BatchError
from grader.harvesting.cells import Unusable
from tests.grader.classroom.archives import in_memory, packed, touch

LAB = "04_topic"


def students(*paths, stem=LAB):
    return {(h.student.name, h.student.number, h.file) for h in find(paths, stem).hand_ins}


def by_name(path):
    return {hand_in.student.name: hand_in for hand_in in find([path], LAB).hand_ins}


def owners(tmp_path, *files, stem=LAB):
    """{file: its owner's name} in a download of these."""
    found = find([packed(tmp_path / "download.zip", dict.fromkeys(files, "x"))], stem)
    owned = {hand_in.file: hand_in.student.name for hand_in in found.hand_ins}
    return owned | dict.fromkeys(found.nobodys)


def test_a_folder_holds_a_folder_for_each_student_or_files_named_after_them(tmp_path):
    touch(tmp_path, "alice/lab.ipynb", "alice/deep/er/old.ipynb", "bob.ipynb", "carol.py")
    assert students(tmp_path) == {
        ("alice", "", "alice/lab.ipynb"),
        ("alice", "", "alice/deep/er/old.ipynb"),
        ("bob", "", "bob.ipynb"),
        ("carol", "", "carol.py"),
    }


@pytest.mark.parametrize(
    "name, student, number",
    [
        ("Zoë van Dam_12345_assignsubmission_file_/lab.ipynb", "Zoë van Dam_12345", "12345"),
        ("Zoë van Dam_12345_assignsubmission_file_lab.ipynb", "Zoë van Dam_12345", "12345"),
        ("Group A-Ada Example_12345_assignsubmission_file/lab.ipynb", "Ada Example_12345", "12345"),
        ("Ada Smith-Jones_12345_assignsubmission_file/l.ipynb", "Ada Smith-Jones_12345", "12345"),
        ("damzoe_123_45678_lab-1.ipynb", "damzoe_123", "123"),
        ("damzoe_LATE_123_45678_my_own_lab.ipynb", "damzoe_123", "123"),
        ("damzoe_late_123_45678_my_own_lab.ipynb", "damzoe_123", "123"),
        ("anon_a1B2c_45678_lab.ipynb", "anon a1B2c", ""),
        ("Lab 04_zdam_attempt_2026-05-01-23-59-59_lab.ipynb", "zdam", ""),
        ("123-456 - Zoë van Dam - May 1, 2026 1159 PM/lab.ipynb", "Zoë van Dam_123", "123"),
        ("group_1_2_red/lab.ipynb", "group_1_2_red", ""),
        ("zoe.ipynb.txt", "zoe", ""),
    ],
)
def test_the_names_that_learning_management_systems_give(tmp_path, name, student, number):
    touch(tmp_path / "in", name)
    assert students(tmp_path / "in") == {(student, number, name)}


CANVAS_NAME, BLACKBOARD_NAME = "annlee_111_9001_", "Lab_ada_attempt_2026-05-22-06-18-53_"
THEIRS = [
    "x_222_assignsubmission_file_.ipynb",
    "x_222_assignsubmission_file_lab.ipynb",
    "bob_222_9002_lab.ipynb",
    "Lab_bob_attempt_2026-05-22-06-18-52_lab.ipynb",
    "222-1 - Bob - May 1, 2026 1159 PM - lab.ipynb",
]


@pytest.mark.parametrize("chosen", THEIRS)
def test_what_a_student_calls_a_file_makes_it_nobody_elses(tmp_path, chosen):
    canvas = owners(tmp_path, CANVAS_NAME + chosen, "bob_222_9002_lab.ipynb")
    assert canvas[CANVAS_NAME + chosen] == "annlee_111"
    blackboard = owners(
        tmp_path, BLACKBOARD_NAME + chosen, "Lab_bob_attempt_2026-05-22-06-18-52_lab.ipynb"
    )
    assert blackboard[BLACKBOARD_NAME + chosen] == "ada"
    inside = owners(
        tmp_path, f"Ann_111_assignsubmission_file_/{chosen[:-6]}/lab.ipynb", f"Bo_222_a/{chosen}"
    )
    assert set(inside.values()) == {"Ann_111", "Bo_222_a"}


def test_what_has_two_readings_is_nobodys(tmp_path):
    name = "annlee_111_9001_x_bob_attempt_2026-05-22-06-18-52_lab.ipynb"
    assert owners(tmp_path, name) == {name: None}


def test_names_with_underscores_are_told_apart_on_blackboard(tmp_path):
    names = [f"Lab_4_{user}_attempt_2026-05-22-06-18-52_lab.ipynb" for user in ("a_x", "b_x")]
    assert len(set(owners(tmp_path, *names).values())) == 2


def test_what_a_system_itself_puts_there_is_no_student(tmp_path):
    stamp = "attempt_2026-05-20-10-00-00"
    board = owners(tmp_path, f"Lab_ann_{stamp}_lab.ipynb", f"Lab_ann_{stamp}.txt")
    assert set(board.values()) == {"ann"}
    brightspace = owners(tmp_path, "index.html", "1-2 - Ann Lee - May 1, 2026 1159 PM/lab.ipynb")
    assert set(brightspace.values()) == {"Ann Lee_1"}


def test_typed_texts_and_links_are_said_to_be_that(tmp_path):
    files = ["lee_7_text.html", "bo_8_link.html", "cy_9_1234_lab.ipynb"]
    download = packed(tmp_path / "download.zip", dict.fromkeys(files, "x"))
    said = reasons(download, all_of_them=False)
    assert "a text was typed in" in said["lee_7"] and "a link was handed in" in said["bo_8"]
    assert {number for _, number, _ in students(download)} == {"7", "8", "9"}


SHEET = """submission_1:
  :submitters:
  - :name: Ada Example
    :sid: S1
    :email: ada@example.org
  - :name: Bo Example
    :sid: S2
submission_2:
  :submitters:
  - :name: Cy Example
    :email: cy@example.org
"""


@pytest.mark.parametrize("wrapper", ["", "assignment_5_export/"])
def test_gradescope_says_in_a_sheet_whose_a_folder_is(tmp_path, wrapper):
    files = {f"{wrapper}submission_{n}/lab.ipynb": "x" for n in (1, 2, 3)}
    download = packed(tmp_path / "d.zip", {f"{wrapper}submission_metadata.yml": SHEET, **files})
    found = find([download], LAB)
    known = {(h.student.name, h.student.number, h.file[:12]) for h in found.hand_ins}
    assert known == {
        ("Ada Example_S1", "S1", "submission_1"),
        ("Bo Example_S2", "S2", "submission_1"),
        ("Cy Example_cy@example.org", "cy@example.org", "submission_2"),
    }
    assert found.nobodys == ["submission_3/lab.ipynb"]


@pytest.mark.parametrize("sheet", ["- a", "a: 1", "a: {", "submission_1: {}"])
def test_a_damaged_sheet_stops_the_batch_in_words(tmp_path, sheet):
    members = {"submission_metadata.yml": sheet, "submission_1/lab.ipynb": "x"}
    with pytest.raises(BatchError, match="Export the submissions again"):
        find([packed(tmp_path / "d.zip", members)], LAB)


def test_namesakes_in_two_sections_are_two(tmp_path):
    files = [f"Section {s}/Example, Kim/lab.ipynb" for s in "AB"] + ["Section A/Lee, Ann/lab.ipynb"]
    touch(tmp_path / "in", *files)
    found = find([tmp_path / "in"], LAB)
    names = {hand_in.student.name for hand_in in found.hand_ins}
    assert names == {"Example, Kim (Section A)", "Example, Kim (Section B)", "Lee, Ann (Section A)"}
    assert "taken for sections" in found.remarks[0]
    both = find([tmp_path / "in" / "Section A", tmp_path / "in" / "Section B"], LAB)
    assert len({hand_in.student for hand_in in both.hand_ins}) == 3
    assert "taken for two students" in both.remarks[0]


def test_folders_in_students_folders_are_no_sections(tmp_path):
    touch(tmp_path / "in", "ann/v1/lab.ipynb", "ann/v2/lab.ipynb", "bo/work/lab.ipynb")
    assert {name for name, *_ in students(tmp_path / "in")} == {"ann", "bo"}


def test_one_student_in_two_downloads_is_one_by_number(tmp_path):
    for week in ("1", "2"):
        touch(tmp_path / week, "Ann_7_assignsubmission_file_/lab.ipynb")
    found = find([tmp_path / "1", tmp_path / "2"], LAB)
    assert len({h.student for h in found.hand_ins}) == 1 and not found.remarks


def test_names_that_look_alike_are_two_and_said_to_be(tmp_path):
    for pair in (["Zo\u00eb", "Zoe\u0308"], ["bob", "Bob"]):
        found = find([packed(tmp_path / "d.zip", {f"{n}/lab.ipynb": "x" for n in pair})], LAB)
        assert len({h.student for h in found.hand_ins}) == 2 and "look alike" in found.remarks[0]


def test_a_class_never_becomes_one_student(tmp_path):
    """As a folder in the cloud has it, where everybody's file is called like the lab."""
    names = [
        f"{LAB}.ipynb",
        f"{LAB} (1).ipynb",
        f"{LAB}-Copy2.ipynb",
        f"{LAB}-3.ipynb",
        "ann.ipynb",
    ]
    touch(tmp_path / "in", *names)
    found = find([tmp_path / "in"], LAB)
    assert [hand_in.student.name for hand_in in found.hand_ins] == ["ann"]
    assert sorted(found.nobodys) == sorted(names[:-1])


ROSTER = """Name;Matrikel;Login;E-Mail
Ada Example;S101;ada1;ada@example.org
Bo Example;S102;bo2;bo@example.org
Bo Exemplar;S103;bo3;x@example.org
"""


@pytest.mark.parametrize(
    "file, owner",
    [
        ("ada1.ipynb", "Ada Example_S101"),
        ("Ada Example - lab.ipynb", "Ada Example_S101"),
        ("S102_lab.ipynb", "Bo Example_S102"),
        ("ADA EXAMPLE/lab.ipynb", "Ada Example_S101"),
        ("x_7_assignsubmission_file_/ada1.ipynb", None),  # its owner is known, and not in the class
        ("lab of ada1.ipynb", None),
        ("bo.ipynb", None),
        ("ada12.ipynb", None),
    ],
)
def test_a_roster_knows_whose_a_file_is(tmp_path, file, owner):
    (tmp_path / "class.csv").write_text(ROSTER, encoding="utf-8")
    touch(tmp_path / "in", file)
    found = find([tmp_path / "in"], LAB, roster.read(tmp_path / "class.csv"))
    assert [hand_in.student.name for hand_in in found.hand_ins] == [owner] * bool(owner)
    assert found.nobodys == [file] * (owner is None)


def test_only_those_in_a_roster_are_graded_whatever_the_download(tmp_path):
    (tmp_path / "class.csv").write_text("Name,Number\nAda Example,S1\nExample Kim,\n")
    known = roster.read(tmp_path / "class.csv")
    files = {f"submission_{n}/lab.ipynb": "x" for n in (1, 2)}
    export = packed(tmp_path / "d.zip", {"submission_metadata.yml": SHEET, **files})
    touch(tmp_path / "in", "Section A/Example, Kim/lab.ipynb", "Section B/Lee, Ann/lab.ipynb")
    found = find([export, tmp_path / "in"], LAB, known)
    assert [hand_in.student.name for hand_in in found.hand_ins] == ["Ada Example_S1", "Example Kim"]
    assert len(found.nobodys) == 3  # Bo, Cy and Ann


@pytest.mark.parametrize("text", ["", "\ufffd\x00", None])
def test_a_roster_that_cannot_be_read_is_refused_in_words(tmp_path, text):
    if text is not None:
        (tmp_path / "class.csv").write_text(text, encoding="utf-16")
    with pytest.raises(BatchError, match="cannot be read as a roster"):
        roster.read(tmp_path / "class.csv")


def test_a_file_called_like_the_lab_belongs_to_its_folder(tmp_path):
    touch(tmp_path, "alice/04_topic.ipynb")
    assert students(tmp_path / "alice") == {("alice", "", "04_topic.ipynb")}
    assert students(tmp_path / "alice" / "04_topic.ipynb") == {("alice", "", "04_topic.ipynb")}


def test_a_zip_download_is_read_in_place_and_a_students_zip_as_well(tmp_path):
    inner = in_memory({"work/lab.ipynb": "inner", "__MACOSX/work/._lab.ipynb": "x"})
    download = packed(
        tmp_path / "download.zip",
        {
            "Ann_7_assignsubmission_file_/lab.ipynb": "ann",
            "Bo_8_assignsubmission_file_/all.zip": inner,
            "Bo_8_assignsubmission_file_/.ipynb_checkpoints/lab.ipynb": "old",
            "..\\..\\etc\\passwd.ipynb": "out",
            "cee_12_34567_lab.zip": inner,
        },
    )
    found = by_name(download)
    assert found.keys() == {"Ann_7", "Bo_8", "etc", "cee_12"}
    assert found["Ann_7"].read() == b"ann"
    assert found["Bo_8"].read() == found["cee_12"].read() == b"inner"
    assert set(tmp_path.iterdir()) == {download}


@pytest.mark.parametrize("wrapper", ["download", "anything"])
def test_a_folder_around_all_others_is_looked_through(tmp_path, wrapper):
    names = [f"{wrapper}/ann/lab.ipynb", f"{wrapper}/bo/lab.ipynb"]
    download = packed(tmp_path / "download.zip", dict.fromkeys(names, ""))
    assert {name for name, *_ in students(download)} == {"ann", "bo"}


def reasons(path, all_of_them=True):
    """Why each hand-in cannot be read, by student."""
    found = {}
    for hand_in in find([path], LAB).hand_ins:
        try:
            hand_in.read()
        except Unusable as error:
            found[hand_in.student.name] = str(error)
        else:
            assert not all_of_them, hand_in.file
    return found


def test_what_cannot_be_read_is_found_and_says_why(tmp_path):
    secret = tmp_path / "secret.ipynb"
    secret.write_text("not yours")
    folder = tmp_path / "in"
    touch(folder, "report/report.pdf", "torn/torn.zip", "hidden/.lab.ipynb")
    (folder / "empty").mkdir()
    (folder / "folder" / "lab.ipynb").mkdir(parents=True)
    (folder / "link.ipynb").symlink_to(secret)
    (folder / "linked").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.ipynb")
    packed(folder / "many.zip", dict.fromkeys(map(str, range(1_001)), ""))
    found = reasons(folder)
    assert "report.pdf" in found["report"] and "no notebook" in found["report"]
    assert "damaged" in found["torn"] and "nothing" in found["empty"]
    assert "no notebook" in found["folder"] and "symbolic link" in found["linked"]
    assert "symbolic link" in found["link"] and "is hidden" in found["hidden"]
    assert "neither a file nor a folder" in found["pipe"]
    assert "more than 1,000 files" in found["many"]
    assert len(found) == 9


def test_links_in_a_zip_are_not_followed_and_bombs_do_not_burst(tmp_path, monkeypatch):
    monkeypatch.setattr(entries, "SIZE_LIMIT", 10_000)
    link = zipfile.ZipInfo("link.ipynb")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = tmp_path / "in.zip"
    packed(path, {link: "/etc/passwd", "bomb.ipynb": "0" * 10_001, "fine.py": "0" * 10_000})
    found = by_name(path)
    with pytest.raises(Unusable, match="symbolic link"):
        found["link"].read()
    with pytest.raises(Unusable, match="larger than"):
        found["bomb"].read()
    assert len(found["fine"].read()) == 10_000
    damaged = bytearray(path.read_bytes())
    inside = damaged.index(b"fine.py") + len("fine.py") + 3
    damaged[inside : inside + 5] = b"\xff" * 5
    path.write_bytes(damaged)
    with pytest.raises(Unusable, match="damaged"):
        by_name(path)["fine"].read()


def overlapping(members):
    """A zip whose entries all point at one file in it."""
    raw = b"\0" * 1000
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packer.compress(raw) + packer.flush()
    head = (20, 0, 8, 0, 33, zlib.crc32(raw), len(data), len(raw), 7, 0)
    local = struct.pack("<4s5H3I2H", b"PK\3\4", *head) + b"a.ipynb"
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, *head[:9], 0, 0, 0, 0, 0, 0) + b"a.ipynb"
    sizes = (len(entry) * members, len(local) + len(data), 0)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, members, members, *sizes)
    return local + data + entry * members + end


def crowded(members):
    """A zip that is a directory, and a directory that says that it has one entry."""
    fields = (20, 20, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
    listing = (struct.pack("<4s6H3I5H2I", b"PK\1\2", *fields) + b"a") * members
    return listing + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(listing), 0, 0)


@pytest.mark.parametrize(
    "content, why", [(overlapping(20), "over each other"), (crowded(100_000), "more than 1,000")]
)
def test_a_small_zip_that_is_a_large_one_is_refused_before_it_is_read(
    tmp_path, monkeypatch, content, why
):
    touch(tmp_path / "in", "bob/lab.ipynb")
    (tmp_path / "in" / "ada").mkdir()
    (tmp_path / "in" / "ada" / "work.zip").write_bytes(content)
    made, whole = [], zipfile.ZipInfo.__init__
    monkeypatch.setattr(
        zipfile.ZipInfo, "__init__", lambda *a, **k: made.append(1) or whole(*a, **k)
    )
    found = by_name(tmp_path / "in")
    with pytest.raises(Unusable, match=why):
        found["ada"].read()
    assert found["bob"].read() == b"x" and len(made) <= 100


def test_of_very_many_files_the_newest_are_looked_at(tmp_path):
    for number in range(60):
        path = tmp_path / "in" / "ada" / f"{number}.ipynb"
        touch(path.parent, path.name)
        os.utime(path, (number + 1, number + 1))
    touch(tmp_path / "in", "bob/lab.ipynb")
    found = find([tmp_path / "in"], LAB).hand_ins
    own = [hand_in for hand_in in found if hand_in.student.name == "ada"]
    assert [Path(hand_in.file).stem for hand_in in own[:10]] == [str(n) for n in range(59, 49, -1)]
    assert len(own) == 11
    with pytest.raises(Unusable, match="more than 10 files"):
        own[-1].read()


def test_a_folder_of_very_many_files_costs_its_owner_alone(tmp_path):
    touch(tmp_path / "in", *(f"ada/{n}/{n}.ipynb" for n in range(600)), "bob/lab.ipynb")
    found = find([tmp_path / "in"], LAB).hand_ins
    assert {hand_in.student.name for hand_in in found} == {"ada", "bob"} and len(found) == 2
    with pytest.raises(Unusable, match="more than 1,000 files"):
        found[0].read()


@pytest.mark.parametrize("seconds", [10**12, -(10**13), float("nan")])
def test_a_time_that_no_calendar_has_is_left_out(monkeypatch, seconds):
    assert entries._moment(seconds) == NEVER


def test_a_damaged_file_of_any_compression_costs_its_owner_alone(tmp_path):
    path = tmp_path / "in.zip"
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr("ann.ipynb", random.Random(0).randbytes(1000))
        damaged = bytearray(path.read_bytes())
        damaged[50:250] = b"\xff" * 200
        path.write_bytes(damaged)
        (hand_in,) = find([path], LAB).hand_ins
        with pytest.raises(Unusable, match="damaged"):
            hand_in.read()


def test_a_link_put_in_place_of_a_file_after_it_was_found_is_not_followed(tmp_path):
    touch(tmp_path / "in", "alice.ipynb")
    (hand_in,) = find([tmp_path / "in"], LAB).hand_ins
    (tmp_path / "in" / "alice.ipynb").unlink()
    (tmp_path / "in" / "alice.ipynb").symlink_to("/etc/passwd")
    with pytest.raises(Unusable):
        hand_in.read()


def test_names_that_nobody_can_show_are_made_so_that_anybody_can(tmp_path):
    (tmp_path / "in").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/a\xff\x1b[2J.ipynb")).write_text("x")
    ((name, _, _),) = students(tmp_path / "in")
    assert name.encode() and name.isprintable()


def test_a_path_that_is_not_there_stops_the_batch_before_it_begins(tmp_path):
    with pytest.raises(BatchError, match="is not there"):
        find([tmp_path / "none"], LAB)
    (tmp_path / "torn.zip").write_text("x")
    with pytest.raises(BatchError, match="zip"):
        find([tmp_path / "torn.zip"], LAB)
