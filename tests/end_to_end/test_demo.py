"""`make demo`'s command, with trainings of a few images."""

import csv
import json
from pathlib import Path

import pytest

from evalkit.cli import demo, main


@pytest.mark.timeout(600)
def test_the_demo_goes_from_nothing_to_an_ablation_and_its_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "demo"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-weights"))
    sorted_out = demo.quantities_by_weights()
    assert [seed for _, seed in sorted_out] == [None, demo.SEED]
    assert "fid" in sorted_out[1][0]
    few = [(["l1", "fcn_pixel_accuracy"], None), (["lpips_alex"], demo.SEED)]
    monkeypatch.setattr(demo, "quantities_by_weights", lambda: few)
    with pytest.raises(SystemExit) as exit_:
        main(["demo", "--folder", str(folder), "--participants", "2", "--images-per-loss", "8", "--no-serve"])
    assert exit_.value.code in (0, None)
    report = folder / "toy-facades/simulated/report.html"
    assert capsys.readouterr().out.splitlines() == [str(report)]
    assert "SIMULATED" in report.read_text(encoding="utf-8")
    metrics = list(
        csv.DictReader((report.parent / "tables/metrics.csv").read_text(encoding="utf-8").splitlines())
    )
    assert [row["condition"] for row in metrics] == ["l1", "gan", "cgan", "l1_cgan", "real"]
    assert all(row["fool_rate"] and row["l1"] for row in metrics[:4])
    assert all(row["lpips_alex_mark"] == "random features, not comparable" for row in metrics[:4])
    ceiling = float(metrics[-1]["fcn_pixel_accuracy"])
    assert all(ceiling > float(row["fcn_pixel_accuracy"]) for row in metrics[:4])  # after eight images
    rows = list(
        csv.DictReader((report.parent / "tables/ablation.csv").read_text(encoding="utf-8").splitlines())
    )
    assert [row["loss"] for row in rows] == ["l1", "gan", "cgan", "l1_cgan"]
    assert all(row["fool_rate"] for row in rows)
    for loss in ("l1", "gan", "cgan", "l1_cgan"):
        manifest = json.loads((folder / f"ablation/{loss}/seed0/manifest.json").read_text(encoding="utf-8"))
        assert manifest["settings"]["loss"] == loss
        assert manifest["checkpoint"]["images_shown"] == 8
        assert len(manifest["images"]) == 116
