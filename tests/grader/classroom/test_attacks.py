"""Attacks on finding, naming, packing and returning: what a student could try."""

import os
import stat
import warnings
import zipfile
from pathlib import Path

import pytest

from grader.classroom.batch import Batch, ungraded
from grader.classroom.collect.entries import NEVER
from grader.classroom.collect.find import MODULE_LIMIT, HandIn, find
from grader.classroom.collect.systems import Student
from grader.classroom.give_back.pages import file_name, write
from grader.classroom.mark.draw import Draw
from grader.harvesting.cells import Unusable
from tests.grader.classroom import light
from tests.grader.classroom.archives import in_memory, packed, touch

LAB = "04_topic"


def owners(found):
    return {hand_in.file: hand_in.student.name for hand_in in found.hand_ins}


@pytest.mark.parametrize("sheet", ["bob.ipynb: {':submitters': [{':name': Eve}]}", "{"])
def test_a_sheet_that_a_student_wrote_gives_nobodys_work_away(tmp_path, sheet):
    touch(tmp_path / "in", "ann.ipynb", "bob.ipynb")
    (tmp_path / "in" / "submission_metadata.yml").write_text(sheet)
    found = find([tmp_path / "in"], LAB)
    assert owners(found) == {"ann.ipynb": "ann", "bob.ipynb": "bob"}
    assert found.nobodys == ["submission_metadata.yml"]


def test_a_sheet_of_lists_in_lists_takes_no_time(tmp_path):
    """Written out, it would be longer than all disks hold."""
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 200)]
    rest = "submission_1:\n  :submitters:\n  - :name: *a199\n    :sid: S1\n"
    lists = "lists:\n  :submitters: []\n" + "".join(f"  {line}\n" for line in lines)
    members = {"submission_metadata.yml": lists + rest, "submission_1/lab.ipynb": "x"}
    found = find([packed(tmp_path / "d.zip", members)], LAB)
    assert owners(found) == {"submission_1/lab.ipynb": "S1_S1"}


def test_a_full_name_that_ends_like_moodles_own_is_nobodys(tmp_path):
    honest = "Bob_222_assignsubmission_file_lab.ipynb"
    posing = "Bob_222_assignsubmission_file_333_assignsubmission_file_lab.ipynb"
    touch(tmp_path / "in", honest, posing)
    found = find([tmp_path / "in"], LAB)
    assert owners(found) == {honest: "Bob_222"} and found.nobodys == [posing]


def test_a_file_named_as_a_system_does_is_said_among_others(tmp_path):
    touch(tmp_path / "in", "ann.ipynb", "bob.ipynb", "bob_222_9_x.ipynb", "bob_٢٢٢_9_y.ipynb")
    found = find([tmp_path / "in"], LAB)
    assert "Check whose these are: bob_222_9_x.ipynb." in found.remarks[0]
    assert {hand_in.student.number for hand_in in found.hand_ins} == {"", "222"}


def test_names_that_cannot_be_shown_stay_two(tmp_path):
    (tmp_path / "in").mkdir()
    folder = os.fsencode(tmp_path / "in")
    for name in (b"a\xff", b"a\xfe", "bob\u200b".encode(), "bob\u200c".encode(), b"bob"):
        Path(os.fsdecode(folder + b"/" + name + b".ipynb")).write_text("x")
    assert len({hand_in.student for hand_in in find([tmp_path / "in"], LAB).hand_ins}) == 5


def test_namesakes_in_three_folders_are_three_and_a_folder_given_twice_is_one(tmp_path):
    places = [tmp_path / week / "group" for week in ("1", "2", "3")]
    for place in places:
        touch(place, "kim/lab.ipynb")
    assert len({h.student for h in find(places, LAB).hand_ins}) == 3
    again = find([places[0], places[1] / ".." / ".." / "1" / "group"], LAB)
    assert len(again.hand_ins) == 1 and not again.remarks


def test_files_that_become_one_students_are_said_to(tmp_path):
    touch(tmp_path / "in", "bob.ipynb", "bob/lab.ipynb", "ann.ipynb")
    (remark,) = find([tmp_path / "in"], LAB).remarks
    assert remark == "bob and bob.ipynb are taken for one student's, bob."


def test_a_students_folder_taken_for_one_around_all_is_named(tmp_path):
    inside = dict.fromkeys(["eve/ann_1_9_x.ipynb", "eve/bob_2_9_x.ipynb"], "x")
    (remark,) = find([packed(tmp_path / "d.zip", inside)], LAB).remarks
    assert remark.startswith("eve in ") and "no student's" in remark


def test_a_pipe_put_in_place_of_a_file_is_not_waited_for(tmp_path):
    touch(tmp_path / "in", "ann.ipynb")
    (hand_in,) = find([tmp_path / "in"], LAB).hand_ins
    (tmp_path / "in" / "ann.ipynb").unlink()
    os.mkfifo(tmp_path / "in" / "ann.ipynb")
    with pytest.raises(Unusable, match="neither a file nor a folder"):
        hand_in.read()


