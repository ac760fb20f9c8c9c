"""`fer-space test`: outputs are stored first and scored after."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fer_space.backbones.specs import BACKBONES
from fer_space.card import Fit, Setting, read_card, read_fits, write_fit
from fer_space.commands import test as test_command
from fer_space.errors import InputError
from fer_space.evaluation.outputs import Outputs
from fer_space.evaluation.report import scores_table, zoo_table
from fer_space.external.user import FOLDER_VARIABLE
from fer_space.registry import Registry
from tests.data.making import fer_csv, picture, text
from tests.evaluation.made import lively
from tests.networks import TINY, lively_tiny, write_weights
from tests.running import is_drawn, run

CPU = ("--device", "cpu")


def records_of(capsys: pytest.CaptureFixture[str]) -> dict[str, dict]:
    return {r["backbone"]: r for r in map(json.loads, capsys.readouterr().out.splitlines())}


def write_joint_fit(folder: Path) -> None:
    shares = {"tiny": 0.75, "small": 0.25}
    write_fit(Fit(name="faces", shares=shares, data="faces valid", command="none", date="2031-02-03"), folder)


def test_measuring_writes_files_and_the_card(
    seeing: Path, faces: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["--backbone", "tiny", "--data", faces, "--occlude", "surgical", "--record", "--json"]
    run("test", *words, "--out", tmp_path / "out", *CPU)
    record = records_of(capsys)["tiny"]
    assert (record["n"], record["occlusion"]) == (3, "surgical")
    assert set(record["per_class"]) == {"happiness", "sadness", "anger"}
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".parquet", ".png"}
    setting = Setting(data="a folder of faces", split="test", occlusion="surgical")
    measured = read_card(seeing / "tiny.json").measured(setting)
    assert measured is not None
    assert measured.scores.accuracy == record["accuracy"]
    assert measured.command.endswith("--data folder:DIR --split test --occlude surgical")


def test_shares_are_fitted_together_and_used_at_once(
    two_backbones: Path, faces: str, capsys: pytest.CaptureFixture[str]
):
    words = ["--data", faces, "--split", "valid", *CPU]
    run("test", "--backbone", "tiny,small,ensemble", *words, "--weigh", "--json")
    (fit,) = read_fits(two_backbones)
    assert (fit.name, fit.data) == ("a folder of faces", "a folder of faces valid")
    assert sum(fit.shares.values()) == pytest.approx(1.0, abs=1e-3)
    assert fit.command.endswith("--backbone tiny,small,ensemble --data folder:DIR --split valid --weigh")
    assert set(records_of(capsys)["weighted"]["members"]) == set(fit.shares)
    run("test", "--backbone", "all,ensemble", *words, "--weigh", "posed")
    assert "fitted on a folder of faces valid: " in capsys.readouterr().out
    posed = read_fits(two_backbones)[1]
    assert (posed.name, posed.shares, posed.data) == ("posed", fit.shares, fit.data)
    assert posed.command.endswith("--backbone all,ensemble --data folder:DIR --split valid --weigh posed")
    run("test", "--backbone", "all,ensemble", *words, "--json")
    assert list(records_of(capsys)) == ["tiny", "small", "ensemble", "weighted", "weighted-posed"]


@pytest.mark.parametrize("asked", ["tiny,small,ensemble", "tiny,small,mine,ensemble"])
def test_shares_are_fitted_for_all_shipped_models_or_not_at_all(
    asked: str,
    two_backbones: Path,
    faces: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    if "mine" in asked:
        write_weights(tmp_path / "own", lively_tiny(2), name="mine")
        monkeypatch.setenv("FER_SPACE_OWN", str(tmp_path / "own"))
    else:
        monkeypatch.setitem(BACKBONES, "third", replace(TINY, name="third"))
        write_weights(two_backbones, lively_tiny(2), name="third")
    run("test", "--backbone", asked, "--data", faces, "--split", "valid", "--weigh", *CPU, status=2)
    assert "all shipped backbones, together and without any other" in capsys.readouterr().err
    assert read_fits(two_backbones) == ()


def test_the_fitted_mean_is_given_with_all_of_its_members_and_not_without(
    two_backbones: Path, faces: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(BACKBONES, "third", replace(TINY, name="third"))
    write_weights(two_backbones, lively_tiny(2), name="third")
    write_joint_fit(two_backbones)
    words = ["--data", faces, "--json", *CPU]
    run("test", "--backbone", "all,ensemble", *words)
    records = records_of(capsys)
    assert records["weighted"]["members"] == ["tiny", "small"]
    assert (records["weighted"]["rule"], records["ensemble"]["rule"]) == ("fitted mean", "mean")
    assert records["ensemble"]["members"] == ["tiny", "small", "third"]
    run("test", "--backbone", "tiny,third,ensemble", *words)
    assert list(records_of(capsys)) == ["tiny", "third", "ensemble"]


@pytest.mark.parametrize("fit", ["--fit-boost", "--fit-lift"])
def test_the_second_operating_point_is_fitted_kept_and_measured(
    fit: str, seeing: Path, faces: str, tmp_path: Path
):
    words = ["--backbone", "tiny", "--data", faces, "--split", "valid", *CPU]
    run("test", *words, fit)
    card = read_card(seeing / "tiny.json")
    assert len(card.boost) == 8
    assert min(card.boost) == 0.0
    (seeing / "tiny.json").write_text(card.model_copy(update={"boost": (0.0,) * 7 + (50.0,)}).to_json())
    run("test", *words, "--record")
    first, second = read_card(seeing / "tiny.json").measurements
    assert [m.setting.boost_rare for m in (first, second)] == [False, True]
    assert second.command.endswith("--split valid --boost-rare")
    assert second.scores.accuracy == 0.0, "every face is contempt now"
    run("test", *words, "--lift", "--out", tmp_path / "stored")
    stored = Outputs.load(tmp_path / "stored" / "tiny-a folder of faces-valid-boosted.parquet")
    assert (stored.probabilities.argmax(axis=1) == 7).all()


def test_a_summary_compares_all_that_was_read(
    two_backbones: Path, faces: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_joint_fit(two_backbones)
    words = ["--data", faces, *CPU, "--out", tmp_path / "stored"]
    run("test", "--backbone", "all,ensemble", *words, "--summary", tmp_path / "read")
    summary = json.loads((tmp_path / "read" / "results.json").read_text())
    models = summary["models"]
    assert list(models) == ["tiny", "small", "ensemble", "weighted"]
    assert (summary["time_reference"], models["tiny"]["time"]) == ("tiny", 1.0)
    assert models["ensemble"]["multiply_adds"] == 2 * models["tiny"]["multiply_adds"] > 0
    assert zoo_table(summary) in capsys.readouterr().out
    assert summary["command"] == (
        "fer-space test --backbone all,ensemble --data folder:DIR --split test --summary DIR"
    )
    files = [tmp_path / "stored" / f"{name}-a folder of faces-test.parquet" for name in models]
    run("test", *files, "--summary", tmp_path / "again")
    again = json.loads((tmp_path / "again" / "results.json").read_text())
    assert again["overlap"] == summary["overlap"]
    assert [m["accuracy"] for m in again["models"].values()] == [m["accuracy"] for m in models.values()]
    run("test", files[0], files[0], "--summary", tmp_path / "twice", status=2)
    assert "no name twice" in capsys.readouterr().err
    assert not (tmp_path / "twice").exists()


def test_a_summary_leaves_out_the_cost_of_what_is_not_here(seeing: Path, tmp_path: Path):
    files = [lively(20, model=name).save(tmp_path) for name in ("tiny", "far")]
    run("test", *files, "--summary", tmp_path / "out")
    models = json.loads((tmp_path / "out" / "results.json").read_text())["models"]
    assert "time" in models["tiny"]
    assert "time" not in models["far"]


def test_stored_outputs_give_the_same_records(
    two_backbones: Path,
    faces: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    words = ["--data", faces, "--out", tmp_path / "out", "--embeddings", "--no-flip", "--json", *CPU]
    run("test", "--backbone", "all,ensemble", *words, "--without-near-duplicates")
    records = records_of(capsys)
    assert list(records) == ["tiny", "small", "ensemble"]
    assert records["ensemble"]["members"] == ["tiny", "small"]
    assert 0.0 < records["ensemble"]["disagreement"] <= 1.0
    files = [tmp_path / "out" / f"{name}-a folder of faces-test-noflip.parquet" for name in records]
    assert all(is_drawn(file.with_suffix(".png")) for file in files)
    embeddings = Outputs.load(files[0]).embeddings
    assert embeddings is not None
    assert embeddings.shape == (3, 12)
    monkeypatch.setattr(test_command, "Engine", None)  # no model is needed any more
    run("test", *files, "--json")
    assert records_of(capsys) == records


def test_keys_of_version_0_1_are_still_there(seeing: Path, faces: str, capsys: pytest.CaptureFixture[str]):
    words = ["--backbone", "tiny", "--data", faces, "--json", *CPU]
    run("test", *words, "--without-twins", "--lift")
    record = records_of(capsys)["tiny"]
    assert record["twins"] == record["near_duplicates"] == 1
    assert record["without_twins"] == record["without_near_duplicates"]
    assert record["without_twins"]["n"] == 2
    assert record["lift"] is record["boost_rare"] is True
    run("test", *words)
    assert not {"twins", "without_twins", "lift"} & set(records_of(capsys)["tiny"])


def test_a_person_is_told_of_ensemble_and_near_duplicates(
    two_backbones: Path, faces: str, capsys: pytest.CaptureFixture[str]
):
    run("test", "--backbone", "ensemble", "--data", faces, "--without-near-duplicates", *CPU)
    lines = capsys.readouterr().out.splitlines()
    assert sum("accuracy" in line and not line.startswith(" ") for line in lines) == 3
    assert any("mean of tiny, small; disagreement 0." in line for line in lines)
    assert any("without near-duplicates of train faces (1): accuracy" in line for line in lines)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["x.parquet", "--backbone", "all", "--occlude", "upper", "--no-flip"],
            "leave out --backbone, --occlude, --no-flip",
        ),
        (["--backbone", "all"], "Name --backbone and --data"),
        (["--backbone", "all", "--data", "folder:x", "--embeddings"], "needs --out"),
        (
            ["--backbone", "all", "--data", "folder:x", "--split", "train", "--without-twins"],
            "another --split",
        ),
        (["gone.parquet"], "no file"),
        (["--backbone", "all,ensemble", "--data", "folder:x", "--weigh"], "--split valid"),
        (["--backbone", "all", "--data", "folder:x", "--split", "valid", "--weigh"], "and ensemble"),
        (["--backbone", "all", "--data", "folder:x", "--abstention"], "only ferplus:DIR has"),
        (["--backbone", "all", "--data", "ferplus:x", "--abstention", "--no-flip"], "leave out --no-flip"),
        (["--backbone", "all", "--data", "folder:x", "--fit-boost"], "--split valid"),
        (
            ["--backbone", "all", "--data", "folder:x", "--split", "valid", "--fit-boost", "--lift"],
            "no --boost-rare",
        ),
        (["x.parquet", "--split", "valid", "--device", "cpu"], "leave out --split, --device"),
        (
            ["--backbone", "my_ensemble_net", "--data", "folder:x", "--split", "valid", "--weigh"],
            "and ensemble",
        ),
    ],
    ids=[
        "both ways",
        "neither way",
        "nowhere to store",
        "near-duplicates of itself",
        "no file",
        "shares of test faces",
        "shares of nothing",
        "doubts without taggers",
        "doubts in a setting",
        "boost of test faces",
        "boost of boosted",
        "a split of stored faces",
        "a name like that of an ensemble",
    ],
)
def test_options_that_cannot_go_together(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]):
    run("test", *words, status=2)
    assert sentence in capsys.readouterr().err


def test_names_of_backbones_and_the_ensemble(two_backbones: Path):
    registry = Registry(two_backbones)
    assert test_command.chosen("all", registry) == (["tiny", "small"], False)
    assert test_command.chosen("ensemble", registry) == (["tiny", "small"], True)
    assert test_command.chosen("small, ensemble,tiny", registry) == (["small", "tiny"], True)
    with pytest.raises(InputError, match="only tiny"):
        test_command.chosen("tiny,ensemble", registry)
    with pytest.raises(InputError, match="names no backbone"):
        test_command.chosen(" ", registry)


def test_every_table_has_a_row_for_each_of_the_joined_sets(
    two_backbones: Path, faces: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    picture(tmp_path / "more" / "test" / "fear" / "b.png", 5)
    text(tmp_path / "more" / "faces.csv", "file,fear,sad,split\ntest/fear/b.png,1,0,test\n")
    words = ["--data", f"{faces}+csv:{tmp_path / 'more' / 'faces.csv'}", *CPU]
    run("test", "--backbone", "all,ensemble", *words, "--json", "--out", tmp_path / "stored", "--record")
    records = records_of(capsys)
    for record in records.values():
        assert {name: rates["n"] for name, rates in record["sets"].items()} == {
            "a folder of faces": 3,
            "faces": 1,
        }
        assert list(record["sets"]["faces"]["per_class"]) == ["fear"]
    assert list(records) == ["tiny", "small", "ensemble"]
    stored = [tmp_path / "stored" / f"{name}-a folder of faces+faces-test.parquet" for name in records]
    run("test", *stored, "--summary", tmp_path / "out")
    out = capsys.readouterr().out
    assert out.count("of these, faces: accuracy") == 3
    for name in records:
        assert f"\n| {name}: a folder of faces |" in out
        assert f"\n| {name}: faces |" in out
    table = scores_table([read_card(two_backbones / "tiny.json")])
    assert "| tiny | a folder of faces+faces test: faces | 1 |" in table


def make_affect(folder: Path) -> str:
    """Four faces with valence and arousal, of which nobody named an emotion."""
    for i in range(4):
        picture(folder / f"{i}.png", i)
    rows = "".join(f"{i}.png,{i / 4},{-i / 4}\n" for i in range(4))
    text(folder / "va.csv", f"file,valence,arousal\n{rows}")
    return f"csv:{folder / 'va.csv'}"


def test_valence_and_arousal_alone_are_measured_without_emotions(
    two_backbones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["--backbone", "all,ensemble", "--data", make_affect(tmp_path), *CPU]
    run("test", *words, "--json", "--out", tmp_path / "out")
    records = records_of(capsys)
    assert list(records) == ["tiny", "small", "ensemble"]
    assert records["tiny"]["affect"]["n"] == records["tiny"]["n"] == 4
    assert "accuracy" not in records["tiny"]
    stored = tmp_path / "out" / "tiny-va-test.parquet"
    run("test", stored)
    assert "tiny on va test: valence CCC" in capsys.readouterr().out
    run("test", *words, "--record", status=2)
    assert "va has valence and arousal alone: leave out --record" in capsys.readouterr().err
    run("test", stored, "--summary", tmp_path / "summary", status=2)
    assert "nobody named one" in capsys.readouterr().err
    run("plot", "confusion", stored, status=2)
    assert "no emotions to draw" in capsys.readouterr().err


def test_faces_without_an_emotion_are_left_out_beside_others(
    seeing: Path, faces: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run("test", "--backbone", "tiny", "--data", f"{faces}+{make_affect(tmp_path)}", "--json", *CPU)
    out, err = capsys.readouterr()
    record = json.loads(out)
    assert record["n"] == record["sets"]["a folder of faces"]["n"] == 3
    assert list(record["sets"]) == ["a folder of faces"]
    assert "4 faces without an emotion are left out" in err


def test_doubts_are_measured_and_kept(
    two_backbones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_joint_fit(two_backbones)
    known, divided = [10] + [0] * 9, [4, 3, 3] + [0] * 7
    rows = [
        (split, 6, f"{split}{i}.png", known if i < 12 else divided)
        for split in ("valid", "test")
        for i in range(16)
    ]
    fer_csv(tmp_path / "fer", rows)
    words = ["--data", f"ferplus:{tmp_path / 'fer'}", "--abstention", *CPU]
    run("test", "--backbone", "all,ensemble", *words, "--json", "--summary", tmp_path / "out")
    records = records_of(capsys)
    assert list(records) == ["tiny", "small", "ensemble", "weighted"]
    assert records["tiny"]["without_label"] == {"split": 4, "unknown": 0}
    assert "agreement" in records["ensemble"]["signals"]
    stored = json.loads((tmp_path / "out" / "abstention.json").read_text())
    assert list(stored["models"]) == list(records)
    assert stored["command"].endswith("--split test --abstention --summary DIR")
    run("test", "--backbone", "tiny", *words)
    assert "AUROC" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "option"),
    [("tiny", "--calibrate"), ("mine", "--calibrate"), ("mine", "--fit-boost"), ("mine", "--record")],
)
def test_options_that_would_write_into_no_card_are_refused(
    name: str,
    option: str,
    seeing: Path,
    faces: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    write_weights(tmp_path / "own", lively_tiny(1), name="mine")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "own"))
    run("test", "--backbone", name, "--data", faces, "--split", "valid", option, status=2)
    assert f"{option} writes into cards" in capsys.readouterr().err


def test_a_damaged_model_is_said_before_any_is_measured(
    two_backbones: Path, faces: str, capsys: pytest.CaptureFixture[str]
):
    (two_backbones / "small.safetensors").write_bytes(b"rubbish")
    run("test", "--backbone", "tiny,small", "--data", faces, "--device", "cpu", status=2)
    assert capsys.readouterr().out == ""
