from __future__ import annotations

from pathlib import Path

from dicomnode.data_directory.cleaner import remove_compiled


def _compiled(data: Path) -> Path:
    folder = data / "compiled-models"
    folder.mkdir(parents=True)
    for name in ("1722672937015769741.blob", "4.blob"):
        (folder / name).write_bytes(b"weights")
    return folder


def test_what_earlier_versions_compiled_is_removed_with_its_folder(tmp_path: Path) -> None:
    folder = _compiled(tmp_path)
    assert remove_compiled(tmp_path) == 2
    assert not folder.exists()
    assert remove_compiled(tmp_path) == 0


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    folder = _compiled(tmp_path)
    (folder / "notes.blob").write_text("a site's own")
    (folder / "5.blob").symlink_to(folder / "notes.blob")
    (folder / "6.blob").mkdir()
    assert remove_compiled(tmp_path) == 2
    assert sorted(each.name for each in folder.iterdir()) == ["5.blob", "6.blob", "notes.blob"]


def test_a_link_to_another_folder_is_not_followed(tmp_path: Path) -> None:
    elsewhere = _compiled(tmp_path / "elsewhere")
    data = tmp_path / "data"
    data.mkdir()
    (data / "compiled-models").symlink_to(elsewhere)
    assert remove_compiled(data) == 0
    assert len(list(elsewhere.iterdir())) == 2