def test_a_link_put_in_place_of_a_folder_leads_nowhere(tmp_path, monkeypatch):
    """After the file in it was found, and before the folder is looked into."""
    touch(tmp_path, "secret/lab.ipynb", "in/ann/work/lab.ipynb")
    (hand_in,) = find([tmp_path / "in"], LAB).hand_ins
    work = tmp_path / "in" / "ann" / "work"
    work.rename(tmp_path / "away")
    work.symlink_to(tmp_path / "secret")
    with pytest.raises(Unusable, match="cannot be read"):
        hand_in.read()
    monkeypatch.setattr(stat, "S_ISLNK", lambda mode: False)
    monkeypatch.setattr(stat, "S_ISDIR", lambda mode, true=stat.S_ISREG: not true(mode))
    (hand_in,) = find([tmp_path / "in"], LAB).hand_ins
    with pytest.raises(Unusable, match="cannot be read"):
        hand_in.read()


def test_a_zip_of_large_modules_is_not_unpacked_for_each_notebook(tmp_path, monkeypatch):
    large = {f"m{n}.py": "0" * (MODULE_LIMIT + 1) for n in range(3)}
    notebooks = {f"n{n}.ipynb": str(n) for n in range(6)}
    inner = in_memory({**large, **notebooks, "small.py": "x"})
    hand_ins = find([packed(tmp_path / "d.zip", {"ada/all.zip": inner})], LAB).hand_ins
    assert {name for hand_in in hand_ins for name in hand_in.beside} == {"small"}
    opened, whole = [], zipfile.ZipFile.__init__
    monkeypatch.setattr(
        zipfile.ZipFile, "__init__", lambda *a, **k: opened.append(1) or whole(*a, **k)
    )
    assert len(ungraded(hand_ins, set())) == 8 and len(opened) <= 1


def test_of_two_files_of_one_name_in_a_zip_the_last_counts(tmp_path):
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(tmp_path / "d.zip", "w") as d:
        for content in ("first", "last"):
            d.writestr("ada/lab.ipynb", content)
    (hand_in,) = find([tmp_path / "d.zip"], LAB).hand_ins
    assert hand_in.read() == b"last"


def test_a_zip_in_zips_and_a_name_of_very_many_folders_cost_nobody(tmp_path):
    nest = in_memory({"lab.ipynb": "x"})
    for _ in range(3):
        nest = in_memory({"again.zip": nest})
    deep = in_memory({"a/" * 30_000 + "lab.ipynb": "x"})
    members = {"ada/nest.zip": nest, "bo/deep.zip": deep, "cy/lab.ipynb": "x"}
    found = {h.student.name: h for h in find([packed(tmp_path / "d.zip", members)], LAB).hand_ins}
    with pytest.raises(Unusable, match=r"It holds: again\.zip"):
        found["ada"].read()
    assert found["bo"].read() == found["cy"].read() == b"x" and len(found["bo"].file) < 400


def test_a_member_under_two_names_and_a_dictionary_of_four_gigabytes_are_refused_or_read(tmp_path):
    two = bytearray(in_memory({"ada/lab.ipynb": "x"}))
    two[two.index(b"ada") : two.index(b"ada") + 3] = b"bob"
    (tmp_path / "two.zip").write_bytes(two)
    (hand_in,) = find([tmp_path / "two.zip"], LAB).hand_ins
    with pytest.raises(Unusable, match="damaged"):
        hand_in.read()
    with zipfile.ZipFile(tmp_path / "big.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("ada.ipynb", "0" * 1000)
    big = bytearray((tmp_path / "big.zip").read_bytes())
    dictionary = big.index(b"ada.ipynb") + len("ada.ipynb") + 5
    big[dictionary : dictionary + 4] = b"\xff" * 4
    (tmp_path / "big.zip").write_bytes(big)
    (hand_in,) = find([tmp_path / "big.zip"], LAB).hand_ins
    assert hand_in.read() == b"0" * 1000


def test_a_file_of_a_terabyte_that_holds_nothing_is_too_large(tmp_path):
    touch(tmp_path / "in", "ada.ipynb")
    os.truncate(tmp_path / "in" / "ada.ipynb", 2**40)
    (hand_in,) = find([tmp_path / "in"], LAB).hand_ins
    with pytest.raises(Unusable, match="larger than 60 MB"):
        hand_in.read()


def test_a_file_that_changes_between_hash_and_grading_is_not_graded():
    contents = [light.notebook(light.RIGHT).encode(), light.notebook("x = 1").encode()]
    changing = HandIn(Student("ann"), "ann.ipynb", NEVER, lambda: contents.pop(0))
    ((hand_in, content),) = ungraded([changing], set())
    batch = Batch(light.whole(), Draw(b"1" * 32, light.LAB), None, None, 120.0)
    assert "changed while it was graded" in batch.grade(hand_in, content).unusable


def test_no_students_files_are_called_like_a_device_or_like_anothers():
    names = ["con", "nul.txt", "com1", "CON", "index", ".", "..", "-", "a" * 300, "a" * 301]
    made = [file_name(name) for name in names]
    assert len({name.casefold() for name in made}) == len(names)
    assert not {name.partition(".")[0] for name in made} & {"con", "nul", "com1", ""}
    assert max(len(name.encode()) for name in made) < 200


def test_a_link_where_a_page_is_drafted_or_stands_is_not_written_through(tmp_path):
    mine, folder = tmp_path / "mine", tmp_path / "out"
    mine.write_text("mine")
    folder.mkdir()
    for name in ("ann.html", f".{os.getpid()}.draft", "ann.draft"):
        (folder / name).symlink_to(mine)
    write(folder / "ann.html", b"page")
    page = folder / "ann.html"
    assert mine.read_text() == "mine" and page.read_text() == "page" and not page.is_symlink()
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
