"""A picture that kills its process is looked at twice, others as often as it takes."""

from pathlib import Path

from cifar_batch.journal import Journal


def test_a_picture_that_two_processes_died_of_is_deadly(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    for death in range(2):
        journal = Journal(file)
        assert not journal.is_deadly("line\nbreak.png"), death
        journal.note("good.png")
        journal.note("line\nbreak.png")  # and the process dies
    journal = Journal(file)
    assert journal.is_deadly("line\nbreak.png")
    assert not journal.is_deadly("good.png")


def test_a_part_that_is_done_leaves_only_deaths(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    journal = Journal(file)
    journal.note("good.png")
    journal.forget()
    assert not file.exists()
    journal.note("bad.png")
    again = Journal(file)
    again.note("good.png")
    again.forget()
    after = Journal(file)
    after.note("bad.png")
    assert Journal(file).is_deadly("bad.png")
    assert not Journal(file).is_deadly("good.png")
